//! A round of one channel's loop: takes messages, asks the lanes what to do with them, does it, acknowledges.

mod loading;
mod taking;

use crate::batch::BatchLoader;
use crate::channel::Context;
use crate::group::GroupLanes;
use crate::holds::Holds;
use crate::hole::Holes;
use crate::initial_load::{Listener, Load, LoadRecords, LoadWaits, WaitNews};
use crate::intake::{Intake, LastFetch, Ways};
use crate::lane::{Lane, Step};
use crate::ledger::{LaneRecord, Ledger};
use crate::spool::Spool;
use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use symstream_shared::batch_status::BatchStatus;
use symstream_shared::db::DbError;
use symstream_shared::id::{ChannelId, NodeId};
use symstream_shared::wire::{BatchResult, StatusReport};
use tokio::time::Instant;

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
