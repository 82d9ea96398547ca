//! The lanes that one batch goes into: opened when the first of its rows is for their node, filled part by part,
//! closed by their tails.

use crate::decide::{Decision, Routed};
use crate::error::RouteError;
use crate::lane_output::{last_messages, messages, rows_for};
use crate::part_reader::NumberedPart;
use crate::route::{BatchRouter, now_ms};
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use std::collections::BTreeMap;
use std::time::Duration;
use symstream_nats::{BusError, CapturedMessage, LaneId, PartHeader, Tail};
use symstream_shared::id::NodeId;
use symstream_shared::model::LinkAction;
use symstream_shared::retry::Backoff;
use symstream_shared::wire::{LanePart, Part, Request};

/// Lanes that are written to at once.
const LANES_AT_ONCE: usize = 64;
/// Bytes of bodies that may wait for their acknowledgements at once, in all lanes of a part together.
const BYTES_AT_ONCE: usize = 32 * 1024 * 1024;

/// What one batch has put out so far.
#[derive(Default)]
pub(crate) struct Outputs {
    lanes: BTreeMap<NodeId, Lane>,
    /// The nodes for which the channel is ignored: how many changes they would have got.
    ignored: BTreeMap<NodeId, u64>,
}

/// What one batch has put into one lane so far.
struct Lane {
    tail: Tail,
    /// The batch before this one.
    previous_batch_id: i64,
    action: LinkAction,
    /// How many of the lane's numbers each number of capture's stands for.
    spread: u32,
    /// The numbers of the messages that went out.
    parts: Vec<u32>,
    change_count: u64,
}

/// How many changes of a batch a node gets.
pub(crate) struct TargetCount {
    pub(crate) node: NodeId,
    pub(crate) change_count: u64,
    pub(crate) ignored: bool,
}

impl Outputs {
    /// The nodes that this batch is for.
    pub(crate) fn counts(&self) -> Vec<TargetCount> {
        let count = |node: &NodeId, change_count, ignored| TargetCount {
            node: node.clone(),
            change_count,
            ignored,
        };
        let sent = self.lanes.iter();
        let ignored = self.ignored.iter();
        sent.map(|(node, lane)| count(node, lane.change_count, false))
            .chain(ignored.map(|(node, change_count)| count(node, *change_count, true)))
            .collect()
    }

    /// How many lanes it went into.
    pub(crate) fn lane_count(&self) -> usize {
        self.lanes.len()
    }

    /// How many changes it put there.
    pub(crate) fn change_count(&self) -> u64 {
        self.lanes.values().map(|lane| lane.change_count).sum()
    }
}

impl Lane {
    fn new(tail: Tail, batch_id: i64, action: LinkAction, spread: u32) -> Self {
        // At this batch the tail was written by a router that crashed before it acknowledged.
        let previous_batch_id = if tail.batch_id == batch_id {
            tail.previous_batch_id
        } else {
            tail.batch_id
        };
        Self {
            tail,
            previous_batch_id,
            action,
            spread,
            parts: Vec::new(),
            change_count: 0,
        }
    }

    /// Whether the lane has this batch and newer ones: the message came again long after it was routed.
    fn is_past(&self, batch_id: i64) -> bool {
        self.tail.batch_id > batch_id
    }
}

impl BatchRouter {
    /// Reads the tails of the lanes that this batch has not written to yet.
    pub(crate) async fn open_lanes(
        &self,
        decision: &Decision,
        last: &CapturedMessage,
        spread: u32,
        outputs: &mut Outputs,
    ) -> Result<(), RouteError> {
        let new: Vec<_> = decision
            .targets
            .iter()
            .filter(|(node, target)| !target.ignored && !outputs.lanes.contains_key(*node))
            .map(|(node, target)| {
                let opened = async move {
                    let tail = self.bus.tail(&lane_id(last, node)).await?;
                    let lane = Lane::new(tail, last.header.batch_id, target.action, spread);
                    Ok((node.clone(), lane))
                };
                opened.boxed()
            })
            .collect();
        outputs.lanes.extend(at_once(new).await?);
        Ok(())
    }

    /// Puts a part's rows into the lanes that get any, and the batch's last part into all that got any part.
    /// Returns when all of it is stored: a last part never stands before another part of its batch.
    pub(crate) async fn put_out(
        &self,
        numbered: &NumberedPart,
        decision: &Decision,
        last: &CapturedMessage,
        outputs: &mut Outputs,
    ) -> Result<(), RouteError> {
        for (node, target) in decision.targets.iter().filter(|(_, target)| target.ignored) {
            *outputs.ignored.entry(node.clone()).or_default() += change_count(numbered, &target.rows);
        }
        let mut work = Vec::new();
        for (node, lane) in &mut outputs.lanes {
            let routed = decision
                .targets
                .get(node)
                .map_or(&[][..], |target| target.rows.as_slice());
            if numbered.is_last || !routed.is_empty() {
                work.push(
                    self.put_into_lane(numbered, decision, routed, last, node, lane)
                        .boxed(),
                );
            }
        }
        // What a lane gets of a part takes about as much as the part.
        let room = (BYTES_AT_ONCE / numbered.bytes.max(1)).clamp(1, LANES_AT_ONCE);
        stream::iter(work)
            .buffer_unordered(room)
            .try_collect::<Vec<()>>()
            .await
            .map(drop)
    }

