//! Connections and transactions.

use super::Sql;
use super::error::DbError;
use super::kind::DatabaseKind;
use super::param::{Param, prepare, time_text};
use super::row::Row;
use crate::cell::Cell;
use futures_util::TryStreamExt;
use futures_util::future::BoxFuture;
use secrecy::{ExposeSecret, SecretString};
use sqlx::mysql::{MySqlArguments, MySqlConnectOptions, MySqlPoolOptions, MySqlRow};
use sqlx::postgres::{PgArguments, PgConnectOptions, PgPoolOptions, PgRow};
use sqlx::sqlite::{SqliteArguments, SqliteConnectOptions, SqlitePoolOptions, SqliteRow};
use sqlx::{
    AssertSqlSafe, Column, ConnectOptions as _, Connection as _, Executor, MySql, Pool, Postgres, Row as _,
    Sqlite, Transaction, TypeInfo, ValueRef,
};
use std::str::FromStr;
use std::time::Duration;

/// How long a statement waits for a free connection, and SQLite for a lock that another process has.
const WAIT: Duration = Duration::from_secs(30);
/// How long a single attempt to reach a database may take.
const REACH: Duration = Duration::from_secs(10);
/// Connections of one engine; loops hold one each at most.
const CONNECTIONS_MAX: u32 = 16;

/// What it takes to reach a database.
#[derive(Debug, Clone)]
pub struct ConnectOptions {
    /// `postgres://…`, `mysql://…` or `sqlite://…`.
    pub url: SecretString,
    /// Overrides the URL's user.
    pub user: Option<String>,
    /// Overrides the URL's password.
    pub password: Option<SecretString>,
    /// Runs on each new connection.
    pub init_sql: Option<String>,
}

#[derive(Clone)]
pub(super) enum Pools {
    Postgres(Pool<Postgres>),
    Mysql(Pool<MySql>),
    Sqlite(Pool<Sqlite>),
}

/// A database: a pool of connections. Clones share the pool.
#[derive(Clone)]
pub struct Database {
    pub(super) pools: Pools,
    address: String,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.address)
    }
}

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

impl Database {
    /// Prepares a pool; the first connection is made by the first statement. A SQLite file that is missing is
    /// created.
    ///
    /// # Errors
    /// [`DbError`] (fatal) when the URL is not understood.
    pub fn new(options: &ConnectOptions) -> Result<Self, DbError> {
        let url = options.url.expose_secret();
        let bad = |err: sqlx::Error| DbError::fatal(format!("db.url is not understood: {err}"));
        let init = options.init_sql.clone();
        let password = options.password.as_ref().map(|password| password.expose_secret());
        match url.split_once(':').map_or("", |(scheme, _)| scheme) {
            "postgres" | "postgresql" => {
                let mut connect = PgConnectOptions::from_str(url).map_err(bad)?;
                if let Some(user) = &options.user {
                    connect = connect.username(user);
                }
                if let Some(password) = password {
                    connect = connect.password(password);
                }
                let connect = connect
                    .application_name("symstream")
                    .disable_statement_logging()
                    .options([
                        ("timezone", "UTC"),
                        ("datestyle", "ISO, YMD"),
                        ("intervalstyle", "postgres"),
                        ("bytea_output", "hex"),
                        ("extra_float_digits", "1"),
                        ("standard_conforming_strings", "on"),
                        // A plan made while a table was empty would stay: our tables grow by orders of magnitude.
                        ("plan_cache_mode", "force_custom_plan"),
                        ("tcp_keepalives_idle", "5"),
                        ("tcp_keepalives_interval", "2"),
                        ("tcp_keepalives_count", "3"),
                        ("client_min_messages", "error"),
                    ]);
                let address = format!("PostgreSQL at {}:{}", connect.get_host(), connect.get_port());
                let pool = PgPoolOptions::new()
                    .max_connections(CONNECTIONS_MAX)
                    .acquire_timeout(WAIT)
                    .before_acquire(|conn, _| Box::pin(async { Ok(is_idle(conn)) }))
                    .after_connect(move |conn, _| {
                        let init = init.clone();
                        Box::pin(async move {
                            if let Some(init) = init {
                                conn.execute(AssertSqlSafe(init)).await?;
                            }
                            Ok(())
                        })
                    })
                    .connect_lazy_with(connect);
                Ok(Self {
                    pools: Pools::Postgres(pool),
                    address,
                })
            }
            "mysql" | "mariadb" => {
                let mut connect = MySqlConnectOptions::from_str(&url.replacen("mariadb:", "mysql:", 1))
                    .map_err(bad)?
                    .charset("utf8mb4")
                    .pipes_as_concat(false)
                    .no_engine_substitution(false)
                    .disable_statement_logging();
                if let Some(user) = &options.user {
                    connect = connect.username(user);
                }
                if let Some(password) = password {
                    connect = connect.password(password);
                }
                let address = format!("MySQL at {}:{}", connect.get_host(), connect.get_port());
                let pool = MySqlPoolOptions::new()
                    .max_connections(CONNECTIONS_MAX)
                    .acquire_timeout(WAIT)
                    .before_acquire(|conn, _| Box::pin(async { Ok(is_idle(conn)) }))
                    .after_connect(move |conn, _| {
                        let init = init.clone();
                        Box::pin(async move {
                            // Strict, so that a value that does not fit is an error; without NO_ZERO_DATE, so that
                            // what one MySQL holds another can take; gap locks would stop the application.
                            conn.execute(
                                "set session sql_mode = 'STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO,\
                                 ALLOW_INVALID_DATES,NO_ENGINE_SUBSTITUTION', time_zone = '+00:00'",
                            )
                            .await?;
                            conn.execute("set session transaction isolation level read committed")
                                .await?;
                            if let Some(init) = init {
                                conn.execute(AssertSqlSafe(init)).await?;
                            }
                            Ok(())
                        })
                    })
                    .connect_lazy_with(connect);
                Ok(Self {
                    pools: Pools::Mysql(pool),
                    address,
                })
            }
            "sqlite" => {
                let connect = SqliteConnectOptions::from_str(url)
                    .map_err(bad)?
                    .create_if_missing(true)
                    .journal_mode(sqlx::sqlite::SqliteJournalMode::Wal)
                    // A batch is acknowledged after its commit: the commit has to survive a power cut.
                    .synchronous(sqlx::sqlite::SqliteSynchronous::Full)
                    .busy_timeout(WAIT)
                    .foreign_keys(true)
                    .disable_statement_logging();
                let address = format!("SQLite file {}", connect.get_filename().display());
                let pool = SqlitePoolOptions::new()
                    .max_connections(CONNECTIONS_MAX)
                    .acquire_timeout(WAIT)
                    .before_acquire(|conn, _| Box::pin(async { Ok(is_idle(conn)) }))
                    .after_connect(move |conn, _| {
                        let init = init.clone();
                        Box::pin(async move {
                            if let Some(init) = init {
                                conn.execute(AssertSqlSafe(init)).await?;
                            }
                            Ok(())
                        })
                    })
                    .connect_lazy_with(connect);
                Ok(Self {
                    pools: Pools::Sqlite(pool),
                    address,
                })
            }
            scheme => Err(DbError::fatal(format!(
                "db.url begins with {scheme:?}; it has to be postgres://, mysql:// or sqlite://"
            ))),
        }
    }

