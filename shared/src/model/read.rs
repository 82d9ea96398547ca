//! Reading a node's own tables.

use super::config::Config;
use super::error::ModelError;
use super::state::state_number;
use super::travel::{TravelTable, travel_tables};
use crate::db::{DatabaseKind, DbError, Sql, time_ms, time_text};
use crate::id::NodeId;
use crate::schema::{ColumnSpec, ColumnType, Tables};
use crate::wire::{Configuration, ConfigurationTable};

/// The state that holds the version of the configuration in a node's own tables.
pub(super) const CONFIG_VERSION: &str = "config_version";

/// Reads the configuration tables: what travels of them, the rows in the order of their keys, so that equal
/// configurations give equal results on every dialect. Never a password, nor what a heartbeat changes.
///
/// # Errors
/// [`DbError`] as the database says.
pub async fn read_configuration(
    sql: &mut dyn Sql,
    tables: &Tables,
) -> Result<Vec<ConfigurationTable>, DbError> {
    let mut configuration = Vec::new();
    for table in travel_tables() {
        configuration.push(read_table(sql, tables, &table).await?);
    }
    Ok(configuration)
}

/// Reads the configuration that the node's own tables hold, with the version that was adopted last. In a
/// transaction of one snapshot, where the tables may change meanwhile.
///
/// # Errors
/// [`ModelError`] when the database can not be read or a value is not valid.
pub async fn local_configuration(sql: &mut dyn Sql, tables: &Tables) -> Result<Config, ModelError> {
    let version = state_number(sql, tables, CONFIG_VERSION).await?.unwrap_or(0);
    let tables = read_configuration(sql, tables).await?;
    Config::from_wire(&Configuration { version, tables })
}

/// Who the database's node is (`sym_node_identity`); `None` before it is registered.
///
/// # Errors
/// [`DbError`] as the database says.
pub async fn identity(sql: &mut dyn Sql, tables: &Tables) -> Result<Option<NodeId>, DbError> {
    let table = tables.name("node_identity");
    let Some(row) = sql
        .query_opt(&format!("select node_id from {table}"), &[])
        .await?
    else {
        return Ok(None);
    };
    NodeId::new(row.text(0)?)
        .map(Some)
        .map_err(|err| DbError::unexpected(format!("{table}: {err}")))
}

/// Reads one table as it travels.
pub(super) async fn read_table(
    sql: &mut dyn Sql,
    tables: &Tables,
    table: &TravelTable,
) -> Result<ConfigurationTable, DbError> {
    let kind = sql.kind();
    let expressions: Vec<String> = table
        .columns
        .iter()
        .map(|column| expression(kind, column))
        .collect();
    let query = format!(
        "select {} from {}",
        expressions.join(", "),
        tables.name(table.spec.name)
    );
    let mut rows = Vec::new();
    for row in sql.query(&query, &[]).await? {
        let values = table.columns.iter().enumerate().map(|(index, column)| {
            let value = row.opt_text(index)?;
            Ok(if column.column_type == ColumnType::Timestamp {
                value.map(canonical_time)
            } else {
                value
            })
        });
        rows.push(values.collect::<Result<Vec<_>, DbError>>()?);
    }
    let key = table.key_indexes();
    rows.sort_by(|a, b| {
        key.iter()
            .map(|index| &a[*index])
            .cmp(key.iter().map(|index| &b[*index]))
    });
    Ok(ConfigurationTable {
        name: table.spec.name.to_owned(),
        columns: table
            .columns
            .iter()
            .map(|column| column.name.to_owned())
            .collect(),
        rows,
    })
}

fn expression(kind: DatabaseKind, column: &ColumnSpec) -> String {
    match column.column_type {
        ColumnType::Timestamp => kind.time_as_text(column.name),
        _ => kind.as_text(column.name),
    }
}

/// The dialects keep different fractions of a second: milliseconds are what all of them have. What is no time
/// stays, for the check that names its place.
fn canonical_time(text: String) -> String {
    time_ms(&text).map_or(text, time_text)
}
