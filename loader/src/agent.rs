//! The loader of one node: waits for what it needs, loads, and starts over when its lock is lost.

use crate::error::Error;
use crate::term::{Ended, Term};
use crate::wait::{Pending, Waiting};
use std::time::Duration;
use symstream_nats::Bus;
use symstream_shared::db::{Database, DbError, NodeLock};
use symstream_shared::engine::Engine;
use symstream_shared::id::NodeId;
use symstream_shared::model;
use symstream_shared::registration;
use symstream_shared::retry::Disposition;
use symstream_shared::schema::Tables;
use tokio_util::sync::CancellationToken;

/// Before everything begins again after a bug.
const PANIC_PAUSE: Duration = Duration::from_secs(1);

/// The loader of one engine.
pub struct Agent {
    engine: Engine,
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
            let term = Term {
                engine: &self.engine,
                database,
                tables,
                node,
                bus,
            };
            let ended = term.run(&mut lock, shutdown).await;
            lock.release().await;
            match ended {
                Ended::Stopped => return Ok(()),
                Ended::Removed => {
                    tracing::warn!(engine = %self.engine.name, "the node was removed at its registration server; nothing is loaded any more");
                }
                Ended::Panicked => tokio::time::sleep(PANIC_PAUSE).await,
                Ended::LockLost => {
                    tracing::warn!(engine = %self.engine.name, "the loader's lock on its database is lost; starting over");
                }
            }
        }
    }
}

async fn identity(database: &Database, tables: &Tables) -> Result<NodeId, Pending> {
    let mut conn = database
        .conn()
        .await
        .map_err(|err| pending("the database", err))?;
    let is_removed = registration::is_removed(&mut conn, tables).await;
    match model::identity(&mut conn, tables).await {
        Ok(Some(_)) if matches!(is_removed, Ok(true)) => Err(Pending::Wait(
            "the node's registration",
            "it was removed at its registration server".to_owned(),
        )),
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
