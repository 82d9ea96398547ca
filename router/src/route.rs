//! Routing one captured batch: out into the nodes' lanes, then the lanes' tails and the report.
//!
//! Every step may be repeated. After a crash anywhere the whole is done again by whoever gets the message
//! next: the decision comes out the same, loaders recognise what they have by its batch, and a lane whose tail
//! stands at this batch keeps the predecessor that it was given the first time.

use crate::configuration_cache::ConfigurationCache;
use crate::decide::{Decision, Routed, decide};
use crate::error::RouteError;
use crate::lane_output::{last_messages, messages, rows_for};
use crate::part_reader::{NumberedPart, PartReader};
use crate::report::Reporter;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use symstream_nats::{Bus, BusError, CapturedMessage, LaneId, PartHeader, Tail};
use symstream_shared::id::NodeId;
use symstream_shared::model::LinkAction;
use symstream_shared::retry::Backoff;
use symstream_shared::wire::{LanePart, RoutedReport, TableInfo};

/// Lanes that are written to at once: bounds the encoded bodies in memory to some tens of megabytes.
const LANES_AT_ONCE: usize = 64;

/// Routes batches. Shared by all loops of a service; keeps nothing about a batch.
pub(crate) struct BatchRouter {
    pub(crate) bus: Bus,
    pub(crate) configurations: ConfigurationCache,
    pub(crate) hostname: String,
}

/// What one batch has put into one lane so far.
struct Lane {
    tail: Tail,
    /// The batch before this one.
    previous_batch_id: i64,
    /// How many of the lane's numbers each number of capture's stands for.
    spread: u32,
    /// The numbers of the messages that went out.
    parts: Vec<u32>,
    change_count: u64,
}