    /// The database's kind.
    pub fn kind(&self) -> DatabaseKind {
        match self.pools {
            Pools::Postgres(_) => DatabaseKind::Postgres,
            Pools::Mysql(_) => DatabaseKind::Mysql,
            Pools::Sqlite(_) => DatabaseKind::Sqlite,
        }
    }

    /// Where the database is, for messages; without user or password.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Takes a connection out of the pool; it goes back when it is dropped.
    ///
    /// # Errors
    /// [`DbError`] when the database refuses or can not be reached.
    pub async fn conn(&self) -> Result<Conn, DbError> {
        let kind = self.kind();
        let result = match &self.pools {
            Pools::Postgres(pool) => pool.acquire().await.map(Conn::Postgres),
            Pools::Mysql(pool) => pool.acquire().await.map(Conn::Mysql),
            Pools::Sqlite(pool) => pool.acquire().await.map(Conn::Sqlite),
        };
        result.map_err(|err| DbError::from_sqlx(kind, err).context(&self.address))
    }

    /// Begins a transaction on a connection of its own.
    ///
    /// # Errors
    /// [`DbError`] when the database refuses or can not be reached.
    pub async fn begin(&self, what: TxKind) -> Result<Tx, DbError> {
        let kind = self.kind();
        let result = match &self.pools {
            Pools::Postgres(pool) => {
                let sql = match what {
                    TxKind::Write => "begin isolation level read committed",
                    TxKind::Snapshot => "begin isolation level repeatable read",
                    TxKind::ReadOnly => "begin isolation level repeatable read read only",
                };
                pool.begin_with(sql).await.map(Tx::Postgres)
            }
            Pools::Mysql(pool) => {
                let sql = match what {
                    TxKind::Write => "start transaction",
                    TxKind::Snapshot | TxKind::ReadOnly => {
                        "set transaction isolation level repeatable read; \
                         start transaction with consistent snapshot"
                    }
                };
                pool.begin_with(sql).await.map(Tx::Mysql)
            }
            Pools::Sqlite(pool) => {
                let sql = match what {
                    TxKind::Write | TxKind::Snapshot => "begin immediate",
                    TxKind::ReadOnly => "begin",
                };
                pool.begin_with(sql).await.map(Tx::Sqlite)
            }
        };
        result.map_err(|err| DbError::from_sqlx(kind, err).context(&self.address))
    }

