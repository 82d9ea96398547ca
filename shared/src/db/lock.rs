//! One active agent of a kind for each node.

use super::Sql;
use super::connect::Database;
use super::error::DbError;
use super::kind::DatabaseKind;
use super::param::Param;
use super::session::DetachedConn;
use std::fs::{File, TryLockError};
use std::time::Duration;

/// A connection that does not answer within this time is taken for lost.
const ANSWER: Duration = Duration::from_secs(10);

/// An exclusive lock on a database, held until it is released, dropped, or its connection is lost.
///
/// It keeps a second agent away; it is no fence. An agent that was frozen may wake up without it, and has to
/// guard what it writes by what stands in the tables.
pub struct NodeLock(Held);

enum Held {
    Session {
        conn: Box<DetachedConn>,
        unlock: &'static str,
        name: String,
    },
    /// Locked by the operating system, which frees it when the process ends.
    File(File),
}

impl NodeLock {
    /// Takes the lock called `name`; each database has its own. `None` when another holds it.
    ///
    /// # Errors
    /// [`DbError`] when the database (or the lock file beside SQLite's) can not be reached.
    pub async fn try_acquire(database: &Database, name: &str) -> Result<Option<Self>, DbError> {
        match database.kind() {
            DatabaseKind::Postgres => {
                session(
                    database,
                    name,
                    // The server notices a vanished client by the TCP keepalive of `Database::new`.
                    None,
                    "select cast(pg_try_advisory_lock(hashtextextended(?, 0)) as int)",
                    "select cast(pg_advisory_unlock(hashtextextended(?, 0)) as int)",
                )
                .await
            }
            DatabaseKind::Mysql => {
                session(
                    database,
                    name,
                    // The server keeps a vanished client's lock for this long.
                    Some("set session wait_timeout = 20"),
                    // The locks are the server's, not the database's, and their names have at most 64 characters.
                    "select get_lock(sha1(concat(database(), '/', ?)), 0)",
                    "select release_lock(sha1(concat(database(), '/', ?)))",
                )
                .await
            }
            DatabaseKind::Sqlite => file(database, name).await,
        }
    }

    /// Whether the lock is still held. To be asked every few seconds: MySQL gives the lock of a connection
    /// that is silent for 20 s to others. After `false` the holder has to stop writing.
    pub async fn is_alive(&mut self) -> bool {
        match &mut self.0 {
            Held::Session { conn, .. } => {
                matches!(
                    tokio::time::timeout(ANSWER, conn.query("select 1", &[])).await,
                    Ok(Ok(_))
                )
            }
            Held::File(file) => file.metadata().is_ok(),
        }
    }

    /// Gives the lock back now; a dropped lock is free only once the server has noticed.
    pub async fn release(self) {
        if let Held::Session {
            mut conn,
            unlock,
            name,
        } = self.0
        {
            // A connection that is lost has lost its lock too.
            drop(tokio::time::timeout(ANSWER, conn.query(unlock, &[Param::Text(name)])).await);
        }
    }
}

async fn session(
    database: &Database,
    name: &str,
    prepare: Option<&str>,
    lock: &str,
    unlock: &'static str,
) -> Result<Option<NodeLock>, DbError> {
    let mut conn = Box::new(database.conn().await?.detach());
    if let Some(prepare) = prepare {
        conn.execute_script(prepare).await?;
    }
    let taken = conn.query_opt(lock, &[Param::from(name)]).await?;
    Ok(match taken.map(|row| row.opt_int(0)).transpose()?.flatten() {
        Some(1) => Some(NodeLock(Held::Session {
            conn,
            unlock,
            name: name.to_owned(),
        })),
        _ => None,
    })
}

/// Locks the file `<database file>.<name>.lock`. It stays there when the lock is released: removing it would
/// let two processes lock two files of the same name.
async fn file(database: &Database, name: &str) -> Result<Option<NodeLock>, DbError> {
    let row = database
        .query_opt(
            "select file from pragma_database_list where name = 'main' and file <> ''",
            &[],
        )
        .await?
        .ok_or_else(|| DbError::fatal("an in-memory SQLite database can be no node"))?;
    let path = format!("{}.{name}.lock", row.text(0)?);
    let open = || File::options().create(true).append(true).open(&path);
    let file = open().map_err(|err| DbError::fatal(format!("lock file {path}: {err}")))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(NodeLock(Held::File(file)))),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(err)) => Err(DbError::fatal(format!("lock file {path}: {err}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::ConnectOptions;

    #[tokio::test]
    async fn only_one_holds_the_lock_of_a_sqlite_database() {
        let dir = std::env::temp_dir().join(format!("symstream-lock-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("temporary directory");
        let database = Database::new(&ConnectOptions {
            url: format!("sqlite://{}/node.db", dir.display()).into(),
            user: None,
            password: None,
            init_sql: None,
        })
        .expect("options");

        let mut held = NodeLock::try_acquire(&database, "sym_loader")
            .await
            .expect("lock")
            .expect("free");
        assert!(held.is_alive().await);
        assert!(
            NodeLock::try_acquire(&database, "sym_loader")
                .await
                .expect("lock")
                .is_none()
        );
        assert!(
            NodeLock::try_acquire(&database, "sym_capture")
                .await
                .expect("lock")
                .is_some()
        );

        held.release().await;
        assert!(
            NodeLock::try_acquire(&database, "sym_loader")
                .await
                .expect("lock")
                .is_some()
        );
        database.close().await;
        std::fs::remove_dir_all(&dir).expect("remove");
    }
}
