//! Connections and transactions.

use super::Sql;
use super::codec::{mysql_arguments, mysql_row, pg_arguments, pg_row, sqlite_arguments, sqlite_row};
use super::error::DbError;
use super::kind::DatabaseKind;
use super::param::{Param, prepare};
use super::row::Row;
use crate::cell::Cell;
use futures_util::TryStreamExt;
use futures_util::future::BoxFuture;
use sqlx::{AssertSqlSafe, MySql, Postgres, Sqlite, Transaction};

/// A connection of the pool.
pub enum Conn {
    /// PostgreSQL.
    Postgres(sqlx::pool::PoolConnection<Postgres>),
    /// MySQL or MariaDB.
    Mysql(sqlx::pool::PoolConnection<MySql>),
    /// SQLite.
    Sqlite(sqlx::pool::PoolConnection<Sqlite>),
}

/// A transaction. It is rolled back when it is dropped before [`Tx::commit`].
pub enum Tx {
    /// PostgreSQL.
    Postgres(Transaction<'static, Postgres>),
    /// MySQL or MariaDB.
    Mysql(Transaction<'static, MySql>),
    /// SQLite.
    Sqlite(Transaction<'static, Sqlite>),
}

/// What a transaction is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TxKind {
    /// Writing: read committed where there is a choice, SQLite's write lock taken at once.
    Write,
    /// Reading one snapshot, and writing beside it: repeatable read; SQLite's write lock taken at once.
    Snapshot,
    /// Reading one snapshot only.
    ReadOnly,
}

impl Tx {
    /// Commits.
    ///
    /// # Errors
    /// [`DbError`]; with a lost connection it is not known whether the commit happened.
    pub async fn commit(self) -> Result<(), DbError> {
        let kind = self.kind();
        let result = match self {
            Self::Postgres(tx) => tx.commit().await,
            Self::Mysql(tx) => tx.commit().await,
            Self::Sqlite(tx) => tx.commit().await,
        };
        result.map_err(|err| DbError::from_sqlx(kind, err))
    }

    /// Rolls back and waits until it is done.
    ///
    /// # Errors
    /// [`DbError`] when the connection is lost; the database rolls back by itself then.
    pub async fn rollback(self) -> Result<(), DbError> {
        let kind = self.kind();
        let result = match self {
            Self::Postgres(tx) => tx.rollback().await,
            Self::Mysql(tx) => tx.rollback().await,
            Self::Sqlite(tx) => tx.rollback().await,
        };
        result.map_err(|err| DbError::from_sqlx(kind, err))
    }
}

impl Conn {
    /// The connection alone, outside the pool: it is closed when it is dropped. For session-level locks.
    pub fn detach(self) -> DetachedConn {
        match self {
            Self::Postgres(conn) => DetachedConn::Postgres(conn.detach()),
            Self::Mysql(conn) => DetachedConn::Mysql(conn.detach()),
            Self::Sqlite(conn) => DetachedConn::Sqlite(conn.detach()),
        }
    }
}

/// A connection that belongs to no pool.
pub enum DetachedConn {
    /// PostgreSQL.
    Postgres(sqlx::PgConnection),
    /// MySQL or MariaDB.
    Mysql(sqlx::MySqlConnection),
    /// SQLite.
    Sqlite(sqlx::SqliteConnection),
}

macro_rules! impl_sql {
    ($type:ident, $via:ident) => {
        impl Sql for $type {
            fn kind(&self) -> DatabaseKind {
                match self {
                    Self::Postgres(_) => DatabaseKind::Postgres,
                    Self::Mysql(_) => DatabaseKind::Mysql,
                    Self::Sqlite(_) => DatabaseKind::Sqlite,
                }
            }

            fn execute<'a>(
                &'a mut self,
                sql: &'a str,
                params: &'a [Param],
            ) -> BoxFuture<'a, Result<u64, DbError>> {
                Box::pin(async move {
                    let kind = self.kind();
                    let sql = AssertSqlSafe(prepare(kind, sql, params));
                    let result = match self {
                        Self::Postgres(conn) => sqlx::query_with(sql, pg_arguments(params)?)
                            .execute($via!(conn))
                            .await
                            .map(|done| done.rows_affected()),
                        Self::Mysql(conn) => sqlx::query_with(sql, mysql_arguments(params)?)
                            .execute($via!(conn))
                            .await
                            .map(|done| done.rows_affected()),
                        Self::Sqlite(conn) => sqlx::query_with(sql, sqlite_arguments(params)?)
                            .execute($via!(conn))
                            .await
                            .map(|done| done.rows_affected()),
                    };
                    result.map_err(|err| DbError::from_sqlx(kind, err))
                })
            }

            fn query<'a>(
                &'a mut self,
                sql: &'a str,
                params: &'a [Param],
            ) -> BoxFuture<'a, Result<Vec<Row>, DbError>> {
                Box::pin(async move {
                    let mut rows = Vec::new();
                    self.query_each(sql, params, &mut |row| {
                        rows.push(row);
                        Ok(())
                    })
                    .await?;
                    Ok(rows)
                })
            }

