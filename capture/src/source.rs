//! The node whose changes are captured, as all loops of its agent share it.

use crate::parameters::ParameterReceiver;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use symstream_nats::Bus;
use symstream_shared::db::Database;
use symstream_shared::engine::Engine;
use symstream_shared::id::NodeId;
use symstream_shared::model::Config;
use symstream_shared::schema::Tables;
use tokio::sync::watch;

/// One node and its database. Clones are cheap.
#[derive(Clone)]
pub(crate) struct Source {
    /// The engine.
    pub engine: Arc<Engine>,
    /// Its database.
    pub database: Database,
    /// The names of its `sym_` tables.
    pub tables: Tables,
    /// Its node.
    pub node: NodeId,
    /// The parameters in force at it.
    pub parameters: ParameterReceiver,
}

/// What is known of the configuration.
#[derive(Debug, Clone, Default)]
pub(crate) struct KnownConfig {
    /// Exactly as it was published under its version; `None` until it is known. Rules are asked only with it, because
    /// the router decides by the version that a batch names.
    pub config: Option<Arc<Config>>,
    /// The connection to NATS over which the newest version was asked for last; `None` while there is none.
    pub asked_over: Option<u64>,
}

impl KnownConfig {
    /// The configuration to publish with; `None` also while it may be older than one that came out while NATS was
    /// away.
    pub(crate) fn current(&self, bus: &Bus) -> Option<Arc<Config>> {
        let connection = bus.connection()?;
        self.config
            .clone()
            .filter(|_| self.asked_over == Some(connection))
    }

    /// The version in force, as long as NATS is there to tell of newer ones.
    pub(crate) fn published(&self) -> Option<Arc<Config>> {
        self.config.clone().filter(|_| self.asked_over.is_some())
    }
}

/// Follows it.
pub(crate) type ConfigReceiver = watch::Receiver<KnownConfig>;

/// Now, in milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
