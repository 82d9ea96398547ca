//! Filling lanes: what a part has for a node, or for a group, goes out in messages.

use crate::decide::{Decision, Routed};
use crate::error::RouteError;
use crate::lane_output::{last_messages, messages, rows_for};
use crate::lanes::LANES_AT_ONCE;
use crate::outputs::{Outputs, Written};
use crate::part_reader::NumberedPart;
use crate::route::{BatchRouter, now_ms};
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use symstream_nats::{CapturedMessage, PartHeader};
use symstream_shared::id::{GroupId, NodeId};
use symstream_shared::model::LinkAction;
use symstream_shared::wire::{Audience, LanePart, Part, Request};

/// Bytes of bodies that may wait for their acknowledgements at once, in all lanes of a part together.
const BYTES_AT_ONCE: usize = 32 * 1024 * 1024;

/// Whose lane is filled.
pub(crate) enum Reader<'a> {
    Node(&'a NodeId, LinkAction),
    Group(&'a GroupId, &'a Audience),
}

/// A part that goes out.
struct Outgoing<'a> {
    numbered: &'a NumberedPart,
    decision: &'a Decision,
    last: &'a CapturedMessage,
}

impl BatchRouter {
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
        let part = Outgoing {
            numbered,
            decision,
            last,
        };
        let mut work: Vec<BoxFuture<'_, Result<(), RouteError>>> = Vec::new();
        for (group, lane) in &mut outputs.groups {
            let routed = decision.groups.get(group).map_or(&[][..], Vec::as_slice);
            if numbered.is_last || !routed.is_empty() {
                let reader = Reader::Group(group, &lane.audience);
                work.push(self.fill(&part, routed, reader, &mut lane.written).boxed());
            }
        }
        for (node, lane) in &mut outputs.nodes {
            let target = decision.targets.get(node);
            let routed = target.map_or(&[][..], |target| target.rows.as_slice());
            if numbered.is_last || !routed.is_empty() {
                let reader = Reader::Node(node, lane.action);
                work.push(self.fill(&part, routed, reader, &mut lane.written).boxed());
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

    async fn fill(
        &self,
        part: &Outgoing<'_>,
        routed: &[Routed],
        reader: Reader<'_>,
        written: &mut Written,
    ) -> Result<(), RouteError> {
        let Outgoing {
            numbered,
            decision,
            last,
        } = part;
        written.change_count += change_count(numbered, routed);
        if written.is_past {
            return Ok(());
        }
        let numbers = numbered.numbers.spread_by(written.spread);
        let part_last = last.header.part_last.saturating_mul(written.spread);
        let captured = &numbered.part;
        let after_load = reader.after_load(captured);
        let header = PartHeader {
            load_id: captured.load.as_ref().map(|load| load.load_id).or(after_load),
            target: reader.node().cloned(),
            group: reader.group().cloned(),
            previous_batch_id: Some(written.previous_batch_id),
            rows: routed.len() as u64,
            part: numbers.last,
            part_last,
            time_ms: now_ms(),
            ..last.header.clone()
        };
        let lane_part = LanePart {
            source: last.header.source.clone(),
            target: reader.target(),
            channel: last.header.channel.clone(),
            batch_id: last.header.batch_id,
            previous_batch_id: written.previous_batch_id,
            part: numbers.last,
            part_last,
            parts: if numbered.is_last {
                written.parts.clone()
            } else {
                Vec::new()
            },
            change_count: if numbered.is_last { written.change_count } else { 0 },
            rows: rows_for(&numbered.part, &decision.tables, routed),
            statement: statement(numbered).cloned(),
            load: captured.load.clone(),
            after_load,
            broadcast: reader.group().is_some(),
        };
        let encoded = if numbered.is_last {
            last_messages(lane_part, &header, numbers, &reader)
        } else {
            messages(lane_part, &header, numbers, &reader)
        };
        for message in encoded.map_err(|source| RouteError::Wire {
            part: numbers.last,
            source,
        })? {
            written.parts.push(message.header.part);
            match reader {
                Reader::Node(_, action) => {
                    self.bus
                        .publish_lane(&message.header, message.body, action)
                        .await?;
                }
                Reader::Group(..) => self.bus.publish_group(&message.header, message.body).await?,
            }
        }
        Ok(())
    }
}

impl Reader<'_> {
    fn node(&self) -> Option<&NodeId> {
        match self {
            Self::Node(node, _) => Some(node),
            Self::Group(..) => None,
        }
    }

    fn group(&self) -> Option<&GroupId> {
        match self {
            Self::Node(..) => None,
            Self::Group(group, _) => Some(group),
        }
    }

    /// Whom the lane's part names: of a group, nobody.
    fn target(&self) -> NodeId {
        match self {
            Self::Node(node, _) => (*node).clone(),
            Self::Group(group, _) => NodeId::new(format!("*{group}"))
                .or_else(|_| NodeId::new("*"))
                .expect("an asterisk is an id"),
        }
    }

    /// The newest load that has to be complete at the node before it applies the batch. In a group each node has its own.
    fn after_load(&self, part: &Part) -> Option<i64> {
        let node = self.node()?;
        let loads = part.loading.iter();
        loads
            .filter(|loading| loading.nodes.contains(node))
            .map(|loading| loading.load_id)
            .max()
    }
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
