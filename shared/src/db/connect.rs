//! Databases: pools of connections.

use super::Sql;
use super::error::DbError;
use super::kind::DatabaseKind;
use super::param::Param;
use super::row::Row;
use super::session::{Conn, Tx, TxKind};
use secrecy::{ExposeSecret, SecretString};
use sqlx::mysql::{MySqlConnectOptions, MySqlPoolOptions};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor, MySql, Pool, Postgres, Sqlite};
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
