//! The loop of one channel.
//!
//! Everything that has to outlive the loop stands in the database, so any error of the database or the bus
//! ends a round, and the next one begins with what the database says and lets the broker deliver everything
//! that was not acknowledged once more.

use crate::hole::Holes;
use crate::round::{Round, RoundError};
use std::time::Duration;
use symstream_nats::Bus;
use symstream_shared::db::Database;
use symstream_shared::id::{ChannelId, NodeId};
use symstream_shared::retry::Backoff;
use symstream_shared::schema::Tables;
use symstream_shared::wire::StatusReport;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// What all channels of one node share.
#[derive(Clone)]
pub(crate) struct Context {
    pub database: Database,
    pub tables: Tables,
    pub node: NodeId,
    pub bus: Bus,
    pub statuses: mpsc::Sender<StatusReport>,
    pub hostname: String,
}

/// Loads one channel.
pub(crate) struct ChannelTask {
    context: Context,
    channel: ChannelId,
}

impl ChannelTask {
    pub(crate) fn new(context: Context, channel: ChannelId) -> Self {
        Self { context, channel }
    }

    /// Runs until `stop`. A batch in hand is finished first.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(3));
        let mut told = String::new();
        let mut holes = Holes::default();
        loop {
            let started = Instant::now();
            let Err(err) = self.serve(&stop, &mut holes).await else {
                return;
            };
            if stop.is_cancelled() {
                return;
            }
            if matches!(err, RoundError::Hole) {
                // The pause was in the round, so that the other lanes went on meanwhile.
                continue;
            }
            if started.elapsed() > Duration::from_secs(30) {
                backoff.reset();
                told.clear();
            }
            let text = err.to_string();
            if text != told {
                tracing::warn!(node_id = %self.context.node, channel = %self.channel, error = %text, "loading is interrupted");
                told = text;
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(backoff.next_pause()) => {}
            }
        }
    }

    /// One round: until `stop` or an error.
    async fn serve(&self, stop: &CancellationToken, holes: &mut Holes) -> Result<(), RoundError> {
        let mut round = Round::open(&self.context, &self.channel, holes).await?;
        round.repeat_statuses().await?;
        loop {
            if stop.is_cancelled() {
                return Ok(());
            }
            if let Some((source, batch_id)) = round.ready(Instant::now()) {
                round.load_spooled(source, batch_id).await?;
            }
            round.check_holes(Instant::now())?;
            let due = round.due(Instant::now());
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                delivery = round.deliveries.next() => round.take(&delivery).await?,
                () = sleep_until(due) => {}
            }
        }
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
