//! A round of one channel's loop: takes messages, asks the lanes what to do with them, does it, acknowledges.

use crate::attempt::now_ms;
use crate::batch::{BatchKey, BatchLoader, Content, LoadError};
use crate::channel::Context;
use crate::holds::Holds;
use crate::hole::Holes;
use crate::intake::{Intake, LastFetch, Ways};
use crate::lane::{Arrival, Hold, Lane, Step};
use crate::ledger::Ledger;
use crate::patience::load_patiently;
use crate::spool::{Spool, SpoolPart};
use std::collections::HashMap;
use std::time::Duration;
use symstream_nats::{Delivery, PartHeader};
use symstream_shared::batch_status::BatchStatus;
use symstream_shared::db::{DbError, TxKind};
use symstream_shared::id::{ChannelId, NodeId};
use symstream_shared::retry::Backoff;
use symstream_shared::wire::{BatchResult, LanePart, Message, StatusReport};
use tokio::time::Instant;

/// A failed batch is tried again after a second, then after twice as long each time, up to five minutes.
const ATTEMPT_PAUSE: Duration = Duration::from_secs(1);
const ATTEMPT_PAUSE_MAX: Duration = Duration::from_secs(300);
/// Why a round ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RoundError {
    #[error(transparent)]
    Database(#[from] DbError),
    #[error("another loader is active for this node")]
    Overtaken,
    /// The next round asks the database whether the lane is where this one believes it to be.
    #[error("a lane waits for a message that does not come")]
    Hole,
    #[error("statuses are not sent any more")]
    Stopped,
}

/// What a channel remembers from one round to the next.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    holds: Holds,
    holes: Holes,
    last_fetch: LastFetch,
}

/// The state of a round; all of it but the pauses of its holds and holes can be read again from the database.
pub(crate) struct Round<'a> {
    context: &'a Context,
    channel: &'a ChannelId,
    ledger: Ledger,
    spool: Spool,
    loader: BatchLoader,
    pub(crate) intake: Intake<'a>,
    lanes: HashMap<NodeId, Lane>,
    holds: &'a mut Holds,
    holes: &'a mut Holes,
}

impl<'a> Round<'a> {
    pub(crate) async fn open(
        context: &'a Context,
        channel: &'a ChannelId,
        ways: Ways,
        memory: &'a mut Memory,
    ) -> Result<Self, RoundError> {
        let Memory {
            holds,
            holes,
            last_fetch,
        } = memory;
        let ledger = Ledger::new(&context.tables, channel);
        let spool = Spool::new(&context.tables, channel);
        let mut conn = context.database.conn().await?;
        let mut lanes = HashMap::new();
        for record in ledger.lanes(&mut conn).await? {
            let mut lane = Lane::new(record.position);
            if let Some((batch_id, attempts)) = record.held {
                let mut hold = holds.begin(&record.source, batch_id, attempts, Instant::now());
                if record.passed_over {
                    hold.next_attempt = Instant::now();
                }
                lane.held(hold);
            }
            lanes.insert(record.source, lane);
        }
        for (source, arrival) in spool.waiting(&mut conn).await? {
            let lane = lanes.entry(source).or_insert_with(|| Lane::new(0));
            if lane.arrive(arrival) != Step::Skip {
                lane.spooled(arrival);
            }
        }
        drop(conn);
        let intake = Intake::open(&context.bus, &context.node, channel, ways, last_fetch).await;
        let open = lanes
            .iter()
            .filter_map(|(source, lane)| Some((source, lane.hole()?)));
        for (source, hole) in holes.begin(open, |seen| intake.supply(seen), Instant::now()) {
            tracing::warn!(node_id = %context.node, source = %source, channel = %channel, batch_id = hole.batch_id, messages = hole.messages, "a batch of this lane, or a part of it, is missing; what follows waits for it");
        }
        Ok(Self {
            context,
            channel,
            ledger,
            spool,
            loader: BatchLoader::new(
                context.database.clone(),
                context.tables.clone(),
                channel,
                context.hostname.clone(),
            ),
            intake,
            lanes,
            holds,
            holes,
        })
    }

