//! A connection that nobody used before.

use super::connect::{Database, Pools};
use super::error::DbError;
use super::session::DetachedConn;
use sqlx::ConnectOptions as _;

impl Database {
    /// A connection newly made, outside the pool: its id at the server is one that nothing was done with before.
    /// Nothing was set on it, `init_sql` neither.
    ///
    /// # Errors
    /// [`DbError`] when the database refuses or can not be reached.
    pub async fn fresh(&self) -> Result<DetachedConn, DbError> {
        let result = match &self.pools {
            Pools::Postgres(pool) => pool.connect_options().connect().await.map(DetachedConn::Postgres),
            Pools::Mysql(pool) => pool.connect_options().connect().await.map(DetachedConn::Mysql),
            Pools::Sqlite(pool) => pool.connect_options().connect().await.map(DetachedConn::Sqlite),
        };
        result.map_err(|err| DbError::from_sqlx(self.kind(), err).context(self.address()))
    }
}