            fn query_each<'a>(
                &'a mut self,
                sql: &'a str,
                params: &'a [Param],
                each: &'a mut (dyn FnMut(Row) -> Result<(), DbError> + Send),
            ) -> BoxFuture<'a, Result<(), DbError>> {
                Box::pin(async move {
                    let kind = self.kind();
                    let lost = |err| DbError::from_sqlx(kind, err);
                    let sql = AssertSqlSafe(prepare(kind, sql, params));
                    match self {
                        Self::Postgres(conn) => {
                            let mut rows = sqlx::query_with(sql, pg_arguments(params)?).fetch($via!(conn));
                            while let Some(row) = rows.try_next().await.map_err(lost)? {
                                each(pg_row(&row)?)?;
                            }
                        }
                        Self::Mysql(conn) => {
                            let mut rows = sqlx::query_with(sql, mysql_arguments(params)?).fetch($via!(conn));
                            while let Some(row) = rows.try_next().await.map_err(lost)? {
                                each(mysql_row(&row)?)?;
                            }
                        }
                        Self::Sqlite(conn) => {
                            let mut rows =
                                sqlx::query_with(sql, sqlite_arguments(params)?).fetch($via!(conn));
                            while let Some(row) = rows.try_next().await.map_err(lost)? {
                                each(sqlite_row(&row)?)?;
                            }
                        }
                    }
                    Ok(())
                })
            }

            fn query_into<'a>(
                &'a mut self,
                sql: &'a str,
                params: &'a [Param],
                bytes_max: usize,
                chunks: tokio::sync::mpsc::Sender<Vec<Row>>,
            ) -> BoxFuture<'a, Result<(), DbError>> {
                Box::pin(async move {
                    let kind = self.kind();
                    let sql = AssertSqlSafe(prepare(kind, sql, params));
                    match self {
                        Self::Postgres(conn) => {
                            let rows = sqlx::query_with(sql, pg_arguments(params)?).fetch($via!(conn));
                            send_chunks(kind, rows, pg_row, bytes_max, chunks).await
                        }
                        Self::Mysql(conn) => {
                            let rows = sqlx::query_with(sql, mysql_arguments(params)?).fetch($via!(conn));
                            send_chunks(kind, rows, mysql_row, bytes_max, chunks).await
                        }
                        Self::Sqlite(conn) => {
                            let rows = sqlx::query_with(sql, sqlite_arguments(params)?).fetch($via!(conn));
                            send_chunks(kind, rows, sqlite_row, bytes_max, chunks).await
                        }
                    }
                })
            }

            fn execute_script<'a>(&'a mut self, sql: &'a str) -> BoxFuture<'a, Result<(), DbError>> {
                Box::pin(async move {
                    let kind = self.kind();
                    let sql = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
                    let result = match self {
                        Self::Postgres(conn) => sql.execute($via!(conn)).await.map(drop),
                        Self::Mysql(conn) => sql.execute($via!(conn)).await.map(drop),
                        Self::Sqlite(conn) => sql.execute($via!(conn)).await.map(drop),
                    };
                    result.map_err(|err| DbError::from_sqlx(kind, err))
                })
            }
        }
    };
}

async fn send_chunks<R>(
    kind: DatabaseKind,
    mut rows: impl futures_util::Stream<Item = Result<R, sqlx::Error>> + Unpin + Send,
    row_of: fn(&R) -> Result<Row, DbError>,
    bytes_max: usize,
    chunks: tokio::sync::mpsc::Sender<Vec<Row>>,
) -> Result<(), DbError> {
    let mut chunk = Vec::new();
    let mut bytes = 0;
    while let Some(row) = rows
        .try_next()
        .await
        .map_err(|err| DbError::from_sqlx(kind, err))?
    {
        let row = row_of(&row)?;
        bytes += row.0.iter().map(Cell::size).sum::<usize>();
        chunk.push(row);
        if bytes >= bytes_max {
            bytes = 0;
            if chunks.send(std::mem::take(&mut chunk)).await.is_err() {
                return Ok(());
            }
        }
    }
    if !chunk.is_empty() && chunks.send(chunk).await.is_err() {
        tracing::trace!("nobody takes the rest of a result");
    }
    Ok(())
}

macro_rules! inner {
    ($conn:ident) => {
        &mut **$conn
    };
}
macro_rules! itself {
    ($conn:ident) => {
        &mut *$conn
    };
}

impl_sql!(Conn, inner);
impl_sql!(Tx, inner);
impl_sql!(DetachedConn, itself);
