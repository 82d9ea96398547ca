//! The savepoint before what may fail.

use symstream_shared::db::{DbError, Sql};
use symstream_shared::retry::Disposition;

/// A savepoint by its name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Savepoint(&'static str);

/// Before a statement.
pub(crate) const RUN: Savepoint = Savepoint("symstream_run");
/// Before the rows of a load, which may have to be written again without some; around those of statements.
pub(crate) const LOAD: Savepoint = Savepoint("symstream_load");

impl Savepoint {
    /// Sets it.
    ///
    /// # Errors
    /// [`DbError`] as the database says.
    pub(crate) async fn set(self, sql: &mut dyn Sql) -> Result<(), DbError> {
        let statement = format!("savepoint {}", self.0);
        sql.execute(&statement, &[]).await.map(drop)
    }

    /// Keeps what was done since.
    ///
    /// # Errors
    /// [`DbError`] as the database says: it is gone where the transaction was ended.
    pub(crate) async fn release(self, sql: &mut dyn Sql) -> Result<(), DbError> {
        let statement = format!("release savepoint {}", self.0);
        sql.execute(&statement, &[]).await.map(drop)
    }

    /// Takes back what was done since the savepoint, after `failure`.
    ///
    /// # Errors
    /// `failure` when the savepoint is gone: the statement has rolled the whole transaction back, and whatever was
    /// written behind it would be committed by itself.
    pub(crate) async fn take_back(self, sql: &mut dyn Sql, failure: Option<&DbError>) -> Result<(), DbError> {
        let statement = format!("rollback to savepoint {}", self.0);
        match (sql.execute(&statement, &[]).await, failure) {
            (Err(err), Some(failure)) if err.disposition != Disposition::Retry => {
                return Err(failure.clone());
            }
            (result, _) => result?,
        };
        self.release(sql).await
    }
}
