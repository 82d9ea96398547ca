//! The loader of one node: waits for what it needs, then runs one task for each channel.

use crate::channel::{ChannelTask, Context};
use crate::error::Error;
use crate::status;
use crate::wait::{Pending, Waiting};
use std::collections::HashSet;
use std::time::Duration;
use symstream_nats::Bus;
use symstream_shared::db::{Database, DbError, NodeLock};
use symstream_shared::engine::Engine;
use symstream_shared::hostname::hostname;
use symstream_shared::id::{ChannelId, NodeId};
use symstream_shared::model;
use symstream_shared::retry::Disposition;
use symstream_shared::schema::Tables;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

/// How often the channels are looked up.
const LOOK: Duration = Duration::from_secs(1);
/// Every how many looks the lock is asked for; it has to be every few seconds ([`NodeLock::is_alive`]).
const LOOKS_PER_LOCK: u32 = 4;
/// How long batches in hand may take when the loader stops; then they are rolled back.
const STOP_GRACE: Duration = Duration::from_secs(10);
/// The same when the lock is lost: another loader may be at work, and the database may be away.
const LOST_GRACE: Duration = Duration::from_secs(1);

/// The loader of one engine.
pub struct Agent {
    engine: Engine,
}

/// Why a term as the node's active loader ended.
enum Ended {
    Stopped,
    LockLost,
    Panicked,
}

impl Agent {
    /// A loader for `engine`. Does nothing until it runs.
    pub fn new(engine: Engine) -> Self {
        Self { engine }
    }

    /// Loads until `shutdown`; `Ok` then. Waits, with one line in the log for each thing it waits for, for the
    /// database, for the node's registration (the capture agent's work), for another loader of the same node
    /// to go, and for NATS. Finishes the batches in hand when it is asked to stop.
    ///
    /// # Errors
    /// [`Error`] for what a person has to change.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Error> {
        let database = self.engine.database().map_err(Error::Database)?;
        let tables = Tables::new(&self.engine.table_prefix)?;
        let result = self.terms(&database, &tables, &shutdown).await;
        database.close().await;
        result
    }

    async fn terms(
        &self,
        database: &Database,
        tables: &Tables,
        shutdown: &CancellationToken,
    ) -> Result<(), Error> {
        loop {
            let waiting = Waiting::new(&self.engine.name, shutdown);
            let Some(node) = waiting.until(|| identity(database, tables)).await? else {
                return Ok(());
            };
            let name = format!("{}_loader", tables.prefix());
            let Some(bus) = waiting.until(|| bus(&self.engine)).await? else {
                return Ok(());
            };
            let Some(mut lock) = waiting.until(|| lock(database, &name)).await? else {
                return Ok(());
            };
            let ended = self.term(database, tables, node, bus, &mut lock, shutdown).await;
            lock.release().await;
            match ended {
                Ended::Stopped => return Ok(()),
                Ended::Panicked => tokio::time::sleep(LOOK).await,
                Ended::LockLost => {
                    tracing::warn!(engine = %self.engine.name, "the loader's lock on its database is lost; starting over");
                }
            }
        }
    }

    async fn term(
        &self,
        database: &Database,
        tables: &Tables,
        node: NodeId,
        bus: Bus,
        lock: &mut NodeLock,
        shutdown: &CancellationToken,
    ) -> Ended {
        tracing::info!(engine = %self.engine.name, node_id = %node, database = %database.address(), "loading");
        let (statuses, mut status_task) = status::sender(bus.clone());
        let context = Context {
            database: database.clone(),
            tables: tables.clone(),
            node,
            bus,
            statuses,
            hostname: hostname(),
        };
        let stop = shutdown.child_token();
        let mut tasks = JoinSet::new();
        let ended = supervise(&context, lock, &stop, &mut tasks).await;
        stop.cancel();
        // The last sender of statuses goes with the last task.
        drop(context);
        let grace = match ended {
            Ended::Stopped => STOP_GRACE,
            Ended::LockLost | Ended::Panicked => LOST_GRACE,
        };
        let finish = async {
            while let Some(finished) = tasks.join_next().await {
                report_panic(finished);
            }
            (&mut status_task).await
        };
        match tokio::time::timeout(grace, finish).await {
            Ok(sent) => report_panic(sent),
            Err(_) => {
                tracing::warn!(engine = %self.engine.name, "what is not finished in time is rolled back");
                tasks.shutdown().await;
                status_task.abort();
            }
        }
        ended
    }
}