    async fn put_into_lane(
        &self,
        numbered: &NumberedPart,
        decision: &Decision,
        routed: &[Routed],
        last: &CapturedMessage,
        node: &NodeId,
        lane: &mut Lane,
    ) -> Result<(), RouteError> {
        lane.change_count += change_count(numbered, routed);
        if lane.is_past(last.header.batch_id) {
            return Ok(());
        }
        let numbers = numbered.numbers.spread_by(lane.spread);
        let part_last = last.header.part_last.saturating_mul(lane.spread);
        let captured = &numbered.part;
        let after_load = after_load(captured, node);
        let header = PartHeader {
            load_id: captured.load.as_ref().map(|load| load.load_id).or(after_load),
            target: Some(node.clone()),
            previous_batch_id: Some(lane.previous_batch_id),
            rows: routed.len() as u64,
            part: numbers.last,
            part_last,
            time_ms: now_ms(),
            ..last.header.clone()
        };
        let part = LanePart {
            source: last.header.source.clone(),
            target: node.clone(),
            channel: last.header.channel.clone(),
            batch_id: last.header.batch_id,
            previous_batch_id: lane.previous_batch_id,
            part: numbers.last,
            part_last,
            parts: if numbered.is_last {
                lane.parts.clone()
            } else {
                Vec::new()
            },
            change_count: if numbered.is_last { lane.change_count } else { 0 },
            rows: rows_for(&numbered.part, &decision.tables, routed),
            statement: statement(numbered).cloned(),
            load: numbered.part.load.clone(),
            after_load,
            broadcast: false,
        };
        let encoded = if numbered.is_last {
            last_messages(part, &header, numbers)
        } else {
            messages(part, &header, numbers)
        };
        for message in encoded.map_err(|source| RouteError::Wire {
            part: numbers.last,
            source,
        })? {
            lane.parts.push(message.header.part);
            self.bus
                .publish_lane(&message.header, message.body, lane.action)
                .await?;
        }
        Ok(())
    }

    /// Writes the tails of all lanes that the batch went into.
    pub(crate) async fn write_tails(
        &self,
        last: &CapturedMessage,
        outputs: &Outputs,
    ) -> Result<(), RouteError> {
        let batch_id = last.header.batch_id;
        let work = outputs
            .lanes
            .iter()
            .filter(|(_, lane)| lane.tail.batch_id < batch_id)
            .map(|(node, lane)| self.write_tail(lane_id(last, node), batch_id, lane).boxed())
            .collect();
        at_once(work).await.map(drop)
    }

    /// Writes one tail over the version that was read before. A write of which it is not known whether it was
    /// stored is looked up and repeated.
    async fn write_tail(&self, lane_id: LaneId, batch_id: i64, lane: &Lane) -> Result<(), RouteError> {
        let tail = Tail {
            batch_id,
            previous_batch_id: lane.previous_batch_id,
            revision: lane.tail.revision,
        };
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2));
        loop {
            let refused = match self.bus.set_tail(&lane_id, tail).await {
                Ok(_) => return Ok(()),
                Err(err) => err,
            };
            let stands = self.bus.tail(&lane_id).await;
            match (stands, refused) {
                // Ours, or the same by another router.
                (Ok(stands), _)
                    if (stands.batch_id, stands.previous_batch_id) == (batch_id, tail.previous_batch_id) =>
                {
                    return Ok(());
                }
                (Ok(stands), refused) if stands.revision != tail.revision => {
                    return Err(RouteError::TakenOver(refused.to_string()));
                }
                (_, fenced @ BusError::Fenced { .. }) => return Err(fenced.into()),
                (_, err) => {
                    tracing::debug!(node_id = %lane_id.target, error = %err, "writing a lane's tail again");
                    tokio::time::sleep(backoff.next_pause()).await;
                }
            }
        }
    }
}

/// The newest load that has to be complete at the node before it applies the batch.
fn after_load(part: &Part, node: &NodeId) -> Option<i64> {
    let loads = part.loading.iter();
    loads
        .filter(|loading| loading.nodes.contains(node))
        .map(|loading| loading.load_id)
        .max()
}

/// The statement that the part is, instead of rows.
fn statement(numbered: &NumberedPart) -> Option<&String> {
    match &numbered.part.request {
        Some(Request::Statement { sql, .. }) => Some(sql),
        Some(Request::Reload { .. }) | None => None,
    }
}

/// How many changes a node gets with a part; a statement counts as one.
fn change_count(numbered: &NumberedPart, routed: &[Routed]) -> u64 {
    statement(numbered).map_or(routed.len() as u64, |_| 1)
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
