//! Counters and positions in `sym_state`.

use crate::error::Error;
use symstream_shared::db::{DatabaseKind, Param, Sql};
use symstream_shared::schema::Tables;

/// How far the reader is, in the dialect's own terms.
pub(crate) const CAPTURE_POSITION: &str = "capture_position";
/// The batch id that was given out last.
pub(crate) const BATCH_ID: &str = "batch_id";
/// The batch id that was given out last when the agent started, while nobody has looked yet whether higher ones were
/// published ([`crate::restored`]).
pub(crate) const UNCHECKED_FROM: &str = "unchecked_from";
/// The configuration's version that the node's tables have.
pub(crate) const CONFIG_VERSION: &str = "config_version";
/// The password that the node asks for its registration with.
pub(crate) const REGISTRATION_PASSWORD: &str = "registration_password";

/// A value; `None` where there is none.
pub(crate) async fn get(sql: &mut dyn Sql, tables: &Tables, key: &str) -> Result<Option<String>, Error> {
    let statement = format!(
        "select state_value from {} where state_key = ?",
        tables.name("state")
    );
    let row = sql.query_opt(&statement, &[key.into()]).await?;
    Ok(row.map(|row| row.opt_text(0)).transpose()?.flatten())
}

/// A value that nobody else replaces before the transaction ends; `None` where there is none.
pub(crate) async fn get_locked(
    sql: &mut dyn Sql,
    tables: &Tables,
    key: &str,
) -> Result<Option<String>, Error> {
    let lock = match sql.kind() {
        DatabaseKind::Postgres | DatabaseKind::Mysql => " for update",
        // There is one writer at a time.
        DatabaseKind::Sqlite => "",
    };
    let statement = format!(
        "select state_value from {} where state_key = ?{lock}",
        tables.name("state")
    );
    let row = sql.query_opt(&statement, &[key.into()]).await?;
    Ok(row.map(|row| row.opt_text(0)).transpose()?.flatten())
}

/// A value that is a number; 0 where there is none.
pub(crate) async fn number(sql: &mut dyn Sql, tables: &Tables, key: &str) -> Result<i64, Error> {
    match get(sql, tables, key).await? {
        None => Ok(0),
        Some(text) => text.trim().parse().map_err(|_| Error::Damaged {
            table: tables.name("state"),
            why: format!("{key} is no number"),
        }),
    }
}

/// Replaces a value that still is what was read. The fence against a second agent: whoever read it before
/// somebody else wrote it changes nothing.
///
/// # Errors
/// [`Error::Displaced`] when it is something else by now; the transaction has to be rolled back.
pub(crate) async fn replace(
    sql: &mut dyn Sql,
    tables: &Tables,
    key: &str,
    before: Option<&str>,
    after: &str,
) -> Result<(), Error> {
    let table = tables.name("state");
    let written = match before {
        Some(before) => {
            let statement =
                format!("update {table} set state_value = ? where state_key = ? and state_value = ?");
            sql.execute(&statement, &[after.into(), key.into(), before.into()])
                .await?
        }
        None => {
            let statement = format!("insert into {table} (state_key, state_value) values (?, ?)");
            let params: [Param; 2] = [key.into(), after.into()];
            match sql.execute(&statement, &params).await {
                Err(err) if err.is_unique_violation(sql.kind()) => 0,
                written => written?,
            }
        }
    };
    if written == 0 {
        Err(Error::Displaced)
    } else {
        Ok(())
    }
}