    /// A status that was lost is told again: the newest of each lane says it for all before.
    pub(crate) async fn repeat_statuses(&mut self) -> Result<(), RoundError> {
        let mut conn = self.context.database.conn().await?;
        for (source, lane) in &self.lanes {
            let mut results = Vec::new();
            let done = (lane.position(), BatchStatus::Ok);
            let held = lane.hold().map(|hold| (hold.batch_id, BatchStatus::Error));
            for (batch_id, status) in std::iter::once(done).chain(held) {
                results.extend(self.ledger.result(&mut conn, source, batch_id, status).await?);
            }
            if !results.is_empty() {
                self.tell(source, results).await?;
            }
        }
        Ok(())
    }

    pub(crate) fn ready(&self, now: Instant) -> Option<(NodeId, i64)> {
        self.lanes
            .iter()
            .find_map(|(source, lane)| lane.ready(now).map(|batch_id| (source.clone(), batch_id)))
    }

    /// When there is something to do although nothing arrives.
    pub(crate) fn due(&self, now: Instant) -> Option<Instant> {
        self.lanes
            .values()
            .filter_map(|lane| lane.ready(now).map(|_| now).or_else(|| lane.next_attempt()))
            .chain(self.holes.next_look())
            .chain(self.intake.next_look())
            .min()
    }

    /// Whether there is something to take, or on its way.
    pub(crate) fn expects(&self, now: Instant) -> bool {
        self.intake.expects() || self.ready(now).is_some()
    }

    /// # Errors
    /// [`RoundError::Hole`] when it is time to ask the database about a hole.
    pub(crate) fn check_holes(&self, now: Instant) -> Result<(), RoundError> {
        match self.holes.next_look() {
            Some(look) if look <= now => Err(RoundError::Hole),
            _ => Ok(()),
        }
    }

