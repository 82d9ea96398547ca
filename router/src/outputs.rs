//! What one batch has put out so far, lane by lane.

use crate::group_ends::{GroupEnds, Place};
use std::collections::BTreeMap;
use symstream_nats::Tail;
use symstream_shared::id::{GroupId, NodeId};
use symstream_shared::model::LinkAction;
use symstream_shared::wire::Audience;

/// What one batch has put out so far.
#[derive(Default)]
pub(crate) struct Outputs {
    pub(crate) nodes: BTreeMap<NodeId, NodeLane>,
    pub(crate) groups: BTreeMap<GroupId, GroupLane>,
    /// The nodes for which the channel is ignored: how many changes they would have got.
    pub(crate) ignored: BTreeMap<NodeId, u64>,
    /// Where groups' lanes ended before it; `None` before the first lane is opened.
    pub(crate) ends: Option<GroupEnds>,
}

/// What it has put into one lane.
pub(crate) struct Written {
    /// The batch before this one.
    pub(crate) previous_batch_id: i64,
    /// Whether the lane has this batch and newer ones: the message came again long after it was routed.
    pub(crate) is_past: bool,
    /// How many of the lane's numbers each number of capture's stands for.
    pub(crate) spread: u32,
    /// The numbers of the messages that went out.
    pub(crate) parts: Vec<u32>,
    pub(crate) change_count: u64,
}

/// A node's lane.
pub(crate) struct NodeLane {
    pub(crate) written: Written,
    pub(crate) tail: Tail,
    pub(crate) action: LinkAction,
}

/// A group's lane.
pub(crate) struct GroupLane {
    pub(crate) written: Written,
    pub(crate) place: Place,
    /// The nodes that the batch is for.
    pub(crate) recipients: BTreeMap<NodeId, i64>,
    pub(crate) audience: Audience,
    /// The own tails of the nodes that left.
    pub(crate) left: BTreeMap<NodeId, Tail>,
}

/// How many changes of a batch a node gets.
pub(crate) struct TargetCount {
    pub(crate) node: NodeId,
    pub(crate) change_count: u64,
    pub(crate) ignored: bool,
}

impl Outputs {
    /// The nodes that this batch is for by themselves.
    pub(crate) fn counts(&self) -> Vec<TargetCount> {
        let count = |node: &NodeId, change_count, ignored| TargetCount {
            node: node.clone(),
            change_count,
            ignored,
        };
        let sent = self.nodes.iter();
        let ignored = self.ignored.iter();
        sent.map(|(node, lane)| count(node, lane.written.change_count, false))
            .chain(ignored.map(|(node, change_count)| count(node, *change_count, true)))
            .collect()
    }

    /// How many lanes it went into.
    pub(crate) fn lane_count(&self) -> usize {
        self.nodes.len() + self.groups.len()
    }

    /// How many changes it put there.
    pub(crate) fn change_count(&self) -> u64 {
        let nodes = self.nodes.values().map(|lane| &lane.written);
        let groups = self.groups.values().map(|lane| &lane.written);
        nodes.chain(groups).map(|written| written.change_count).sum()
    }
}

impl Written {
    pub(crate) fn new(previous_batch_id: i64, is_past: bool, spread: u32) -> Self {
        Self {
            previous_batch_id,
            is_past,
            spread,
            parts: Vec::new(),
            change_count: 0,
        }
    }
}

impl NodeLane {
    /// The lane of a node with this tail, which got `as_member` last as one of its group.
    pub(crate) fn new(
        tail: Tail,
        as_member: Option<i64>,
        batch_id: i64,
        action: LinkAction,
        spread: u32,
    ) -> Self {
        let last = tail.batch_id.max(as_member.unwrap_or(0));
        // At this batch the tail was written by a router that crashed before it acknowledged.
        let previous_batch_id = if tail.batch_id == batch_id {
            tail.previous_batch_id
        } else {
            last
        };
        Self {
            written: Written::new(previous_batch_id, last > batch_id, spread),
            tail,
            action,
        }
    }
}
