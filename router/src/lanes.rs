//! The lanes that one batch goes into: opened when the first of its rows is for their node or group, closed by their
//! tails.

use crate::broadcast::Plan;
use crate::decide::{Decision, Target};
use crate::error::RouteError;
use crate::group_ends::GroupEnds;
use crate::outputs::{GroupLane, NodeLane, Outputs, Written};
use crate::route::BatchRouter;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use symstream_nats::{BusError, CapturedMessage, LaneId, Tail};
use symstream_shared::id::{GroupId, NodeId};
use symstream_shared::model::Config;
use symstream_shared::retry::Backoff;
use symstream_shared::wire::{Audience, GroupTails, Loading};

/// Lanes that are written to at once.
pub(crate) const LANES_AT_ONCE: usize = 64;

/// What lanes are opened by.
pub(crate) struct Opening<'a> {
    pub(crate) last: &'a CapturedMessage,
    pub(crate) config: &'a Config,
    pub(crate) plan: &'a Plan,
}

impl BatchRouter {
    /// Reads the ends of the lanes that this batch has not written to yet.
    pub(crate) async fn open_lanes(
        &self,
        opening: &Opening<'_>,
        decision: &Decision,
        outputs: &mut Outputs,
    ) -> Result<(), RouteError> {
        let new_nodes = decision
            .targets
            .iter()
            .filter(|(node, target)| !target.ignored && !outputs.nodes.contains_key(*node));
        let new_nodes: Vec<(&NodeId, &Target)> = new_nodes.collect();
        let new_groups = decision
            .groups
            .keys()
            .filter(|group| !outputs.groups.contains_key(*group));
        let new_groups: Vec<&GroupId> = new_groups.collect();
        if new_nodes.is_empty() && new_groups.is_empty() {
            return Ok(());
        }
        let header = &opening.last.header;
        let (ends, own) = tokio::try_join!(
            async {
                match outputs.ends.take() {
                    Some(ends) => Ok(ends),
                    None => self.read_ends(opening.last).await,
                }
            },
            self.own_tails(opening.last, new_nodes.iter().map(|(node, _)| *node))
        )?;
        for (node, target) in new_nodes {
            let tail = own.get(node).copied().unwrap_or_default();
            let as_member = ends.last_as_member(node, header.batch_id);
            let lane = NodeLane::new(
                tail,
                as_member,
                header.batch_id,
                target.action,
                opening.plan.spread,
            );
            outputs.nodes.insert(node.clone(), lane);
        }
        for group in new_groups {
            let lane = self.open_group(opening, &ends, group).await?;
            outputs.groups.insert(group.clone(), lane);
        }
        outputs.ends = Some(ends);
        Ok(())
    }

    async fn open_group(
        &self,
        opening: &Opening<'_>,
        ends: &GroupEnds,
        group: &GroupId,
    ) -> Result<GroupLane, RouteError> {
        let batch_id = opening.last.header.batch_id;
        let recipients = opening.plan.broadcast.get(group).cloned().unwrap_or_default();
        let mut place = ends.place(group, &recipients, batch_id);
        let asked: BTreeSet<&NodeId> = place.joined.iter().chain(place.left.keys()).collect();
        let own = self.own_tails(opening.last, asked.into_iter()).await?;
        let mut joined = Vec::with_capacity(place.joined.len());
        for node in &place.joined {
            let tail = own.get(node).copied().unwrap_or_default();
            // Newer batches have gone to it, so all of this one has long been where it belongs.
            place.is_past |= tail.batch_id > batch_id;
            let as_member = place.left.get(node).copied().unwrap_or(0);
            joined.push((node.clone(), tail.batch_id.max(as_member)));
        }
        let audience = Audience {
            joined,
            excluded: excluded(opening.config, ends, group, &recipients),
            loading: loading(opening.plan, &recipients),
            registered_until_ms: registered_until_ms(opening.config, group),
        };
        let written = Written::new(place.previous_batch_id, place.is_past, opening.plan.spread);
        let left = own
            .into_iter()
            .filter(|(node, _)| place.left.contains_key(node))
            .collect();
        Ok(GroupLane {
            written,
            place,
            recipients,
            audience,
            left,
        })
    }

    async fn read_ends(&self, last: &CapturedMessage) -> Result<GroupEnds, RouteError> {
        let (source, channel) = (&last.header.source, &last.header.channel);
        let (tails, revision) = self.bus.group_tails(source, channel).await?;
        Ok(GroupEnds { tails, revision })
    }

