//! The registration server's part of the router: the configuration's versions, and who may take part.
//!
//! Owns nothing but what stands in its own database, and opens no other. Any number of routers may do this for
//! one database at once.

mod configuration;
mod registration;
mod version;

use crate::error::Error;
use std::time::Duration;
use symstream_nats::Bus;
use symstream_shared::db::{Database, DbError};
use symstream_shared::engine::Engine;
use symstream_shared::retry::{Backoff, Disposition};
use symstream_shared::schema::{self, Tables};
use tokio_util::sync::CancellationToken;

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
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(10));
        loop {
            match registrar.prepare().await {
                Ok(()) => return Ok(Some(registrar)),
                Err(err) if err.disposition == Disposition::Retry => {
                    if backoff.attempts() == 0 {
                        tracing::warn!(error = %err, "waiting for the registration server's database");
                    }
                }
                Err(err) => return Err(err.into()),
            }
            tokio::select! {
                () = shutdown.cancelled() => return Ok(None),
                () = tokio::time::sleep(backoff.next_pause()) => {}
            }
        }
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

    async fn prepare(&self) -> Result<(), DbError> {
        schema::create(&self.database, &self.tables).await?;
        schema::ensure_identity(&self.database, &self.tables, &self.engine)
            .await
            .map(drop)
    }
}
