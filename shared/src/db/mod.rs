//! One way to run SQL on PostgreSQL, MySQL/MariaDB and SQLite.
//!
//! Owns connections, transactions, parameters and error classes. SQL is written with `?` for parameters; this
//! module turns them into what the dialect wants. Results are integers, text, bytes or floating-point numbers:
//! SQL that selects anything else casts it to text first.

mod codec;
mod connect;
mod error;
mod fresh;
mod kind;
mod listen;
mod lock;
mod param;
mod row;
mod session;

pub use connect::{ConnectOptions, Database};
pub use error::DbError;
pub use kind::{Capabilities, DatabaseKind};
pub use listen::Listener;
pub use lock::NodeLock;
pub use param::{Param, time_ms, time_text};
pub use row::Row;
pub use session::{Conn, DetachedConn, Tx, TxKind};

use futures_util::future::BoxFuture;

/// Something that SQL can be run on: a [`Conn`] or a [`Tx`].
///
/// A future that is dropped before it is done leaves a connection in an unknown state; the pool closes such a
/// connection, and a transaction on it is rolled back.
pub trait Sql: Send {
    /// The database's kind.
    fn kind(&self) -> DatabaseKind;

    /// Runs one statement and returns how many rows it touched.
    fn execute<'a>(&'a mut self, sql: &'a str, params: &'a [Param]) -> BoxFuture<'a, Result<u64, DbError>>;

    /// Runs one query and returns all its rows: for results that are known to be small.
    fn query<'a>(&'a mut self, sql: &'a str, params: &'a [Param])
    -> BoxFuture<'a, Result<Vec<Row>, DbError>>;

    /// Runs one query and hands over its rows one by one, without holding them all.
    fn query_each<'a>(
        &'a mut self,
        sql: &'a str,
        params: &'a [Param],
        each: &'a mut (dyn FnMut(Row) -> Result<(), DbError> + Send),
    ) -> BoxFuture<'a, Result<(), DbError>>;

    /// Runs one query and sends its rows in chunks of about `bytes_max`, reading on only as fast as they are
    /// taken: for results that are too large to hold. Ends early when nobody takes them any more.
    fn query_into<'a>(
        &'a mut self,
        sql: &'a str,
        params: &'a [Param],
        bytes_max: usize,
        chunks: tokio::sync::mpsc::Sender<Vec<Row>>,
    ) -> BoxFuture<'a, Result<(), DbError>>;

    /// Runs any number of statements as they stand, without parameters and without preparing them.
    fn execute_script<'a>(&'a mut self, sql: &'a str) -> BoxFuture<'a, Result<(), DbError>>;

    /// The first row of a query, if it has one.
    fn query_opt<'a>(
        &'a mut self,
        sql: &'a str,
        params: &'a [Param],
    ) -> BoxFuture<'a, Result<Option<Row>, DbError>> {
        Box::pin(async move { Ok(self.query(sql, params).await?.into_iter().next()) })
    }
}
