//! A round of one channel's loop: takes messages, asks the lanes what to do with them, does it, acknowledges.

use crate::attempt::now_ms;
use crate::batch::{BatchKey, BatchLoader, Content, LoadError};
use crate::channel::Context;
use crate::group::GroupLanes;
use crate::holds::Holds;
use crate::hole::Holes;
use crate::initial_load::{Listener, Load, LoadRecords, LoadWaits, WaitNews};
use crate::intake::{Intake, LastFetch, Ways};
use crate::lane::{Arrival, Hold, Lane, LoadTie, Step};
use crate::ledger::{LaneRecord, Ledger};
use crate::patience::load_patiently;
use crate::spool::{Spool, SpoolPart};
use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
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
    /// An initial load began while a batch was written; the next round begins behind it.
    #[error("an initial load has moved the lane")]
    Moved,
    #[error("statuses are not sent any more")]
    Stopped,
}

/// What a channel remembers from one round to the next.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    holds: Holds,
    holes: Holes,
    waits: LoadWaits,
    last_fetch: LastFetch,
}

/// The state of a round; all of it but the pauses of its holds and holes can be read again from the database.
pub(crate) struct Round<'a> {
    context: &'a Context,
    channel: &'a ChannelId,
    ledger: Ledger,
    spool: Spool,
    loads: LoadRecords,
    loader: BatchLoader,
    pub(crate) intake: Intake<'a>,
    pub(crate) groups: GroupLanes<'a>,
    pub(crate) listener: Listener,
    lanes: BTreeMap<NodeId, Lane>,
    /// The lane that something out of the spool was applied of last.
    served: Option<NodeId>,
    holds: &'a mut Holds,
    holes: &'a mut Holes,
    waits: &'a mut LoadWaits,
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
            waits,
            last_fetch,
        } = memory;
        // Whatever comes later is heard of.
        let listener = context.news.listen();
        let ledger = Ledger::new(&context.tables, channel);
        let spool = Spool::new(&context.tables, channel);
        let loads = LoadRecords::new(&context.tables);
        let mut conn = context.database.conn().await?;
        let of_sources = match *channel == ChannelId::reload() {
            true => HashMap::new(),
            false => loads.all(&mut conn).await?,
        };
        let mut lanes = BTreeMap::new();
        for record in ledger.lanes(&mut conn).await? {
            let load = of_sources.get(&record.source).copied().unwrap_or(Load::NONE);
            lanes.insert(record.source.clone(), lane(&record, load, holds));
        }
        for (source, arrival) in spool.waiting(&mut conn).await? {
            let lane = lanes.entry(source).or_insert_with(|| Lane::new(0, Load::NONE));
            if lane.arrive(arrival) != Step::Skip {
                lane.spooled(arrival);
            }
        }
        let groups = GroupLanes::open(&mut conn, context, channel).await?;
        drop(conn);
        let intake = Intake::open(&context.bus, &context.node, channel, ways, last_fetch).await;
        let open = lanes
            .iter()
            .filter_map(|(source, lane)| Some((source, lane.hole()?)));
        for (source, hole) in holes.begin(open, |seen| intake.supply(seen), Instant::now()) {
            tracing::warn!(node_id = %context.node, source = %source, channel = %channel, batch_id = hole.batch_id, messages = hole.messages, "a batch of this lane, or a part of it, is missing; what follows waits for it");
        }
        context.lasting.set(channel, holes.lasting());
        let loader = BatchLoader::new(
            context.database.clone(),
            context.tables.clone(),
            channel,
            context.hostname.clone(),
        );
        let mut round = Self {
            context,
            channel,
            ledger,
            spool,
            loads,
            loader: loader.telling(context.news.clone()).of(&context.node),
            intake,
            groups,
            listener,
            lanes,
            served: None,
            holds,
            holes,
            waits,
        };
        let sources: Vec<NodeId> = round.lanes.keys().cloned().collect();
        for source in &sources {
            round.watch_wait(source);
        }
        Ok(round)
    }

    /// Reads the lanes again whose source's initial load began or ended.
    pub(crate) async fn follow_loads(&mut self) -> Result<(), RoundError> {
        let moved = self.listener.moved();
        if moved.is_empty() || *self.channel == ChannelId::reload() {
            return Ok(());
        }
        let mut conn = self.context.database.conn().await?;
        for source in moved {
            let Some(record) = self.ledger.lane(&mut conn, &source).await? else {
                continue;
            };
            let load = self.loads.of(&mut conn, &source).await?;
            if record.held.is_none() {
                self.holds.applied(&source);
            }
            let mut lane = lane(&record, load, self.holds);
            for (_, arrival) in self.spool.waiting_of(&mut conn, &source).await? {
                if lane.arrive(arrival) != Step::Skip {
                    lane.spooled(arrival);
                }
            }
            self.lanes.insert(source.clone(), lane);
            self.watch(&source);
        }
        Ok(())
    }

    /// A status that was lost is told again: the newest of each lane says it for all before.
    pub(crate) async fn repeat_statuses(&mut self) -> Result<(), RoundError> {
        let mut conn = self.context.database.conn().await?;
        for (source, lane) in &self.lanes {
            let mut results = Vec::new();
            // A lane that jumped to a load has applied nothing there: the load's own lane tells of that batch.
            let jumped = lane.position() == lane.load().floor;
            let done = (!jumped).then_some((lane.position(), BatchStatus::Ok));
            let held = lane.hold().map(|hold| (hold.batch_id, BatchStatus::Error));
            for (batch_id, status) in done.into_iter().chain(held) {
                results.extend(self.ledger.result(&mut conn, source, batch_id, status).await?);
            }
            if !results.is_empty() {
                self.tell(source, results).await?;
            }
        }
        Ok(())
    }

    pub(crate) fn ready(&self, now: Instant) -> Option<(NodeId, i64)> {
        let ready = |(source, lane): (&NodeId, &Lane)| {
            let batch_id = lane.ready(now)?;
            Some((source.clone(), batch_id))
        };
        // In turn, so that a lane with much to catch up does not keep the others waiting.
        let behind = self.served.as_ref().and_then(|served| {
            let others = (Bound::Excluded(served), Bound::Unbounded);
            self.lanes.range::<NodeId, _>(others).find_map(ready)
        });
        behind.or_else(|| self.lanes.iter().find_map(ready))
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
        // What comes for a lane that waits for a load only goes into the spool.
        let flows = self.intake.expects() && self.lanes.values().all(|lane| lane.waits_for().is_none());
        flows || self.ready(now).is_some()
    }

    /// # Errors
    /// [`RoundError::Hole`] when it is time to ask the database about a hole.
    pub(crate) fn check_holes(&self, now: Instant) -> Result<(), RoundError> {
        match self.holes.next_look() {
            Some(look) if look <= now => Err(RoundError::Hole),
            _ => Ok(()),
        }
    }

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

    /// The lane is not where this round believes it to be.
    async fn overtaken(&self, source: &NodeId) -> RoundError {
        let known = self.lanes.get(source).map(Lane::load);
        let now = async {
            let mut conn = self.context.database.conn().await?;
            self.loads.of(&mut conn, source).await
        };
        match now.await {
            Ok(now) if *self.channel != ChannelId::reload() && known != Some(now) => RoundError::Moved,
            _ => RoundError::Overtaken,
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
        self.served = Some(batch.source.clone());
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
                self.watch(&batch.source);
                tracing::warn!(node_id = %self.context.node, source = %batch.source, channel = %self.channel, batch_id, "a part of a batch is missing; the lane waits for it");
                self.intake.reopen();
                Ok(())
            }
            Err(LoadError::Passing(err)) => Err(err.into()),
            Err(LoadError::Overtaken) => Err(self.overtaken(&batch.source).await),
        }
    }

    fn applied(&mut self, batch: &BatchKey) {
        if let Some(lane) = self.lanes.get_mut(&batch.source) {
            lane.applied(batch.batch_id);
        }
        self.holds.applied(&batch.source);
        self.watch(&batch.source);
        tracing::debug!(node_id = %self.context.node, source = %batch.source, channel = %self.channel, batch_id = batch.batch_id, "batch applied");
    }

    /// Holds the lane at a batch that failed. Returns whether the failure is another than the last time.
    async fn hold(
        &mut self,
        batch: &BatchKey,
        result: &BatchResult,
        message: Option<(SpoolPart<'_>, Arrival)>,
    ) -> Result<bool, RoundError> {
        let before = self
            .lanes
            .get(&batch.source)
            .and_then(Lane::hold)
            .filter(|hold| hold.batch_id == batch.batch_id);
        let attempts = before.map_or(0, |hold| hold.attempts);
        let failure = result.failure.as_ref();
        let error = failure.map_or_else(String::new, |failure| failure.message.clone());
        let news = before.is_none_or(|hold| hold.message != error);
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
            return Err(self.overtaken(&batch.source).await);
        }
        if news {
            self.ledger.record(&mut tx, &batch.source, result).await?;
        }
        if let Some((part, _)) = message {
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
                %error,
                "batch failed; its lane is held, the batch is tried again"
            );
        }
        if let Some(lane) = self.lanes.get_mut(&batch.source) {
            if let Some((_, arrival)) = message {
                lane.spooled(arrival);
            }
            let hold = Hold {
                batch_id: batch.batch_id,
                attempts: attempts + 1,
                next_attempt: Instant::now() + pause,
                message: error,
            };
            self.holds.held(&batch.source, &hold);
            lane.held(hold);
        }
        Ok(news)
    }

    /// Something has changed in the lane.
    fn watch(&mut self, source: &NodeId) {
        let hole = self.lanes.get(source).and_then(Lane::hole);
        self.holes.see(source, hole, Instant::now());
        self.watch_wait(source);
    }

    /// Tells once when a lane begins to wait for an initial load, and when it goes on.
    fn watch_wait(&mut self, source: &NodeId) {
        let (node_id, channel) = (&self.context.node, self.channel);
        let waits_for = self.lanes.get(source).and_then(Lane::waits_for);
        match self.waits.see(source, waits_for) {
            Some(WaitNews::Begins(load_id)) => {
                tracing::info!(%node_id, %source, %channel, load_id, "what comes after an initial load waits until that is complete");
            }
            Some(WaitNews::Ends(load_id)) => {
                tracing::info!(%node_id, %source, %channel, load_id, "the initial load is over; the lane goes on");
            }
            None => {}
        }
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

/// A lane as its row says.
fn lane(record: &LaneRecord, load: Load, holds: &Holds) -> Lane {
    let mut lane = Lane::new(record.position, load);
    if let Some((batch_id, attempts)) = record.held {
        let mut hold = holds.begin(&record.source, batch_id, attempts, Instant::now());
        if record.passed_over {
            hold.next_attempt = Instant::now();
        }
        lane.held(hold);
    }
    lane
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
