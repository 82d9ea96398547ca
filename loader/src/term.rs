//! A term as a node's active loader: one task for each channel, and what they all follow.

use crate::channel::{ChannelTask, Context};
use crate::contact;
use crate::dialect;
use crate::freshness::Freshness;
use crate::initial_load::LoadNews;
use crate::lasting::LastingHoles;
use crate::policy::{Look, Policy};
use crate::purge;
use crate::status;
use crate::turns::Turns;
use std::collections::HashSet;
use std::time::Duration;
use symstream_nats::Bus;
use symstream_shared::db::{Database, NodeLock};
use symstream_shared::engine::Engine;
use symstream_shared::hostname::hostname;
use symstream_shared::id::{ChannelId, NodeId};
use symstream_shared::registration;
use symstream_shared::retry::Disposition;
use symstream_shared::schema::Tables;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

/// How often the node's own tables are looked at.
const LOOK: Duration = Duration::from_secs(1);
/// The same while batches wait for that.
const SOON: Duration = Duration::from_millis(100);
/// How long a look may wait for connections, which channels may all have in hand. The lock has one of its own.
const LOOK_MAX: Duration = Duration::from_secs(3);
/// How often the lock is asked for; it has to be every few seconds ([`NodeLock::is_alive`]).
const LOCK: Duration = Duration::from_secs(4);
/// How long batches in hand may take when the loader stops; then they are rolled back.
const STOP_GRACE: Duration = Duration::from_secs(10);
/// The same when the lock is lost: another loader may be at work, and the database may be away.
const LOST_GRACE: Duration = Duration::from_secs(1);

/// Why a term ended.
pub(crate) enum Ended {
    Stopped,
    /// The node was removed at the registration server.
    Removed,
    LockLost,
    Panicked,
}

/// A term, before it begins.
pub(crate) struct Term<'a> {
    pub engine: &'a Engine,
    pub database: &'a Database,
    pub tables: &'a Tables,
    pub node: NodeId,
    pub bus: Bus,
}