impl Lane {
    fn new(tail: Tail, batch_id: i64, spread: u32) -> Self {
        // At this batch the tail was written by a router that crashed before it acknowledged.
        let previous_batch_id = if tail.batch_id == batch_id {
            tail.previous_batch_id
        } else {
            tail.batch_id
        };
        Self {
            tail,
            previous_batch_id,
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
    /// Routes the batch whose last message is `last`, by the configuration that it names unless another is given.
    /// When it returns, everything is stored but the acknowledgement. May be dropped at any point; it has to be
    /// called again then.
    ///
    /// # Errors
    /// [`RouteError`]. What can not be decided or read is found before anything is put out; nothing that was put
    /// out before another error needs to be taken back.
    pub(crate) async fn route(&self, last: &CapturedMessage, version: Option<i64>) -> Result<(), RouteError> {
        let started_ms = now_ms();
        let mut spread = 1;
        if last.header.part_last > 1 {
            spread = self.check(last, version).await?;
        }
        let mut lanes: BTreeMap<NodeId, Lane> = BTreeMap::new();
        let mut reader = PartReader::new(&self.bus, last);
        while let Some(numbered) = reader.next().await? {
            let decision = self.decide(&numbered, version).await?;
            spread = spread.max(spread_of(&numbered, &decision));
            self.open_lanes(&decision, last, spread, &mut lanes).await?;
            self.put_out(&numbered, &decision, last, &mut lanes).await?;
            let counts = lanes.iter().map(|(node, lane)| (node.clone(), lane.change_count));
            let reports =
                self.reporter(&numbered, started_ms)
                    .on_part(&numbered, &decision, counts, now_ms());
            let tails = async {
                if numbered.is_last {
                    self.write_tails(last, &lanes).await?;
                }
                Ok(())
            };
            // What a report says is true once the rows are in the lanes. Until the tails name the batch too it is not
            // acknowledged, and done again with the same outcome.
            tokio::try_join!(tails, self.report(&reports))?;
        }
        log_routed(last, &lanes);
        Ok(())
    }

    /// Reads and decides all parts of a batch without putting anything out: a batch goes out whole or not at
    /// all. Returns by how much its lanes' numbers are spread: the same for all of its parts.
    async fn check(&self, last: &CapturedMessage, version: Option<i64>) -> Result<u32, RouteError> {
        let mut spread = 1;
        let mut reader = PartReader::new(&self.bus, last);
        while let Some(numbered) = reader.next().await? {
            let decision = self.decide(&numbered, version).await?;
            spread = spread.max(spread_of(&numbered, &decision));
        }
        Ok(spread)
    }

    async fn decide(&self, numbered: &NumberedPart, version: Option<i64>) -> Result<Decision, RouteError> {
        let part = &numbered.part;
        let config = self
            .configurations
            .get(version.unwrap_or(part.configuration_version))
            .await?;
        Ok(decide(part, &config)?)
    }

    async fn report(&self, reports: &[RoutedReport]) -> Result<(), RouteError> {
        for report in reports {
            self.bus.report(report).await?;
        }
        Ok(())
    }

    fn reporter(&self, numbered: &NumberedPart, started_ms: i64) -> Reporter {
        let part = &numbered.part;
        Reporter {
            source: part.source.clone(),
            channel: part.channel.clone(),
            batch_id: part.batch_id,
            created_ms: part.created_ms,
            started_ms,
            hostname: self.hostname.clone(),
        }
    }

    /// Reads the tails of the lanes that this batch has not written to yet.
    async fn open_lanes(
        &self,
        decision: &Decision,
        last: &CapturedMessage,
        spread: u32,
        lanes: &mut BTreeMap<NodeId, Lane>,
    ) -> Result<(), RouteError> {
        let new: Vec<_> = decision
            .targets
            .keys()
            .filter(|node| !lanes.contains_key(node))
            .map(|node| self.open_lane(node, last, spread).boxed())
            .collect();
        lanes.extend(at_once(new).await?);
        Ok(())
    }

    async fn open_lane(
        &self,
        node: &NodeId,
        last: &CapturedMessage,
        spread: u32,
    ) -> Result<(NodeId, Lane), RouteError> {
        let tail = self.bus.tail(&lane_id(last, node)).await?;
        Ok((node.clone(), Lane::new(tail, last.header.batch_id, spread)))
    }

    /// Puts a part's rows into the lanes that get any, and the batch's last part into all that got any part.
    /// Returns when all of it is stored: a last part never stands before another part of its batch.
    async fn put_out(
        &self,
        numbered: &NumberedPart,
        decision: &Decision,
        last: &CapturedMessage,
        lanes: &mut BTreeMap<NodeId, Lane>,
    ) -> Result<(), RouteError> {
        let mut work = Vec::new();
        for (node, lane) in lanes {
            let routed = decision.targets.get(node).map_or(&[][..], Vec::as_slice);
            if numbered.is_last || !routed.is_empty() {
                work.push(
                    self.put_into_lane(numbered, &decision.tables, routed, last, node, lane)
                        .boxed(),
                );
            }
        }
        at_once(work).await.map(drop)
    }

    async fn put_into_lane(
        &self,
        numbered: &NumberedPart,
        tables: &[TableInfo],
        routed: &[Routed],
        last: &CapturedMessage,
        node: &NodeId,
        lane: &mut Lane,
    ) -> Result<(), RouteError> {
        lane.change_count += routed.len() as u64;
        if lane.is_past(last.header.batch_id) {
            return Ok(());
        }
        let numbers = numbered.numbers.spread_by(lane.spread);
        let part_last = last.header.part_last.saturating_mul(lane.spread);
        let header = PartHeader {
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
            rows: rows_for(&numbered.part, tables, routed),
            statement: None,
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
                .publish_lane(&message.header, message.body, LinkAction::Push)
                .await?;
        }
        Ok(())
    }

    async fn write_tails(
        &self,
        last: &CapturedMessage,
        lanes: &BTreeMap<NodeId, Lane>,
    ) -> Result<(), RouteError> {
        let batch_id = last.header.batch_id;
        let work = lanes
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

fn spread_of(numbered: &NumberedPart, decision: &Decision) -> u32 {
    numbered.numbers.spread_for(numbered.bytes, decision.copies_max())
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

fn log_routed(last: &CapturedMessage, lanes: &BTreeMap<NodeId, Lane>) {
    let header = &last.header;
    tracing::debug!(
        node_id = %header.source, channel = %header.channel, batch_id = header.batch_id,
        targets = lanes.len(), row_count = lanes.values().map(|lane| lane.change_count).sum::<u64>(),
        "routed"
    );
}

/// Milliseconds since 1970 by this host's clock.
fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
