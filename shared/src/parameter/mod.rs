//! Parameters: settings that have a default and may be changed while the services run.
//!
//! Owns their names, types, units and ranges, and which layer's value holds: default < engine file < `sym_parameter`
//! (`ALL` < group < external id) < environment < command line (`spec/contract.md`, engines). Refuses to know what
//! the values are used for.

mod catalogue;
mod layer;
mod value;

pub use catalogue::{CATALOGUE, Parameter, ParameterError};
pub use layer::{Effective, Origin, ParameterRow, Whose, effective};

use crate::db::{DbError, Sql};
use crate::engine::Engine;
use crate::schema::Tables;
use std::time::Duration;

/// The values in force at one node. What each means stands in the [`CATALOGUE`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameters {
    /// `capture.poll.interval.max`
    pub capture_poll_interval_max: Duration,
    /// `capture.transaction.max.rows`; `None`: never cut.
    pub capture_transaction_max_rows: Option<u64>,
    /// `heartbeat.interval`
    pub heartbeat_interval: Duration,
    /// `pull.interval`; zero: the loader always asks.
    pub pull_interval: Duration,
    /// `purge.retention`
    pub purge_retention: Duration,
    /// `purge.interval`
    pub purge_interval: Duration,
    /// `sync.triggers.time`, in minutes after midnight, local time.
    pub sync_triggers_minute: u32,
    /// `schema.version`
    pub schema_version: Option<String>,
    /// `auto.registration`
    pub auto_registration: bool,
    /// `registration.open.hours`; 0: an open registration stays open.
    pub registration_open_hours: u64,
    /// `registration.secret.required`
    pub registration_secret_required: bool,
    /// `initial.load.create.first`
    pub initial_load_create_first: bool,
    /// `initial.load.delete.first`
    pub initial_load_delete_first: bool,
    /// `backlog.age.max`; `None`: no limit.
    pub backlog_age_max: Option<Duration>,
    /// `backlog.batches.max`; `None`: no limit.
    pub backlog_batches_max: Option<u64>,
    /// `backlog.bytes.max`; `None`: no limit.
    pub backlog_bytes_max: Option<u64>,
    /// `group.broadcast.nodes.min`; at least 1.
    pub group_broadcast_nodes_min: u64,
}

impl Parameters {
    /// The values without `sym_parameter`, for before the database is there.
    pub fn of(engine: &Engine) -> Self {
        Self::from_effective(&effective(engine, &[]))
            .expect("an engine's own values were checked when it was read")
    }

    /// The values in force, with the node's own `sym_parameter`. Rows with names that nobody knows are passed over.
    ///
    /// # Errors
    /// [`DbError`] as the database says; and that names parameter, value and range when one is wrong: what was in
    /// force before stays so.
    pub async fn read(sql: &mut dyn Sql, tables: &Tables, engine: &Engine) -> Result<Self, DbError> {
        let rows = rows_for(sql, tables, engine).await?;
        Self::from_effective(&effective(engine, &rows))
            .map_err(|err| DbError::unexpected(err.to_string()).context(tables.name("parameter")))
    }

    /// The values in force at another node, as far as the configuration tells: default < `sym_parameter`. What its engine
    /// file or environment say, nobody else knows.
    ///
    /// # Errors
    /// [`ParameterError`] for a value that its parameter does not take; none that a valid configuration has.
    pub fn of_node(rows: &[ParameterRow], whose: Whose<'_>) -> Result<Self, ParameterError> {
        let mut parameters = Self::unset();
        for parameter in &CATALOGUE {
            let value = layer::most_specific(whose, rows, parameter.name);
            parameter.apply(
                value.as_ref().map_or(parameter.default, |(value, _)| value),
                &mut parameters,
            )?;
        }
        Ok(parameters)
    }

    fn from_effective(values: &[Effective]) -> Result<Self, ParameterError> {
        let mut parameters = Self::unset();
        for Effective { parameter, value, .. } in values {
            parameter.apply(value, &mut parameters)?;
        }
        Ok(parameters)
    }

    /// What the catalogue's values go into: each is overwritten.
    fn unset() -> Self {
        Self {
            capture_poll_interval_max: Duration::ZERO,
            capture_transaction_max_rows: None,
            heartbeat_interval: Duration::ZERO,
            pull_interval: Duration::ZERO,
            purge_retention: Duration::ZERO,
            purge_interval: Duration::ZERO,
            sync_triggers_minute: 0,
            schema_version: None,
            auto_registration: false,
            registration_open_hours: 0,
            registration_secret_required: false,
            initial_load_create_first: false,
            initial_load_delete_first: false,
            backlog_age_max: None,
            backlog_batches_max: None,
            backlog_bytes_max: None,
            group_broadcast_nodes_min: 1,
        }
    }
}

/// The rows of `sym_parameter` that are for the engine's node, those with unknown names too, in the order of the key.
///
/// # Errors
/// [`DbError`] as the database says.
pub async fn rows_for(
    sql: &mut dyn Sql,
    tables: &Tables,
    engine: &Engine,
) -> Result<Vec<ParameterRow>, DbError> {
    let query = format!(
        "select external_id, node_group_id, param_key, param_value from {} \
         where external_id in (?, 'ALL') order by param_key, external_id, node_group_id",
        tables.name("parameter")
    );
    let mut rows = Vec::new();
    for row in sql.query(&query, &[engine.external_id.as_str().into()]).await? {
        let row = ParameterRow {
            external_id: row.text(0)?,
            group: row.text(1)?,
            name: row.text(2)?,
            value: row.text(3)?,
        };
        // MySQL finds other spellings of the external id as well.
        if row.origin(Whose::of(engine)).is_some() {
            rows.push(row);
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests;
