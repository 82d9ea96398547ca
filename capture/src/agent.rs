//! The life of a capture agent.
//!
//! 1. Wait for the database, create or complete its `sym_` tables.
//! 2. Take the node's lock, or wait for the agent that has it.
//! 3. Learn who the node is: at the registration server it says so itself, elsewhere it asks for its registration.
//! 4. Run the loops ([`crate::loops`]) until the lock is lost or the agent is asked to stop.
//!
//! When the node was removed at the registration server, the loops stop, and it asks to be registered again. When the lock is lost, all loops stop and the agent begins anew. What a second agent that believes in its lock
//! could do meanwhile is fenced: positions and batch numbers by what stands in `sym_state`, publishing by the
//! subject's last message.

use crate::error::Error;
use crate::source::Source;
use crate::supervision::until_done;
use crate::{loops, parameters, registration, restored};
use std::sync::Arc;
use std::time::Duration;
use symstream_shared::db::{Database, NodeLock};
use symstream_shared::engine::Engine;
use symstream_shared::id::NodeId;
use symstream_shared::parameter::Parameters;
use symstream_shared::retry::Disposition;
use symstream_shared::schema::{self, Tables};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How often the lock is asked for; MySQL frees the lock of a connection that is silent for 20 s.
const LOCK_EVERY: Duration = Duration::from_secs(2);
/// What the loops have to end after a shutdown; they stop between two steps, and every step can be resumed.
const STOP_WITHIN: Duration = Duration::from_secs(10);

/// The capture agent of one engine.
pub struct Agent {
    engine: Engine,
}

impl Agent {
    /// An agent for `engine`. Connects to nothing yet.
    pub fn new(engine: Engine) -> Self {
        Self { engine }
    }

    /// Captures until `shutdown`. A database or NATS that is away is waited for.
    ///
    /// # Errors
    /// [`Error`] that only a person can do something about: settings, credentials, a privilege that is missing.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Error> {
        let engine = Arc::new(self.engine);
        let tables = Tables::new(&engine.table_prefix)
            .map_err(|err| Error::Settings(format!("sync.table.prefix: {err}")))?;
        let database = engine.database()?;
        let agent = Prepared {
            engine,
            tables,
            database,
        };
        while !shutdown.is_cancelled() {
            match agent.live(&shutdown).await {
                Ok(()) => {}
                // It waits to be registered again.
                Err(err @ Error::Removed { .. }) => tracing::warn!(engine = %agent.engine.name, "{err}"),
                Err(err) if err.disposition() == Disposition::Fatal => {
                    agent.close().await;
                    return Err(err);
                }
                Err(err) => tracing::warn!(engine = %agent.engine.name, error = %err, "capture begins anew"),
            }
        }
        agent.close().await;
        Ok(())
    }
}

struct Prepared {
    engine: Arc<Engine>,
    tables: Tables,
    database: Database,
}

impl Prepared {
    /// One life, from the lock to its loss or the shutdown.
    async fn live(&self, shutdown: &CancellationToken) -> Result<(), Error> {
        let name = |what: &str| format!("capture of engine {}: {what}", self.engine.name);
        let what = name(self.database.address());
        let made = until_done(&what, shutdown, || async {
            schema::create(&self.database, &self.tables)
                .await
                .map_err(Error::from)
        });
        if made.await?.is_none() {
            return Ok(());
        }
        let Some(lock) = until_done(&name("the node's lock"), shutdown, || self.lock()).await? else {
            return Ok(());
        };
        let life = shutdown.child_token();
        let ended = match self.source(shutdown).await {
            Ok(Some((source, parameters))) => return self.run_loops(source, parameters, lock, life).await,
            Ok(None) => Ok(()),
            Err(err) => Err(err),
        };
        lock.release().await;
        ended
    }

    /// A connection whose server is gone may never come back to the pool.
    async fn close(&self) {
        if tokio::time::timeout(STOP_WITHIN, self.database.close())
            .await
            .is_err()
        {
            tracing::debug!(engine = %self.engine.name, "connections to the database did not close in time");
        }
    }

    async fn lock(&self) -> Result<NodeLock, Error> {
        let name = self.tables.name("capture");
        NodeLock::try_acquire(&self.database, &name)
            .await?
            .ok_or(Error::Locked)
    }

    /// The source, with the end of its parameters that changes them; `None` when asked to stop.
    async fn source(
        &self,
        shutdown: &CancellationToken,
    ) -> Result<Option<(Source, watch::Sender<Arc<Parameters>>)>, Error> {
        let Some(node) = self.identity(shutdown).await? else {
            return Ok(None);
        };
        let what = format!("capture of engine {}: its parameters", self.engine.name);
        let read = || async {
            match parameters::read(&self.database, &self.tables, &self.engine).await {
                // A value is wrong, which the loop that reads them says. Capturing goes on meanwhile.
                Err(err) if err.disposition() == Disposition::Hold => Ok(Parameters::of(&self.engine)),
                read => read,
            }
        };
        let Some(parameters) = until_done(&what, shutdown, read).await? else {
            return Ok(None);
        };
        let parameters = watch::Sender::new(Arc::new(parameters));
        let source = Source {
            engine: Arc::clone(&self.engine),
            database: self.database.clone(),
            tables: self.tables.clone(),
            node,
            parameters: parameters.subscribe(),
        };
        // Before anything is read: batches that are cut hide that the database was restored.
        let what = format!(
            "capture of engine {}: the batch ids that it gave out",
            self.engine.name
        );
        let noted = until_done(&what, shutdown, || restored::note_given_out(&source)).await?;
        Ok(noted.map(|()| (source, parameters)))
    }

    async fn identity(&self, shutdown: &CancellationToken) -> Result<Option<NodeId>, Error> {
        let Self {
            engine,
            tables,
            database,
        } = self;
        if engine.is_registration_server() {
            let what = format!("capture of engine {}: its identity", engine.name);
            return until_done(&what, shutdown, || async {
                schema::ensure_identity(database, tables, engine)
                    .await
                    .map_err(Error::from)
            })
            .await;
        }
        registration::identity(engine, database, tables, shutdown).await
    }

    async fn run_loops(
        &self,
        source: Source,
        parameters: watch::Sender<Arc<Parameters>>,
        mut lock: NodeLock,
        life: CancellationToken,
    ) -> Result<(), Error> {
        tracing::info!(node_id = %source.node, database = %self.database.address(), "capturing");
        let node = source.node.clone();
        let mut tasks = loops::start(source, parameters, &life);
        let ended = loop {
            tokio::select! {
                biased;
                () = life.cancelled() => break Ok(()),
                Some(ended) = tasks.join_next() => {
                    break ended.unwrap_or_else(|err| Err(Error::Task(err.to_string())));
                }
                () = tokio::time::sleep(LOCK_EVERY) => {
                    if !lock.is_alive().await {
                        break Err(Error::LockLost);
                    }
                }
            }
        };
        life.cancel();
        let rest = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(STOP_WITHIN, rest).await.is_err() {
            tracing::warn!(node_id = %node, "capture did not stop in time; its tasks are dropped");
        }
        tasks.shutdown().await;
        lock.release().await;
        ended
    }
}
