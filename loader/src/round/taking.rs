//! What a round does with a message.

use super::{Round, RoundError};
use crate::attempt::now_ms;
use crate::batch::{BatchKey, Content, LoadError};
use crate::initial_load::Load;
use crate::lane::{Arrival, Lane, LoadTie, Step};
use crate::patience::load_patiently;
use crate::spool::SpoolPart;
use symstream_nats::{Delivery, PartHeader};
use symstream_shared::batch_status::BatchStatus;
use symstream_shared::id::{ChannelId, NodeId};
use symstream_shared::wire::{BatchResult, LanePart, Message};

impl Round<'_> {
    /// Whether taking the message writes next to nothing: its batch was applied before, or waits for an initial load.
    pub(crate) fn is_light(&self, delivery: &Delivery) -> bool {
        delivery.header().is_ok_and(|header| {
            self.lanes.get(&header.source).is_some_and(|lane| {
                header.batch_id <= lane.position() || lane.holds_back(&self.arrival(&header, None))
            })
        })
    }

    /// Does with a message what its lane says. Without an error it is acknowledged, or comes again.
    pub(crate) async fn take(&mut self, delivery: &Delivery) -> Result<(), RoundError> {
        let header = match delivery.header() {
            Ok(header) => header,
            Err(err) => {
                // It is left unacknowledged: nobody can tell what it is, and it must not be lost.
                tracing::error!(node_id = %self.context.node, channel = %self.channel, error = %err, "a message is not understood");
                return Ok(());
            }
        };
        let source = header.source.clone();
        if !self.lanes.contains_key(&source) {
            self.add_lane(&source).await?;
        }
        let last = header.part == header.part_last;
        let body = if last {
            Message::decode(delivery.body()).ok().map(Message::into_content)
        } else {
            None
        };
        let whole = match body {
            Some(Message::Lane(part)) if part.parts == [header.part] => Some(part),
            _ => None,
        };
        let arrival = self.arrival(&header, whole.as_ref());
        let step = self
            .lanes
            .get(&source)
            .map_or(Step::Spool, |lane| lane.arrive(arrival));
        match (step, whole) {
            (Step::Skip, _) => self.skip(&header, last).await?,
            (Step::Apply, Some(part)) => return self.apply(delivery, &header, &part).await,
            (Step::Apply, None) | (Step::Spool, _) => {
                let mut conn = self.context.database.conn().await?;
                self.spool.put(&mut conn, spool_part(&header, delivery)).await?;
                if let Some(lane) = self.lanes.get_mut(&source) {
                    lane.spooled(arrival);
                }
                self.watch(&source);
            }
        }
        self.acknowledge(delivery).await;
        Ok(())
    }

    /// The lane of a source that is heard of for the first time.
    async fn add_lane(&mut self, source: &NodeId) -> Result<(), RoundError> {
        let mut conn = self.context.database.conn().await?;
        self.ledger.add_lane(&mut conn, source).await?;
        let load = match *self.channel == ChannelId::reload() {
            true => Load::NONE,
            false => self.loads.of(&mut conn, source).await?,
        };
        let record = self.ledger.lane(&mut conn, source).await?;
        let position = record.map_or(0, |record| record.position);
        self.lanes.insert(source.clone(), Lane::new(position, load));
        Ok(())
    }

    /// What its headers say of a message, and its body where that is the whole batch.
    fn arrival(&self, header: &PartHeader, whole: Option<&LanePart>) -> Arrival {
        let load_id = header.load_id.or_else(|| whole.and_then(|part| part.after_load));
        Arrival {
            batch_id: header.batch_id,
            previous: header.previous_batch_id.unwrap_or(0),
            last: header.part == header.part_last,
            whole: whole.is_some(),
            tie: LoadTie::new(self.channel, header.batch_id, load_id),
        }
    }

    /// The batch was applied before; its status may have been lost.
    async fn skip(&mut self, header: &PartHeader, last: bool) -> Result<(), RoundError> {
        if !last {
            return Ok(());
        }
        let mut conn = self.context.database.conn().await?;
        let done = self
            .ledger
            .result(&mut conn, &header.source, header.batch_id, BatchStatus::Ok)
            .await?;
        if let Some(done) = done {
            let now = now_ms();
            let skipped = BatchResult {
                status: BatchStatus::Skipped,
                start_ms: now,
                end_ms: now,
                filter_ms: 0,
                database_ms: 0,
                hostname: self.context.hostname.clone(),
                ..done.clone()
            };
            self.ledger.record(&mut conn, &header.source, &skipped).await?;
            self.tell(&header.source, vec![done]).await?;
        }
        Ok(())
    }

    /// Applies a batch straight from its message.
    async fn apply(
        &mut self,
        delivery: &Delivery,
        header: &PartHeader,
        part: &LanePart,
    ) -> Result<(), RoundError> {
        let batch = BatchKey {
            source: header.source.clone(),
            batch_id: header.batch_id,
            previous: self.lanes.get(&header.source).map_or(0, Lane::position),
        };
        let content = Content::Message(part, header.time_ms);
        match load_patiently(&mut self.loader, &batch, &content, Some(delivery)).await {
            Ok(result) => {
                self.applied(&batch);
                self.acknowledge(delivery).await;
                self.tell(&batch.source, vec![result]).await
            }
            Err(LoadError::Failed(result)) => {
                self.hold(
                    &batch,
                    &result,
                    Some((spool_part(header, delivery), self.arrival(header, Some(part)))),
                )
                .await?;
                self.acknowledge(delivery).await;
                self.tell(&batch.source, vec![*result]).await
            }
            Err(LoadError::Passing(err)) => Err(err.into()),
            Err(LoadError::Overtaken | LoadError::Incomplete) => Err(self.overtaken(&batch.source).await),
        }
    }

    /// A lost acknowledgement brings the message again, and it is skipped then.
    async fn acknowledge(&self, delivery: &Delivery) {
        if let Err(err) = delivery.ack().await {
            tracing::debug!(channel = %self.channel, error = %err, "acknowledgement is not confirmed");
        }
    }
}

fn spool_part<'a>(header: &'a PartHeader, delivery: &'a Delivery) -> SpoolPart<'a> {
    SpoolPart {
        source: &header.source,
        batch_id: header.batch_id,
        previous: header.previous_batch_id.unwrap_or(0),
        part: header.part,
        part_last: header.part_last,
        sent_ms: header.time_ms,
        load_id: header.load_id,
        body: delivery.body(),
    }
}