    /// Runs one statement on a connection of its own.
    ///
    /// # Errors
    /// [`DbError`] as the database says.
    pub async fn execute(&self, sql: &str, params: &[Param]) -> Result<u64, DbError> {
        self.conn().await?.execute(sql, params).await
    }

    /// Runs one query with a small result on a connection of its own.
    ///
    /// # Errors
    /// [`DbError`] as the database says.
    pub async fn query(&self, sql: &str, params: &[Param]) -> Result<Vec<Row>, DbError> {
        self.conn().await?.query(sql, params).await
    }

    /// The first row of a query, on a connection of its own.
    ///
    /// # Errors
    /// [`DbError`] as the database says.
    pub async fn query_opt(&self, sql: &str, params: &[Param]) -> Result<Option<Row>, DbError> {
        self.conn().await?.query_opt(sql, params).await
    }

    /// Tries once to reach the database. The pool would go on trying until its time is over and could not say why:
    /// this is for commands, which tell at once what is wrong.
    ///
    /// # Errors
    /// [`DbError`] when the database refuses or can not be reached.
    pub async fn reach(&self) -> Result<(), DbError> {
        let attempt = async {
            match &self.pools {
                Pools::Postgres(pool) => pool.connect_options().connect().await?.close().await,
                Pools::Mysql(pool) => pool.connect_options().connect().await?.close().await,
                Pools::Sqlite(pool) => pool.connect_options().connect().await?.close().await,
            }
        };
        let result = match tokio::time::timeout(REACH, attempt).await {
            Ok(result) => result.map_err(|err| DbError::from_sqlx(self.kind(), err)),
            Err(_) => Err(DbError::unexpected(format!(
                "no answer within {} s",
                REACH.as_secs()
            ))),
        };
        result.map_err(|err| err.context(&self.address))
    }

    /// Closes all connections, waiting for those in use.
    pub async fn close(&self) {
        match &self.pools {
            Pools::Postgres(pool) => pool.close().await,
            Pools::Mysql(pool) => pool.close().await,
            Pools::Sqlite(pool) => pool.close().await,
        }
    }
}