impl Term<'_> {
    /// Loads until `shutdown` or until the lock is lost.
    pub(crate) async fn run(self, lock: &mut NodeLock, shutdown: &CancellationToken) -> Ended {
        tracing::info!(engine = %self.engine.name, node_id = %self.node, database = %self.database.address(), "loading");
        self.take_origin_back().await;
        let (statuses, mut status_task) = status::sender(self.bus.clone());
        let (policy_tx, policy) = watch::channel(Policy::unknown(self.engine));
        let context = Context {
            database: self.database.clone(),
            tables: self.tables.clone(),
            node: self.node.clone(),
            bus: self.bus.clone(),
            statuses,
            hostname: hostname(),
            policy,
            turns: Turns::default(),
            lasting: LastingHoles::default(),
            news: LoadNews::default(),
        };
        let stop = shutdown.child_token();
        let mut tasks = JoinSet::new();
        let ended = self
            .supervise(&context, &policy_tx, lock, &stop, &mut tasks)
            .await;
        stop.cancel();
        // The last sender of statuses goes with the last task.
        drop(context);
        let grace = match ended {
            Ended::Stopped | Ended::Removed => STOP_GRACE,
            Ended::LockLost | Ended::Panicked => LOST_GRACE,
        };
        let finish = async {
            while let Some(finished) = tasks.join_next().await {
                report_panic(finished);
            }
            (&mut status_task).await
        };
        match timeout(grace, finish).await {
            Ok(sent) => report_panic(sent),
            Err(_) => {
                tracing::warn!(engine = %self.engine.name, "what is not finished in time is rolled back");
                tasks.shutdown().await;
                status_task.abort();
            }
        }
        ended
    }

    /// Whether the capture agent found that the node takes no part any more. Not while the database does not say so.
    async fn is_removed(&self) -> bool {
        let asked = async {
            let mut conn = self.database.conn().await?;
            registration::is_removed(&mut conn, self.tables).await
        };
        asked.await.unwrap_or(false)
    }

    /// Where the switch that keeps triggers quiet is a row, a statement may have committed it before a crash: nothing that
    /// the application writes would be captured.
    async fn take_origin_back(&self) {
        if let Some(off) = dialect::of(self.database.kind()).origin_off(self.tables)
            && let Err(err) = self.database.execute(&off.sql, &off.params).await
        {
            tracing::warn!(node_id = %self.node, error = %err, "what a crash may have left is not looked for");
        }
    }

    /// Hands on what the node's tables say, and starts a task for each channel that appears. A channel that was
    /// deleted goes on until the loader ends: what was sent on it still arrives.
    async fn supervise(
        &self,
        context: &Context,
        policy: &watch::Sender<Policy>,
        lock: &mut NodeLock,
        stop: &CancellationToken,
        tasks: &mut JoinSet<()>,
    ) -> Ended {
        let mut purging = None;
        tasks.spawn(contact::run(context.clone(), stop.clone()));
        let mut freshness = Freshness::new(&self.bus, self.engine, self.database, self.tables);
        let mut look = Look::new(self.database, self.tables, self.engine, &self.node);
        let mut known = HashSet::new();
        let mut told = String::new();
        let mut asked = Instant::now();
        loop {
            let settled = timeout(LOOK_MAX, freshness.is_settled()).await.unwrap_or(false);
            match timeout(LOOK_MAX, look.read(settled)).await {
                Ok(Ok(now)) => {
                    told.clear();
                    let appeared = now.channels.keys().filter(|channel| !known.contains(*channel));
                    let appeared: Vec<ChannelId> = appeared.cloned().collect();
                    // All of them before the first one begins: it may have to wait for another.
                    for (channel, of) in &now.channels {
                        let begins = now.pause(channel).is_none() && policy.borrow().pause(channel).is_some();
                        if let (true, Some(order)) = (begins, of.order) {
                            context.turns.announce(channel, order);
                        }
                    }
                    policy.send_if_modified(|held| {
                        let news = *held != now;
                        *held = now;
                        news
                    });
                    for channel in appeared {
                        tracing::debug!(node_id = %self.node, channel = %channel, "loading a channel");
                        tasks.spawn(ChannelTask::new(context.clone(), channel.clone()).run(stop.clone()));
                        known.insert(channel);
                    }
                    purging.get_or_insert_with(|| tasks.spawn(purge::run(context.clone(), stop.clone())));
                }
                // It goes on by what it read last.
                Ok(Err(err)) if err.disposition != Disposition::Retry && err.message != told => {
                    tracing::warn!(node_id = %self.node, error = %err, "what the loader follows is not read");
                    told = err.message;
                }
                Ok(Err(err)) => {
                    tracing::debug!(node_id = %self.node, error = %err, "what the loader follows is not read");
                }
                Err(_) => {
                    tracing::debug!(node_id = %self.node, "what the loader follows is not read in time");
                }
            }
            if timeout(LOOK_MAX, self.is_removed()).await.unwrap_or(false) {
                return Ended::Removed;
            }
            // Tasks end by themselves only by a bug; the others are not to go on without their channel.
            if !stop.is_cancelled()
                && let Some(ended) = tasks.try_join_next()
            {
                report_panic(ended);
                return Ended::Panicked;
            }
            if asked.elapsed() >= LOCK {
                if !lock.is_alive().await {
                    return Ended::LockLost;
                }
                asked = Instant::now();
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ended::Stopped,
                () = freshness.connected() => policy.send_modify(|held| held.settled = false),
                () = tokio::time::sleep(if settled { LOOK } else { SOON }) => {}
            }
        }
    }
}

fn report_panic(finished: Result<(), JoinError>) {
    if let Err(err) = finished
        && err.is_panic()
    {
        tracing::error!(error = %err, "a task of the loader panicked");
    }
}
