//! Where a batch stands in the chain of a group's lane, and which nodes take part in it from now on or no more.
//! Pure, so that it comes out the same when it is asked again.
//!
//! A node's last batch is that of its group's lane while it is a member there, else that of its own tail. For batch `B`
//! these are written, in this order:
//!
//! 1. the messages,
//! 2. the nodes' own tails: of those that got `B` by themselves, and of members that are none any more (the group's last
//!    batch before `B`),
//! 3. the ends of the groups' lanes of this source and channel, in one message: `B`, its members, those that joined.
//!
//! | a crash after | leaves | and then |
//! |---|---|---|
//! | some of 1 | messages of `B` | 2 and 3 are as before: the same decision, the same audience |
//! | some of 2 | own tails that are not below the group's end | they say of their nodes what the membership says; where it is `B` itself, the tail names the batch before |
//! | 3 | all but the report and the acknowledgement | at `B`, the members before it are the members less the joined, whose own tails nobody has touched |
//!
//! A router that was frozen meanwhile finds own tails or ends behind `B`, or its writes are refused by their revisions.

use std::collections::{BTreeMap, BTreeSet};
use symstream_shared::id::{GroupId, NodeId};
use symstream_shared::wire::{GroupTail, GroupTails};

/// The ends of the groups' lanes of one source and channel, as they were read.
#[derive(Debug, Clone, Default)]
pub(crate) struct GroupEnds {
    pub(crate) tails: GroupTails,
    pub(crate) revision: u64,
}

/// A batch's place in a group's lane.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// The batch before it.
    pub(crate) previous_batch_id: i64,
    /// Whether the lane has newer ones: the message came again long after it was routed.
    pub(crate) is_past: bool,
    /// The nodes that take part from this batch on.
    pub(crate) joined: BTreeSet<NodeId>,
    /// Members of groups that are none any more, or are members of another or by another registration from now on, each
    /// with its last batch: its own tail has to name that before the ends are written.
    pub(crate) left: BTreeMap<NodeId, i64>,
}

impl GroupEnds {
    /// The batch before `batch_id` that a node got as a member of a group, if it was one.
    pub(crate) fn last_as_member(&self, node: &NodeId, batch_id: i64) -> Option<i64> {
        let tails = self.tails.groups.values();
        tails
            .filter(|tail| was_member(tail, node, batch_id))
            .map(|tail| previous(tail, batch_id))
            .max()
    }

    /// The place of a batch that is for these nodes of the group.
    pub(crate) fn place(&self, group: &GroupId, recipients: &BTreeMap<NodeId, i64>, batch_id: i64) -> Place {
        let none = GroupTail::default();
        let tail = self.tails.groups.get(group).unwrap_or(&none);
        if tail.batch_id > batch_id {
            return Place {
                is_past: true,
                ..Place::default()
            };
        }
        let stays = |node: &NodeId, registered_ms: &i64| {
            was_member(tail, node, batch_id) && tail.members.get(node) == Some(registered_ms)
        };
        let joined: BTreeSet<NodeId> = recipients
            .iter()
            .filter(|(node, registered_ms)| !stays(node, registered_ms))
            .map(|(node, _)| node.clone())
            .collect();
        let mut left: BTreeMap<NodeId, i64> = joined
            .iter()
            .filter_map(|node| Some((node.clone(), self.last_as_member(node, batch_id)?)))
            .collect();
        for node in tail.members.keys() {
            if !recipients.contains_key(node) && was_member(tail, node, batch_id) {
                left.insert(node.clone(), previous(tail, batch_id));
            }
        }
        Place {
            previous_batch_id: previous(tail, batch_id),
            is_past: false,
            joined,
            left,
        }
    }

    /// The ends with this batch: for these groups it is the last one, and these nodes got it by themselves. `None` where
    /// they stay as they are.
    pub(crate) fn with<'a>(
        &self,
        batch_id: i64,
        groups: impl Iterator<Item = (&'a GroupId, &'a Place, &'a BTreeMap<NodeId, i64>)>,
        by_themselves: impl Iterator<Item = &'a NodeId>,
    ) -> Option<GroupTails> {
        let mut tails = self.tails.clone();
        let forget = |tails: &mut GroupTails, node: &NodeId| {
            for tail in tails.groups.values_mut() {
                tail.members.remove(node);
                tail.joined.remove(node);
            }
        };
        for node in by_themselves {
            forget(&mut tails, node);
        }
        let placed: Vec<_> = groups.filter(|(_, place, _)| !place.is_past).collect();
        for (_, place, _) in &placed {
            for node in place.left.keys() {
                forget(&mut tails, node);
            }
        }
        for (group, place, recipients) in placed {
            let tail = GroupTail {
                batch_id,
                previous_batch_id: place.previous_batch_id,
                members: recipients.clone(),
                joined: place.joined.clone(),
            };
            tails.groups.insert(group.clone(), tail);
        }
        (tails != self.tails).then_some(tails)
    }
}