/// Whether a pooled connection has no transaction, as it has to be. After a commit or rollback that failed, the
/// driver may count a transaction that the database has ended: such a connection is closed, not used again.
fn is_idle(conn: &impl sqlx::Connection) -> bool {
    !conn.is_in_transaction()
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

fn wrong(param: &Param) -> DbError {
    DbError::unexpected(format!(
        "a parameter of this kind fits PostgreSQL only: {param:?}"
    ))
}

fn bound<T>(result: Result<T, sqlx::error::BoxDynError>) -> Result<T, DbError> {
    result.map_err(|err| DbError::unexpected(format!("a parameter can not be sent: {err}")))
}

fn pg_arguments(params: &[Param]) -> Result<PgArguments, DbError> {
    use sqlx::Arguments;
    let mut arguments = PgArguments::default();
    for param in params {
        bound(match param {
            Param::Null => Ok(()),
            Param::Int(number) => arguments.add(number),
            Param::Real(number) => arguments.add(number),
            Param::Text(text) => arguments.add(text),
            Param::Bytes(bytes) => arguments.add(bytes),
            Param::Time(ms) => arguments.add(time_text(*ms)),
            Param::TextArray(texts) => arguments.add(texts),
            Param::IntArray(numbers) => arguments.add(numbers),
            Param::BytesArray(values) => arguments.add(values),
        })?;
    }
    Ok(arguments)
}

fn mysql_arguments(params: &[Param]) -> Result<MySqlArguments, DbError> {
    use sqlx::Arguments;
    let mut arguments = MySqlArguments::default();
    for param in params {
        bound(match param {
            Param::Null => arguments.add(None::<&str>),
            Param::Int(number) => arguments.add(*number),
            Param::Real(number) => arguments.add(*number),
            Param::Text(text) => arguments.add(text.as_str()),
            Param::Bytes(bytes) => arguments.add(bytes.as_slice()),
            Param::Time(ms) => arguments.add(time_text(*ms)),
            Param::TextArray(_) | Param::IntArray(_) | Param::BytesArray(_) => return Err(wrong(param)),
        })?;
    }
    Ok(arguments)
}

fn sqlite_arguments(params: &[Param]) -> Result<SqliteArguments, DbError> {
    use sqlx::Arguments;
    let mut arguments = SqliteArguments::default();
    for param in params {
        bound(match param {
            Param::Null => arguments.add(None::<&str>),
            Param::Int(number) => arguments.add(*number),
            Param::Real(number) => arguments.add(*number),
            Param::Text(text) => arguments.add(text.clone()),
            Param::Bytes(bytes) => arguments.add(bytes.clone()),
            Param::Time(ms) => arguments.add(time_text(*ms)),
            Param::TextArray(_) | Param::IntArray(_) | Param::BytesArray(_) => return Err(wrong(param)),
        })?;
    }
    Ok(arguments)
}

fn unreadable(column: &str, what: &str) -> DbError {
    DbError::unexpected(format!(
        "result column {column} of type {what} is not read; cast it to text"
    ))
}

fn pg_row(row: &PgRow) -> Result<Row, DbError> {
    let mut cells = Vec::with_capacity(row.len());
    for index in 0..row.len() {
        let value = row
            .try_get_raw(index)
            .map_err(|err| DbError::from_sqlx(DatabaseKind::Postgres, err))?;
        if value.is_null() {
            cells.push(Cell::Null);
            continue;
        }
        let type_info = value.type_info();
        let name = type_info.name();
        let get = |err: sqlx::Error| DbError::from_sqlx(DatabaseKind::Postgres, err);
        cells.push(match name {
            "INT8" => Cell::Int(row.try_get(index).map_err(get)?),
            "INT4" => Cell::Int(i64::from(row.try_get::<i32, _>(index).map_err(get)?)),
            "INT2" => Cell::Int(i64::from(row.try_get::<i16, _>(index).map_err(get)?)),
            "BOOL" => Cell::Int(i64::from(row.try_get::<bool, _>(index).map_err(get)?)),
            "FLOAT8" => Cell::Real(row.try_get(index).map_err(get)?),
            "TEXT" | "VARCHAR" | "CHAR" | "NAME" | "UNKNOWN" => {
                Cell::Text(row.try_get_unchecked(index).map_err(get)?)
            }
            "BYTEA" => Cell::Bytes(row.try_get(index).map_err(get)?),
            other => return Err(unreadable(row.column(index).name(), other)),
        });
    }
    Ok(Row(cells))
}

fn mysql_row(row: &MySqlRow) -> Result<Row, DbError> {
    let mut cells = Vec::with_capacity(row.len());
    for index in 0..row.len() {
        let get = |err: sqlx::Error| DbError::from_sqlx(DatabaseKind::Mysql, err);
        let value = row.try_get_raw(index).map_err(get)?;
        if value.is_null() {
            cells.push(Cell::Null);
            continue;
        }
        let type_info = value.type_info().into_owned();
        let name = type_info.name();
        cells.push(match name {
            "BIGINT UNSIGNED" | "INT UNSIGNED" | "SMALLINT UNSIGNED" | "TINYINT UNSIGNED"
            | "MEDIUMINT UNSIGNED" => {
                let number: u64 = row.try_get_unchecked(index).map_err(get)?;
                Cell::Int(i64::try_from(number).map_err(|_| unreadable(row.column(index).name(), name))?)
            }
            "BIGINT" | "INT" | "SMALLINT" | "TINYINT" | "MEDIUMINT" | "BOOLEAN" => {
                Cell::Int(row.try_get_unchecked(index).map_err(get)?)
            }
            "DOUBLE" => Cell::Real(row.try_get(index).map_err(get)?),
            // By its collation, not by its name: a text with a `_bin` collation is called VARBINARY here.
            _ if <str as sqlx::Type<MySql>>::compatible(&type_info) => {
                Cell::Text(row.try_get_unchecked(index).map_err(get)?)
            }
            "BLOB" | "TINYBLOB" | "MEDIUMBLOB" | "LONGBLOB" | "VARBINARY" | "BINARY" => {
                Cell::Bytes(row.try_get_unchecked(index).map_err(get)?)
            }
            other => return Err(unreadable(row.column(index).name(), other)),
        });
    }
    Ok(Row(cells))
}

fn sqlite_row(row: &SqliteRow) -> Result<Row, DbError> {
    let mut cells = Vec::with_capacity(row.len());
    for index in 0..row.len() {
        let get = |err: sqlx::Error| DbError::from_sqlx(DatabaseKind::Sqlite, err);
        let value = row.try_get_raw(index).map_err(get)?;
        if value.is_null() {
            cells.push(Cell::Null);
            continue;
        }
        let type_info = value.type_info().into_owned();
        // The declared type may be anything; decoding unchecked asks for the value's own storage class.
        cells.push(match type_info.name() {
            "INTEGER" | "BOOLEAN" => Cell::Int(row.try_get_unchecked(index).map_err(get)?),
            "REAL" => Cell::Real(row.try_get_unchecked(index).map_err(get)?),
            "BLOB" => Cell::Bytes(row.try_get_unchecked(index).map_err(get)?),
            _ => Cell::Text(row.try_get_unchecked(index).map_err(get)?),
        });
    }
    Ok(Row(cells))
}
