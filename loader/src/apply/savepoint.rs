//! The savepoint before a statement that may fail.

use symstream_shared::db::{DbError, Sql};
use symstream_shared::retry::Disposition;

const SAVEPOINT: &str = "savepoint symstream_run";
const ROLLBACK: &str = "rollback to savepoint symstream_run";
const RELEASE: &str = "release savepoint symstream_run";

/// Sets it.
///
/// # Errors
/// [`DbError`] as the database says.
pub(crate) async fn set(sql: &mut dyn Sql) -> Result<(), DbError> {
    sql.execute(SAVEPOINT, &[]).await.map(drop)
}

/// Keeps what was done since.
///
/// # Errors
/// [`DbError`] as the database says: it is gone where the transaction was ended.
pub(crate) async fn release(sql: &mut dyn Sql) -> Result<(), DbError> {
    sql.execute(RELEASE, &[]).await.map(drop)
}

/// Takes back what was done since the savepoint, after `failure`.
///
/// # Errors
/// `failure` when the savepoint is gone: the statement has rolled the whole transaction back, and whatever was
/// written behind it would be committed by itself.
pub(crate) async fn take_back(sql: &mut dyn Sql, failure: Option<&DbError>) -> Result<(), DbError> {
    match (sql.execute(ROLLBACK, &[]).await, failure) {
        (Err(err), Some(failure)) if err.disposition != Disposition::Retry => return Err(failure.clone()),
        (result, _) => result?,
    };
    release(sql).await
}