fn was_member(tail: &GroupTail, node: &NodeId, batch_id: i64) -> bool {
    tail.members.contains_key(node) && (tail.batch_id != batch_id || !tail.joined.contains(node))
}

fn previous(tail: &GroupTail, batch_id: i64) -> i64 {
    if tail.batch_id == batch_id {
        tail.previous_batch_id
    } else {
        tail.batch_id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(of: &[(&str, i64)]) -> BTreeMap<NodeId, i64> {
        of.iter()
            .map(|(node, registered_ms)| (NodeId::new(*node).expect("id"), *registered_ms))
            .collect()
    }

    fn names(nodes: &BTreeSet<NodeId>) -> Vec<&str> {
        nodes.iter().map(NodeId::as_str).collect()
    }

    fn group(id: &str) -> GroupId {
        GroupId::new(id).expect("id")
    }

    fn ends(batch_id: i64, members: &[(&str, i64)]) -> GroupEnds {
        let tail = GroupTail {
            batch_id,
            previous_batch_id: 2,
            members: nodes(members),
            joined: BTreeSet::new(),
        };
        GroupEnds {
            tails: GroupTails {
                groups: BTreeMap::from([(group("g"), tail)]),
            },
            revision: 1,
        }
    }

    /// What a router finds that does the batch again after a crash behind the last write.
    fn again(ends: &GroupEnds, batch_id: i64, recipients: &BTreeMap<NodeId, i64>) -> Place {
        let group = group("g");
        let place = ends.place(&group, recipients, batch_id);
        let written = ends.with(
            batch_id,
            std::iter::once((&group, &place, recipients)),
            std::iter::empty(),
        );
        let written = GroupEnds {
            tails: written.expect("something new"),
            revision: 2,
        };
        let same = written.place(&group, recipients, batch_id);
        let rest = written.with(
            batch_id,
            std::iter::once((&group, &same, recipients)),
            std::iter::empty(),
        );
        assert_eq!(rest, None);
        same
    }

    #[test]
    fn who_joins_and_who_leaves_is_the_same_after_the_ends_are_written() {
        let before = ends(5, &[("a", 1), ("b", 1), ("again", 1)]);
        let recipients = nodes(&[("a", 1), ("again", 7), ("new", 3)]);
        let place = before.place(&group("g"), &recipients, 9);
        assert_eq!((place.previous_batch_id, place.is_past), (5, false));
        assert_eq!(names(&place.joined), ["again", "new"]);
        assert_eq!(place.left, nodes(&[("again", 5), ("b", 5)]));
        let same = again(&before, 9, &recipients);
        assert_eq!((same.previous_batch_id, &same.joined), (5, &place.joined));
        assert_eq!(before.last_as_member(&NodeId::new("b").expect("id"), 9), Some(5));
        assert!(before.place(&group("g"), &recipients, 4).is_past);
    }

    #[test]
    fn a_node_that_gets_a_batch_by_itself_is_no_member_any_more() {
        let before = ends(5, &[("a", 1), ("b", 1)]);
        let a = NodeId::new("a").expect("id");
        let tails = before.with(9, std::iter::empty(), std::iter::once(&a));
        let after = GroupEnds {
            tails: tails.expect("news"),
            revision: 2,
        };
        assert_eq!(after.last_as_member(&a, 10), None);
        let place = after.place(&group("g"), &nodes(&[("a", 1), ("b", 1)]), 10);
        assert_eq!((names(&place.joined), place.previous_batch_id), (vec!["a"], 5));
        assert_eq!(place.left, nodes(&[]));
    }

    #[test]
    fn a_node_of_another_group_now_leaves_its_old_one() {
        let before = ends(5, &[("a", 1)]);
        let recipients = nodes(&[("a", 1)]);
        let place = before.place(&group("h"), &recipients, 9);
        assert_eq!(
            (names(&place.joined), &place.left),
            (vec!["a"], &nodes(&[("a", 5)]))
        );
        let h = group("h");
        let of_h = std::iter::once((&h, &place, &recipients));
        let tails = before.with(9, of_h, std::iter::empty()).expect("news");
        assert!(tails.groups[&group("g")].members.is_empty());
        assert_eq!(tails.groups[&group("h")].members, recipients);
    }
}
