//! Whether the node's own tables say what the registration server says now.
//!
//! What was decided while the node was away (it is disabled, a channel is suspended) is to hold before its batches are
//! taken. The capture agent brings the configuration; the loader asks, after each connection to NATS, which version
//! is the newest, and waits for it a little.

use std::time::Duration;
use symstream_nats::Bus;
use symstream_shared::db::{Database, DbError};
use symstream_shared::engine::Engine;
use symstream_shared::model;
use symstream_shared::schema::Tables;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

/// How long batches wait for a configuration. The capture agent may not run, or refuse it.
const PATIENCE: Duration = Duration::from_secs(10);
/// The state that holds the version in the node's own tables.
const CONFIG_VERSION: &str = "config_version";
/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(2);

/// Follows the connections to NATS.
pub(crate) struct Freshness<'a> {
    bus: &'a Bus,
    engine: &'a Engine,
    database: &'a Database,
    tables: &'a Tables,
    connections: watch::Receiver<u64>,
    state: State,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// Nobody was asked since the connection was made.
    Unknown { since: Instant },
    /// The newest version is known, and was not here at the last look.
    Behind { since: Instant, newest: i64 },
    /// It is here, or was waited for long enough.
    Settled,
}

impl<'a> Freshness<'a> {
    /// For a loader that begins.
    pub(crate) fn new(bus: &'a Bus, engine: &'a Engine, database: &'a Database, tables: &'a Tables) -> Self {
        let mut connections = bus.connections();
        connections.mark_unchanged();
        Self {
            connections,
            bus,
            engine,
            database,
            tables,
            state: State::Unknown {
                since: Instant::now(),
            },
        }
    }

    /// Waits for another connection to be made. May be dropped.
    pub(crate) async fn connected(&mut self) {
        if self.connections.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
        self.state = State::Unknown {
            since: Instant::now(),
        };
    }

    /// Whether batches may be taken by what the node's tables say.
    pub(crate) async fn is_settled(&mut self) -> bool {
        // The registration server's tables are the truth itself.
        if self.engine.is_registration_server() {
            return true;
        }
        if let State::Unknown { since } = self.state
            && let Some(newest) = self.newest().await
        {
            self.state = State::Behind { since, newest };
        }
        let (State::Unknown { since } | State::Behind { since, .. }) = self.state else {
            return true;
        };
        let here = match (self.state, self.version().await) {
            (State::Behind { newest, .. }, Ok(version)) => version >= newest,
            _ => false,
        };
        if !here && since.elapsed() < PATIENCE {
            return false;
        }
        if !here {
            tracing::warn!(engine = %self.engine.name, "the newest configuration has not come; batches are taken by the one that is here");
        }
        self.state = State::Settled;
        true
    }

    /// The newest version; `None` while nobody says it.
    async fn newest(&self) -> Option<i64> {
        let latest = self.bus.latest_configuration(self.engine.server());
        let why = match timeout(ANSWER, latest).await {
            Ok(Ok(latest)) => return Some(latest.map_or(0, |latest| latest.version)),
            Ok(Err(err)) => err.to_string(),
            Err(_) => "no answer".to_owned(),
        };
        tracing::debug!(engine = %self.engine.name, error = %why, "the newest configuration is not known");
        None
    }

    async fn version(&self) -> Result<i64, DbError> {
        let mut conn = self.database.conn().await?;
        let version = model::state_number(&mut conn, self.tables, CONFIG_VERSION).await?;
        Ok(version.unwrap_or(0))
    }
}