    async fn own_tails<'a>(
        &self,
        last: &CapturedMessage,
        nodes: impl Iterator<Item = &'a NodeId>,
    ) -> Result<BTreeMap<NodeId, Tail>, RouteError> {
        let work = nodes.map(|node| {
            let read = async move {
                let tail = self.bus.tail(&lane_id(last, node)).await?;
                Ok((node.clone(), tail))
            };
            read.boxed()
        });
        let tails = at_once(work.collect()).await?;
        Ok(tails.into_iter().collect())
    }

    /// Writes the ends of all lanes that the batch went into: the nodes' own first ([`crate::group_ends`]).
    pub(crate) async fn write_tails(
        &self,
        last: &CapturedMessage,
        outputs: &Outputs,
    ) -> Result<(), RouteError> {
        let batch_id = last.header.batch_id;
        let mut wanted: BTreeMap<&NodeId, Tail> = BTreeMap::new();
        for (node, lane) in &outputs.nodes {
            if !lane.written.is_past && lane.tail.batch_id < batch_id {
                let tail = Tail {
                    batch_id,
                    previous_batch_id: lane.written.previous_batch_id,
                    revision: lane.tail.revision,
                };
                wanted.insert(node, tail);
            }
        }
        for lane in outputs.groups.values().filter(|lane| !lane.written.is_past) {
            for (node, own) in &lane.left {
                let left_at = lane.place.left.get(node).copied().unwrap_or(0);
                if own.batch_id < left_at && !outputs.nodes.contains_key(node) {
                    let tail = Tail {
                        batch_id: left_at,
                        previous_batch_id: own.batch_id,
                        revision: own.revision,
                    };
                    wanted.insert(node, tail);
                }
            }
        }
        let work = wanted
            .into_iter()
            .map(|(node, tail)| self.write_end(End::Node(lane_id(last, node), tail)).boxed());
        at_once(work.collect()).await?;
        let Some(ends) = &outputs.ends else {
            return Ok(());
        };
        let groups = outputs.groups.iter();
        let groups = groups.map(|(group, lane)| (group, &lane.place, &lane.recipients));
        let by_themselves = outputs.nodes.iter();
        let by_themselves = by_themselves
            .filter(|(_, lane)| !lane.written.is_past)
            .map(|(node, _)| node);
        match ends.with(batch_id, groups, by_themselves) {
            Some(tails) => self.write_end(End::Groups(last, tails, ends.revision)).await,
            None => Ok(()),
        }
    }

    /// Writes over the version that was read before. A write of which it is not known whether it was stored is looked up
    /// and repeated.
    async fn write_end(&self, end: End<'_>) -> Result<(), RouteError> {
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2));
        loop {
            let refused = match self.try_write(&end).await {
                Ok(_) => return Ok(()),
                Err(err) => err,
            };
            match (self.stands(&end).await, refused) {
                // Ours, or the same by another router.
                (Ok((true, _)), _) => return Ok(()),
                (Ok((false, revision)), refused) if revision != end.revision() => {
                    return Err(RouteError::TakenOver(refused.to_string()));
                }
                (_, err @ (BusError::Fenced { .. } | BusError::Malformed { .. })) => return Err(err.into()),
                (_, err) => {
                    tracing::debug!(error = %err, "writing a lane's end again");
                    tokio::time::sleep(backoff.next_pause()).await;
                }
            }
        }
    }

    async fn try_write(&self, end: &End<'_>) -> Result<u64, BusError> {
        match end {
            End::Node(lane, tail) => self.bus.set_tail(lane, *tail).await,
            End::Groups(last, tails, revision) => {
                let (source, channel) = (&last.header.source, &last.header.channel);
                self.bus.set_group_tails(source, channel, tails, *revision).await
            }
        }
    }

    /// Whether what is wanted stands there, and the version of what does.
    async fn stands(&self, end: &End<'_>) -> Result<(bool, u64), BusError> {
        match end {
            End::Node(lane, tail) => {
                let stands = self.bus.tail(lane).await?;
                let is_wanted =
                    (stands.batch_id, stands.previous_batch_id) == (tail.batch_id, tail.previous_batch_id);
                Ok((is_wanted, stands.revision))
            }
            End::Groups(last, tails, _) => {
                let (source, channel) = (&last.header.source, &last.header.channel);
                let (stands, revision) = self.bus.group_tails(source, channel).await?;
                Ok((stands == *tails, revision))
            }
        }
    }
}

/// What is written of a lane's end.
enum End<'a> {
    Node(LaneId, Tail),
    /// All groups' of the source and channel, over this version.
    Groups(&'a CapturedMessage, GroupTails, u64),
}

impl End<'_> {
    fn revision(&self) -> u64 {
        match self {
            Self::Node(_, tail) => tail.revision,
            Self::Groups(_, _, revision) => *revision,
        }
    }
}

/// The group's nodes, as far as the configuration or its lane knows them, that a batch is not for.
fn excluded(
    config: &Config,
    ends: &GroupEnds,
    group: &GroupId,
    recipients: &BTreeMap<NodeId, i64>,
) -> Vec<NodeId> {
    let configured = config.nodes.values().filter(|node| node.group == *group);
    let configured = configured.map(|node| &node.node_id);
    let tail = ends.tails.groups.get(group);
    let members = tail.into_iter().flat_map(|tail| tail.members.keys());
    let known: BTreeSet<&NodeId> = configured.chain(members).collect();
    known
        .into_iter()
        .filter(|node| !recipients.contains_key(*node))
        .cloned()
        .collect()
}

fn loading(plan: &Plan, recipients: &BTreeMap<NodeId, i64>) -> Vec<Loading> {
    let of_group = plan.loading.iter().map(|loading| Loading {
        load_id: loading.load_id,
        nodes: loading
            .nodes
            .iter()
            .filter(|node| recipients.contains_key(*node))
            .cloned()
            .collect(),
    });
    of_group.filter(|loading| !loading.nodes.is_empty()).collect()
}

fn registered_until_ms(config: &Config, group: &GroupId) -> i64 {
    let of_group = config.nodes.values().filter(|node| node.group == *group);
    of_group
        .filter_map(|node| config.registration_ms.get(&node.node_id).copied())
        .max()
        .unwrap_or(0)
}

fn lane_id(last: &CapturedMessage, node: &NodeId) -> LaneId {
    LaneId {
        source: last.header.source.clone(),
        target: node.clone(),
        channel: last.header.channel.clone(),
    }
}

/// Works on some lanes at a time; the first error ends it.
async fn at_once<T>(work: Vec<BoxFuture<'_, Result<T, RouteError>>>) -> Result<Vec<T>, RouteError> {
    stream::iter(work)
        .buffer_unordered(LANES_AT_ONCE)
        .try_collect()
        .await
}
