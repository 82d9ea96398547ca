//! A node that was removed: how its own database says so, and how the server's says that something is left to do.

use crate::db::{DbError, Sql};
use crate::model::{set_state, state};
use crate::schema::Tables;

/// At the registration server: the states of removed nodes for which the registrar still has to clear up begin so.
pub const REMOVAL_STATE: &str = "removed_node:";
/// At the node itself.
const REMOVED: &str = "removed_from_server";

/// The name of a removed node's state at the registration server.
pub fn removed_state(node: &str) -> String {
    format!("{REMOVAL_STATE}{node}")
}

/// Whether the database's node was removed at the registration server: it sends and takes nothing until it is registered
/// again.
///
/// # Errors
/// [`DbError`] as the database says.
pub async fn is_removed(sql: &mut dyn Sql, tables: &Tables) -> Result<bool, DbError> {
    Ok(state(sql, tables, REMOVED).await?.is_some())
}

/// Notes that the database's node was removed, by the configuration of this version.
///
/// # Errors
/// [`DbError`] as the database says.
pub async fn mark_removed(sql: &mut dyn Sql, tables: &Tables, version: i64) -> Result<(), DbError> {
    set_state(sql, tables, REMOVED, version.to_string()).await
}

/// Notes that it is registered again.
///
/// # Errors
/// [`DbError`] as the database says.
pub async fn unmark_removed(sql: &mut dyn Sql, tables: &Tables) -> Result<(), DbError> {
    let delete = format!("delete from {} where state_key = ?", tables.name("state"));
    sql.execute(&delete, &[REMOVED.into()]).await.map(drop)
}
