//! The loop of one channel.
//!
//! Everything that has to outlive the loop stands in the database, so any error of the database or the bus
//! ends a round, and the next one begins with what the database says and lets the broker deliver everything
//! that was not acknowledged once more. So does a change of what the loader follows: nothing is taken by half.

use crate::initial_load::LoadNews;
use crate::intake::Ways;
use crate::lasting::LastingHoles;
use crate::policy::{Pause, Policy};
use crate::round::{Memory, Round, RoundError};
use crate::turns::{Seat, Turns};
use std::time::Duration;
use symstream_nats::{Bus, Delivery};
use symstream_shared::db::Database;
use symstream_shared::id::{ChannelId, NodeId};
use symstream_shared::retry::Backoff;
use symstream_shared::schema::Tables;
use symstream_shared::wire::StatusReport;
use tokio::sync::{mpsc, watch};
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
    pub policy: watch::Receiver<Policy>,
    pub turns: Turns,
    /// What their lanes miss for good.
    pub lasting: LastingHoles,
    pub news: LoadNews,
}

/// Loads one channel.
pub(crate) struct ChannelTask {
    context: Context,
    channel: ChannelId,
}

/// What a round goes by; it ends when this changes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Orders {
    pause: Option<Pause>,
    order: Option<i64>,
    passing_over: bool,
    ways: Ways,
}

impl ChannelTask {
    pub(crate) fn new(context: Context, channel: ChannelId) -> Self {
        Self { context, channel }
    }

    /// Runs until `stop`. A batch in hand is finished first.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(3));
        let mut told = String::new();
        let mut memory = Memory::default();
        let mut told_pause = None;
        let mut in_trouble = false;
        loop {
            let orders = self.orders();
            // Waiting for the configuration is short, and not what an operator asked for.
            if orders.pause != told_pause && orders.pause != Some(Pause::Configuration) {
                self.tell(orders.pause);
                told_pause = orders.pause;
            }
            if orders.pause.is_some() {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = self.change_of(&orders) => continue,
                }
            }
            let started = Instant::now();
            // Left when the round ends, however it ends: nobody waits for a channel in trouble.
            let seat = self.context.turns.seat(&self.channel, orders.order, !in_trouble);
            let result = self.serve(&stop, &orders, &seat, &mut memory).await;
            drop(seat);
            if stop.is_cancelled() {
                return;
            }
            let err = match result {
                // The pause of a hole was in the round, so that the other lanes went on meanwhile.
                Ok(()) | Err(RoundError::Hole | RoundError::Moved) => {
                    in_trouble = false;
                    continue;
                }
                Err(err) => err,
            };
            in_trouble = true;
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

    /// One round: until `stop`, other orders or an error.
    async fn serve(
        &self,
        stop: &CancellationToken,
        orders: &Orders,
        seat: &Seat,
        memory: &mut Memory,
    ) -> Result<(), RoundError> {
        let mut round = Round::open(&self.context, &self.channel, orders.ways.clone(), memory).await?;
        round.repeat_statuses().await?;
        loop {
            round.follow_loads().await?;
            if let Some((source, batch_id)) = round.ready(Instant::now()) {
                if !self.may_go_on(seat, stop, orders).await {
                    return Ok(());
                }
                round.load_spooled(source, batch_id).await?;
                seat.took();
            }
            round.check_holes(Instant::now())?;
            round.intake.look(Instant::now()).await;
            seat.rest(round.expects(Instant::now()));
            let due = round.due(Instant::now());
            let delivery = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                () = self.change_of(orders) => return Ok(()),
                () = round.listener.news() => continue,
                delivery = round.intake.next() => delivery,
                () = sleep_until(due) => continue,
            };
            let Some(delivery) = round.groups.share(delivery).await? else {
                continue;
            };
            // What writes next to nothing takes nobody's turn.
            if round.is_light(&delivery) {
                round.take(&delivery).await?;
                continue;
            }
            round.intake.keep().await;
            if !self.may_go_on(seat, stop, orders).await {
                return Ok(());
            }
            round.take(&delivery).await?;
            if is_last(&delivery) {
                seat.took();
            }
        }
    }

    /// Waits for the channel's turn. Returns whether the round goes on: what is in hand is left untouched otherwise.
    async fn may_go_on(&self, seat: &Seat, stop: &CancellationToken, orders: &Orders) -> bool {
        tokio::select! {
            biased;
            () = stop.cancelled() => false,
            () = self.change_of(orders) => false,
            () = seat.turn() => true,
        }
    }

    fn orders(&self) -> Orders {
        let policy = self.context.policy.borrow();
        Orders {
            pause: policy.pause(&self.channel),
            order: policy.channel(&self.channel).order,
            passing_over: policy.channel(&self.channel).passing_over,
            ways: Ways {
                links: policy.links.clone(),
                group: policy.group_channels.contains(&self.channel),
                pull_interval: policy.parameters.pull_interval,
            },
        }
    }

    /// Waits until there are other orders. May be dropped.
    async fn change_of(&self, orders: &Orders) {
        let mut policy = self.context.policy.clone();
        while self.orders() == *orders {
            if policy.changed().await.is_err() {
                // The loader stops.
                std::future::pending::<()>().await;
            }
        }
    }

    fn tell(&self, pause: Option<Pause>) {
        let (node_id, channel) = (&self.context.node, &self.channel);
        match pause {
            Some(pause) => {
                tracing::info!(%node_id, %channel, reason = pause.as_str(), "the channel's batches wait");
            }
            None => tracing::info!(%node_id, %channel, "the channel's batches are taken again"),
        }
    }
}

fn is_last(delivery: &Delivery) -> bool {
    delivery
        .header()
        .is_ok_and(|header| header.part == header.part_last)
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