/// Starts a task for each channel that appears, until `stop` or until the lock is lost. A channel that was
/// deleted goes on until the loader ends: what was sent on it still arrives.
async fn supervise(
    context: &Context,
    lock: &mut NodeLock,
    stop: &CancellationToken,
    tasks: &mut JoinSet<()>,
) -> Ended {
    let mut known = HashSet::new();
    let mut looks: u32 = 0;
    loop {
        match channels(&context.database, &context.tables).await {
            Ok(channels) => {
                for channel in channels {
                    if known.insert(channel.clone()) {
                        tracing::debug!(node_id = %context.node, channel = %channel, "loading a channel");
                        tasks.spawn(ChannelTask::new(context.clone(), channel).run(stop.clone()));
                    }
                }
            }
            Err(err) => tracing::debug!(node_id = %context.node, error = %err, "channels are not read"),
        }
        // Tasks end by themselves only by a bug; the others are not to go on without their channel.
        if !stop.is_cancelled()
            && let Some(ended) = tasks.try_join_next()
        {
            report_panic(ended);
            return Ended::Panicked;
        }
        if looks.is_multiple_of(LOOKS_PER_LOCK) && !lock.is_alive().await {
            return Ended::LockLost;
        }
        looks = looks.wrapping_add(1);
        tokio::select! {
            biased;
            () = stop.cancelled() => return Ended::Stopped,
            () = tokio::time::sleep(LOOK) => {}
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

/// The configured channels, and those that something is left of.
async fn channels(database: &Database, tables: &Tables) -> Result<Vec<ChannelId>, DbError> {
    let question = format!(
        "select channel_id from {} union select channel_id from {}",
        tables.name("channel"),
        tables.name("incoming_lane")
    );
    let rows = database.query(&question, &[]).await?;
    let mut channels = vec![ChannelId::reload()];
    for row in rows {
        channels.push(ChannelId::new(row.text(0)?).map_err(|err| DbError::unexpected(err.to_string()))?);
    }
    Ok(channels)
}

async fn identity(database: &Database, tables: &Tables) -> Result<NodeId, Pending> {
    let mut conn = database
        .conn()
        .await
        .map_err(|err| pending("the database", err))?;
    match model::identity(&mut conn, tables).await {
        Ok(Some(node)) => Ok(node),
        Ok(None) => Err(Pending::Wait(
            "the node's registration",
            format!("{} has no row", tables.name("node_identity")),
        )),
        // The capture agent makes the tables.
        Err(err) if err.disposition == Disposition::Hold => {
            Err(Pending::Wait("the node's registration", err.message))
        }
        Err(err) => Err(pending("the database", err)),
    }
}

async fn lock(database: &Database, name: &str) -> Result<NodeLock, Pending> {
    match NodeLock::try_acquire(database, name).await {
        Ok(Some(lock)) => Ok(lock),
        Ok(None) => Err(Pending::Wait(
            "another loader of this node to stop",
            format!("the lock {name} is held"),
        )),
        Err(err) => Err(pending("the database", err)),
    }
}

async fn bus(engine: &Engine) -> Result<Bus, Pending> {
    Bus::connect(engine, "loader").await.map_err(|err| {
        if err.is_fatal() {
            Pending::Never(Error::Bus(err))
        } else {
            Pending::Wait("nats", err.to_string())
        }
    })
}

fn pending(what: &'static str, err: DbError) -> Pending {
    if err.disposition == Disposition::Fatal {
        Pending::Never(Error::Database(err))
    } else {
        Pending::Wait(what, err.message)
    }
}
