//! Writing a configuration into a node's own tables.

use super::read::{CONFIG_VERSION, identity, read_table};
use super::state::set_state;
use super::travel::{TravelTable, travel_tables};
use crate::db::{DbError, Param, Sql, time_ms};
use crate::id::NodeId;
use crate::schema::{ColumnSpec, ColumnType, Tables};
use crate::wire::{Configuration, ConfigurationTable};
use std::collections::BTreeMap;

type Values = Vec<Option<String>>;

/// Makes a node's own configuration tables equal to `configuration`, and notes its version. Runs in the caller's
/// transaction: all of it or nothing. The node's identity, the passwords, and what only the node itself knows
/// (heartbeats, loads, its versions) stay as they are.
///
/// # Errors
/// [`DbError`] as the database says.
pub async fn adopt_configuration(
    tx: &mut dyn Sql,
    tables: &Tables,
    configuration: &Configuration,
) -> Result<(), DbError> {
    let own = identity(tx, tables).await?;
    for travel in travel_tables() {
        // An older server has fewer tables: what it does not know is left alone.
        if let Some(table) = configuration
            .tables
            .iter()
            .find(|table| table.name == travel.spec.name)
        {
            adopt_table(tx, tables, &travel, table, own.as_ref()).await?;
        }
    }
    set_state(tx, tables, CONFIG_VERSION, configuration.version.to_string()).await
}

async fn adopt_table(
    tx: &mut dyn Sql,
    tables: &Tables,
    travel: &TravelTable,
    wanted: &ConfigurationTable,
    own: Option<&NodeId>,
) -> Result<(), DbError> {
    let name = tables.name(travel.spec.name);
    let wanted_columns = known_columns(travel, wanted);
    let current = read_table(tx, tables, travel).await?;
    let mut present = rows_by_key(travel, &current);
    for row in &wanted.rows {
        let values: Values = wanted_columns
            .iter()
            .map(|(index, _)| row.get(*index).cloned().flatten())
            .collect();
        let key = key_of(travel, &wanted.columns, row);
        match present.remove(&key) {
            None => insert(tx, &name, travel, &wanted_columns, &values).await?,
            Some(row) => {
                let is_own = is_of(&key, own);
                let (columns, values): (Vec<_>, Values) = wanted_columns
                    .iter()
                    .zip(values)
                    .filter(|((_, column), _)| !(is_own && travel.is_kept_by_its_node(column.name)))
                    .unzip();
                let same = columns.iter().zip(&values).all(|((_, column), value)| {
                    current
                        .columns
                        .iter()
                        .position(|name| name == column.name)
                        .is_some_and(|at| row[at] == *value)
                });
                if !same {
                    update(tx, &name, travel, &columns, &values).await?;
                }
            }
        }
    }
    for key in present.into_keys() {
        // The node's own password is in this row; a node that is removed is told so in other ways.
        if travel.spec.name == "node_security" && is_of(&key, own) {
            continue;
        }
        let sql = format!("delete from {name} where {}", key_condition(travel));
        tx.execute(&sql, &key.into_iter().map(Param::from).collect::<Vec<_>>())
            .await?;
    }
    Ok(())
}

/// Whether a key begins with this node's id.
fn is_of(key: &Values, own: Option<&NodeId>) -> bool {
    own.is_some() && key.first().and_then(|id| id.as_deref()) == own.map(NodeId::as_str)
}

/// The sender's columns that this version knows, with their places in its rows.
fn known_columns(travel: &TravelTable, table: &ConfigurationTable) -> Vec<(usize, &'static ColumnSpec)> {
    let columns = table.columns.iter().enumerate();
    columns
        .filter_map(|(index, name)| Some((index, travel.column(name)?)))
        .collect()
}

fn rows_by_key<'a>(travel: &TravelTable, table: &'a ConfigurationTable) -> BTreeMap<Values, &'a Values> {
    table
        .rows
        .iter()
        .map(|row| (key_of(travel, &table.columns, row), row))
        .collect()
}

fn key_of(travel: &TravelTable, columns: &[String], row: &Values) -> Values {
    let place = |key: &&str| columns.iter().position(|name| name == key);
    travel
        .spec
        .key
        .iter()
        .map(|key| row.get(place(key)?).cloned().flatten())
        .collect()
}

fn key_condition(travel: &TravelTable) -> String {
    travel
        .spec
        .key
        .iter()
        .map(|key| format!("{key} = ?"))
        .collect::<Vec<_>>()
        .join(" and ")
}

async fn insert(
    tx: &mut dyn Sql,
    name: &str,
    travel: &TravelTable,
    columns: &[(usize, &ColumnSpec)],
    values: &Values,
) -> Result<(), DbError> {
    let mut names: Vec<&str> = columns.iter().map(|(_, column)| column.name).collect();
    let mut params: Vec<Param> = columns
        .iter()
        .zip(values)
        .map(|((_, column), value)| param(column, value))
        .collect();
    if travel.spec.name == "node_security" {
        // Other nodes' passwords are none of this node's business, but the column refuses nulls.
        names.push("password");
        params.push("".into());
    }
    let marks = vec!["?"; params.len()].join(", ");
    tx.execute(
        &format!("insert into {name} ({}) values ({marks})", names.join(", ")),
        &params,
    )
    .await
    .map(drop)
}

async fn update(
    tx: &mut dyn Sql,
    name: &str,
    travel: &TravelTable,
    columns: &[(usize, &ColumnSpec)],
    values: &Values,
) -> Result<(), DbError> {
    let (mut set, mut params, mut key) = (Vec::new(), Vec::new(), Vec::new());
    for ((_, column), value) in columns.iter().zip(values) {
        set.push(format!("{} = ?", column.name));
        params.push(param(column, value));
    }
    for key_column in travel.spec.key {
        let place = columns.iter().position(|(_, column)| column.name == *key_column);
        key.push(place.map_or(Param::Null, |place| params[place].clone()));
    }
    params.extend(key);
    let sql = format!(
        "update {name} set {} where {}",
        set.join(", "),
        key_condition(travel)
    );
    tx.execute(&sql, &params).await.map(drop)
}

/// The value as its column takes it. Values were checked when the configuration was read; one that is not valid
/// goes in as it is, for the database to refuse.
fn param(column: &ColumnSpec, value: &Option<String>) -> Param {
    let Some(text) = value else { return Param::Null };
    let typed = match column.column_type {
        ColumnType::Int | ColumnType::BigInt | ColumnType::BooleanInt => {
            text.trim().parse().ok().map(Param::Int)
        }
        ColumnType::Timestamp => time_ms(text).map(Param::Time),
        _ => None,
    };
    typed.unwrap_or_else(|| Param::Text(text.clone()))
}
