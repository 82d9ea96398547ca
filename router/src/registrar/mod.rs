//! The registration server's part of the router: the configuration's versions, and who may take part.
//!
//! Owns nothing but what stands in its own database, and opens no other. Any number of routers may do this for
//! one database at once.

mod configuration;
mod free;
mod heartbeat;
mod news;
mod registration;
mod relay;
mod removal;
mod version;

pub(crate) use relay::Relay;

use crate::error::Error;
use std::time::Duration;
use symstream_nats::Bus;
use symstream_shared::db::{Database, DbError};
use symstream_shared::engine::Engine;
use symstream_shared::retry::{Backoff, Disposition};
use symstream_shared::schema::{self, Tables};
use tokio_util::sync::CancellationToken;

/// After how long it says that it waits for the database.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long one piece of work with the database may take. A host that vanished never answers.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// Ends work with the database that takes too long, as if the connection had been lost.
async fn in_time<T, E: From<DbError>>(work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    tokio::time::timeout(ANSWER_WITHIN, work)
        .await
        .unwrap_or_else(|_| {
            let message = format!("no answer within {} s", ANSWER_WITHIN.as_secs());
            Err(DbError {
                disposition: Disposition::Retry,
                ..DbError::unexpected(message)
            }
            .into())
        })
}

/// What the registrar's loops work with.
#[derive(Clone)]
pub(crate) struct Registrar {
    bus: Bus,
    database: Database,
    tables: Tables,
    engine: Engine,
}

impl Registrar {
    /// Opens the database and makes what is missing in it; waits until it can be reached.
    ///
    /// # Errors
    /// [`Error::Database`] when it refuses for good, [`Error::Settings`]. `None` when asked to stop meanwhile.
    pub(crate) async fn open(
        engine: &Engine,
        bus: &Bus,
        shutdown: &CancellationToken,
    ) -> Result<Option<Self>, Error> {
        let tables = Tables::new(&engine.table_prefix).map_err(|err| Error::Settings(err.to_string()))?;
        let registrar = Self {
            bus: bus.clone(),
            database: engine.database()?,
            tables,
            engine: engine.clone(),
        };
        let prepared = tokio::select! {
            biased;
            () = shutdown.cancelled() => return Ok(None),
            prepared = registrar.prepare_patiently() => prepared,
        };
        prepared?;
        Ok(Some(registrar))
    }

    /// Publishes the configuration until asked to stop.
    ///
    /// # Errors
    /// [`Error::Database`] when the database refuses the login.
    pub(crate) async fn publish_configurations(self, shutdown: CancellationToken) -> Result<(), Error> {
        configuration::run(self, shutdown).await
    }

    /// Answers requests for registration until asked to stop.
    ///
    /// # Errors
    /// [`Error::Database`] when the database refuses the login.
    pub(crate) async fn answer_registrations(self, shutdown: CancellationToken) -> Result<(), Error> {
        registration::run(self, shutdown).await
    }

    /// Closes open registrations whose time is over, and notes those that were opened by SQL, until asked to stop.
    ///
    /// # Errors
    /// [`Error::Database`] when the database refuses the login.
    pub(crate) async fn watch_openings(self, shutdown: CancellationToken) -> Result<(), Error> {
        registration::openings::run(self, shutdown).await
    }

    /// Removes what NATS keeps for nodes that were removed, until asked to stop.
    ///
    /// # Errors
    /// [`Error::Database`] when the database refuses the login.
    pub(crate) async fn clear_up(self, shutdown: CancellationToken) -> Result<(), Error> {
        removal::run(self, shutdown).await
    }

    /// Records nodes' heartbeats until asked to stop.
    ///
    /// # Errors
    /// [`Error::Database`] when the database refuses the login.
    pub(crate) async fn record_heartbeats(self, shutdown: CancellationToken) -> Result<(), Error> {
        heartbeat::run(self, shutdown).await
    }

    /// Frees what waits for nodes that need a reload, until asked to stop.
    ///
    /// # Errors
    /// None for now; it is one of the registrar's loops.
    pub(crate) async fn free_lanes(self, shutdown: CancellationToken) -> Result<(), Error> {
        free::run(self, shutdown).await
    }

    /// Makes the tables and the server's own identity, however long the database is away.
    async fn prepare_patiently(&self) -> Result<(), DbError> {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(10));
        let patience = tokio::time::sleep(PATIENCE);
        tokio::pin!(patience);
        let mut is_told = false;
        loop {
            let attempt = self.prepare();
            tokio::pin!(attempt);
            let done = tokio::select! {
                biased;
                done = &mut attempt => done,
                () = &mut patience, if !is_told => {
                    is_told = true;
                    let database = self.database.address();
                    tracing::warn!(database, "waiting for the registration server's database");
                    attempt.await
                }
            };
            match done {
                Err(err) if err.disposition == Disposition::Retry => {
                    tracing::debug!(error = %err, "the database is not there yet");
                    tokio::time::sleep(backoff.next_pause()).await;
                }
                done => return done,
            }
        }
    }

    async fn prepare(&self) -> Result<(), DbError> {
        schema::create(&self.database, &self.tables).await?;
        schema::ensure_identity(&self.database, &self.tables, &self.engine)
            .await
            .map(drop)
    }
}