    /// Whether the message's batch was applied before.
    pub(crate) fn knows(&self, delivery: &Delivery) -> bool {
        delivery.header().is_ok_and(|header| {
            self.lanes
                .get(&header.source)
                .is_some_and(|lane| header.batch_id <= lane.position())
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
            let mut conn = self.context.database.conn().await?;
            self.ledger.add_lane(&mut conn, &source).await?;
            self.lanes.insert(source.clone(), Lane::new(0));
        }
        let last = header.part == header.part_last;
        let body = if last {
            Message::decode(delivery.body()).ok()
        } else {
            None
        };
        let whole = match body {
            Some(Message::Lane(part)) if part.parts == [header.part] => Some(part),
            _ => None,
        };
        let arrival = Arrival {
            batch_id: header.batch_id,
            previous: header.previous_batch_id.unwrap_or(0),
            last,
            whole: whole.is_some(),
        };
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
                self.watch_hole(&source);
            }
        }
        self.acknowledge(delivery).await;
        Ok(())
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
            previous: header.previous_batch_id.unwrap_or(0),
        };
        let content = Content::Message(part, header.time_ms);
        match load_patiently(&mut self.loader, &batch, &content, Some(delivery)).await {
            Ok(result) => {
                self.applied(&batch);
                self.acknowledge(delivery).await;
                self.tell(&batch.source, vec![result]).await
            }
            Err(LoadError::Failed(result)) => {
                self.hold(&batch, &result, Some(spool_part(header, delivery)))
                    .await?;
                self.acknowledge(delivery).await;
                self.tell(&batch.source, vec![*result]).await
            }
            Err(LoadError::Passing(err)) => Err(err.into()),
            Err(LoadError::Overtaken | LoadError::Incomplete) => Err(RoundError::Overtaken),
        }
    }

    /// Applies a batch that waited in the spool.
    pub(crate) async fn load_spooled(&mut self, source: NodeId, batch_id: i64) -> Result<(), RoundError> {
        let previous = self.lanes.get(&source).map_or(0, Lane::position);
        let batch = BatchKey {
            source,
            batch_id,
            previous,
        };
        match load_patiently(&mut self.loader, &batch, &Content::Spool, None).await {
            Ok(result) => {
                if let Some(by_hand) = &result.failure {
                    tracing::warn!(node_id = %self.context.node, source = %batch.source, channel = %self.channel, batch_id, reason = %by_hand.message, "the held batch is passed over");
                } else if self
                    .lanes
                    .get(&batch.source)
                    .is_some_and(|lane| lane.hold().is_some())
                {
                    tracing::info!(node_id = %self.context.node, source = %batch.source, channel = %self.channel, batch_id, "the held batch is applied");
                }
                self.applied(&batch);
                self.tell(&batch.source, vec![result]).await
            }
            Err(LoadError::Failed(result)) => {
                if self.hold(&batch, &result, None).await? {
                    self.tell(&batch.source, vec![*result]).await?;
                }
                Ok(())
            }
            Err(LoadError::Incomplete) => {
                if let Some(lane) = self.lanes.get_mut(&batch.source) {
                    lane.incomplete(batch_id);
                }
                self.watch_hole(&batch.source);
                tracing::warn!(node_id = %self.context.node, source = %batch.source, channel = %self.channel, batch_id, "a part of a batch is missing; the lane waits for it");
                self.intake.reopen();
                Ok(())
            }
            Err(LoadError::Passing(err)) => Err(err.into()),
            Err(LoadError::Overtaken) => Err(RoundError::Overtaken),
        }
    }

    fn applied(&mut self, batch: &BatchKey) {
        if let Some(lane) = self.lanes.get_mut(&batch.source) {
            lane.applied(batch.batch_id);
        }
        self.holds.applied(&batch.source);
        self.watch_hole(&batch.source);
        tracing::debug!(node_id = %self.context.node, source = %batch.source, channel = %self.channel, batch_id = batch.batch_id, "batch applied");
    }

    /// Holds the lane at a batch that failed. Returns whether the failure is another than the last time.
    async fn hold(
        &mut self,
        batch: &BatchKey,
        result: &BatchResult,
        part: Option<SpoolPart<'_>>,
    ) -> Result<bool, RoundError> {
        let before = self
            .lanes
            .get(&batch.source)
            .and_then(Lane::hold)
            .filter(|hold| hold.batch_id == batch.batch_id);
        let attempts = before.map_or(0, |hold| hold.attempts);
        let failure = result.failure.as_ref();
        let message = failure.map_or_else(String::new, |failure| failure.message.clone());
        let news = before.is_none_or(|hold| hold.message != message);
        let pause = Backoff::pause_after(ATTEMPT_PAUSE, ATTEMPT_PAUSE_MAX, attempts);
        let next_ms = now_ms() + i64::try_from(pause.as_millis()).unwrap_or(0);

        let mut tx = self.context.database.begin(TxKind::Write).await?;
        let at = (batch.previous, batch.batch_id);
        let held = self
            .ledger
            .hold(&mut tx, &batch.source, at, attempts + 1, next_ms)
            .await?;
        if !held {
            tx.rollback().await?;
            return Err(RoundError::Overtaken);
        }
        if news {
            self.ledger.record(&mut tx, &batch.source, result).await?;
        }
        if let Some(part) = part {
            self.spool.put(&mut tx, part).await?;
        }
        tx.commit().await?;

        if news {
            tracing::error!(
                node_id = %self.context.node,
                source = %batch.source,
                channel = %self.channel,
                batch_id = batch.batch_id,
                row_number = failure.map(|failure| failure.row_number),
                sql_state = failure.map(|failure| failure.sql_state.as_str()),
                sql_code = failure.map(|failure| failure.sql_code),
                error = %message,
                "batch failed; its lane is held, the batch is tried again"
            );
        }
        if let Some(lane) = self.lanes.get_mut(&batch.source) {
            lane.spooled(Arrival {
                batch_id: batch.batch_id,
                previous: batch.previous,
                last: true,
                whole: false,
            });
            let hold = Hold {
                batch_id: batch.batch_id,
                attempts: attempts + 1,
                next_attempt: Instant::now() + pause,
                message,
            };
            self.holds.held(&batch.source, &hold);
            lane.held(hold);
        }
        Ok(news)
    }

    fn watch_hole(&mut self, source: &NodeId) {
        let hole = self.lanes.get(source).and_then(Lane::hole);
        self.holes.see(source, hole, Instant::now());
    }

    /// A lost acknowledgement brings the message again, and it is skipped then.
    async fn acknowledge(&self, delivery: &Delivery) {
        if let Err(err) = delivery.ack().await {
            tracing::debug!(channel = %self.channel, error = %err, "acknowledgement is not confirmed");
        }
    }

    async fn tell(&self, source: &NodeId, results: Vec<BatchResult>) -> Result<(), RoundError> {
        let report = StatusReport {
            source: source.clone(),
            target: self.context.node.clone(),
            channel: self.channel.clone(),
            results,
            contact: None,
        };
        self.context
            .statuses
            .send(report)
            .await
            .map_err(|_| RoundError::Stopped)
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
        body: delivery.body(),
    }
}
