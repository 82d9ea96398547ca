//! Notifications, where a database sends any.

use super::connect::{Database, Pools};
use super::error::DbError;
use super::kind::DatabaseKind;
use sqlx::postgres::PgListener;

/// Listens to PostgreSQL's `notify`. Notifications that come while its connection is lost are lost too, so its
/// owner has to look for itself from time to time.
pub struct Listener(PgListener);

impl Database {
    /// Listens to `name`; `None` where the database sends no notifications.
    ///
    /// # Errors
    /// [`DbError`] when the database can not be reached.
    pub async fn listen(&self, name: &str) -> Result<Option<Listener>, DbError> {
        let Pools::Postgres(pool) = &self.pools else {
            return Ok(None);
        };
        let failed = |err| DbError::from_sqlx(DatabaseKind::Postgres, err).context(self.address());
        let mut listener = PgListener::connect_with(pool).await.map_err(failed)?;
        listener.listen(name).await.map_err(failed)?;
        Ok(Some(Listener(listener)))
    }
}

impl Listener {
    /// Waits for a notification and takes all that have come by then. May be dropped.
    ///
    /// # Errors
    /// [`DbError`] when the connection is lost and can not be made again.
    pub async fn notified(&mut self) -> Result<(), DbError> {
        self.0
            .recv()
            .await
            .map_err(|err| DbError::from_sqlx(DatabaseKind::Postgres, err))?;
        while self.0.next_buffered().is_some() {}
        Ok(())
    }
}
