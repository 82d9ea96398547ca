//! `sym_state`: the agents' counters and positions by name.

use crate::db::{DbError, Param, Sql};
use crate::schema::Tables;

/// The value of a state; `None` where it was never set.
///
/// # Errors
/// [`DbError`] as the database says.
pub async fn state(sql: &mut dyn Sql, tables: &Tables, key: &str) -> Result<Option<String>, DbError> {
    let query = format!(
        "select state_value from {} where state_key = ?",
        tables.name("state")
    );
    let row = sql.query_opt(&query, &[key.into()]).await?;
    row.map_or(Ok(None), |row| row.opt_text(0))
}

/// The same for a state that is a number.
///
/// # Errors
/// [`DbError`] as the database says, or when the value is no number.
pub async fn state_number(sql: &mut dyn Sql, tables: &Tables, key: &str) -> Result<Option<i64>, DbError> {
    let table = tables.name("state");
    let query = format!("select state_value from {table} where state_key = ?");
    let row = sql.query_opt(&query, &[key.into()]).await?;
    row.map_or(Ok(None), |row| row.opt_int(0))
        .map_err(|err| err.context(format_args!("{table}, {key}")))
}

/// Sets a state, whether it was there or not.
///
/// # Errors
/// [`DbError`] as the database says.
pub async fn set_state(
    sql: &mut dyn Sql,
    tables: &Tables,
    key: &str,
    value: impl Into<Param>,
) -> Result<(), DbError> {
    let upsert = format!(
        "insert into {} (state_key, state_value) values (?, ?){}",
        tables.name("state"),
        sql.kind().or_update(&["state_key"], &["state_value"])
    );
    sql.execute(&upsert, &[key.into(), value.into()]).await.map(drop)
}
