//! When a missing id can no longer come.

use crate::data_runs::DataRuns;
use std::collections::HashSet;
use std::time::{Duration, Instant};
use symstream_shared::db::{Database, DbError, DetachedConn, Sql};

/// How often the open transactions are asked for. The server makes its answer anew when nobody has read it for 0.1 s.
const ASK_EVERY: Duration = Duration::from_millis(300);

/// An answer that does not list a witness by then may be one that never will: its connection may be lost.
const WITNESS_FOR: Duration = Duration::from_secs(5);

/// A transaction, as `innodb_trx` names it: its connection and when it began. Compared for equality only, so the
/// time zone in which the server prints it says nothing.
type Transaction = (String, String);

/// Waits for the transactions that may hold missing ids.
///
/// Whoever reserved an id that a reading did not find was in its transaction by then. So: note the gaps; later
/// ask which transactions are open; when all of those have ended, whatever the gaps were reserved for is
/// committed or rolled back, and the next reading knows which.
#[derive(Default)]
pub(super) struct Settling {
    asked: Option<Instant>,
    stage: Stage,
    settled: DataRuns,
}

#[derive(Default)]
enum Stage {
    #[default]
    Idle,
    /// The gaps as they were at the last question.
    Noted(DataRuns),
    /// The same gaps, and a transaction that began after they were noted: an answer that lists it is new enough.
    Asking(DataRuns, Witness),
    /// The same gaps, and the transactions of then that are still open.
    Waiting(DataRuns, HashSet<Transaction>),
}

impl Settling {
    /// Looks whether gaps have settled, at most every [`ASK_EVERY`]; `true` when a reading can give up some.
    pub(super) async fn advance(&mut self, database: &Database, gaps: &DataRuns) -> Result<bool, DbError> {
        if gaps.as_slice().is_empty() {
            self.stage = Stage::Idle;
            return Ok(false);
        }
        if self.asked.is_some_and(|asked| asked.elapsed() < ASK_EVERY) {
            return Ok(false);
        }
        self.asked = Some(Instant::now());
        self.stage = match std::mem::take(&mut self.stage) {
            Stage::Idle => Stage::Noted(gaps.clone()),
            Stage::Noted(noted) => Self::ask(database, noted, Witness::begin(database).await?).await?,
            Stage::Asking(noted, witness) if witness.began.elapsed() < WITNESS_FOR => {
                Self::ask(database, noted, witness).await?
            }
            Stage::Asking(noted, _) => Self::ask(database, noted, Witness::begin(database).await?).await?,
            Stage::Waiting(noted, mut open) => {
                // No answer is older than the one before it, so what is not listed any more has ended.
                let still_open = Self::open_transactions(database).await?;
                open.retain(|transaction| still_open.contains(transaction));
                if open.is_empty() {
                    self.settled = noted;
                    Stage::Idle
                } else {
                    Stage::Waiting(noted, open)
                }
            }
        };
        Ok(!self.settled.as_slice().is_empty())
    }

    /// Takes an answer that lists the witness; any other may be older than the gaps.
    async fn ask(database: &Database, noted: DataRuns, witness: Witness) -> Result<Stage, DbError> {
        let mut open = Self::open_transactions(database).await?;
        let count = open.len();
        open.retain(|(connection, _)| *connection != witness.connection);
        Ok(if open.len() < count {
            Stage::Waiting(noted, open)
        } else {
            Stage::Asking(noted, witness)
        })
    }

    /// The ids that can no longer come unless the reading that begins now finds them.
    pub(super) fn take_settled(&mut self) -> DataRuns {
        std::mem::take(&mut self.settled)
    }

    /// All open transactions, as of now or of a moment before: the server keeps its answer as long as anybody reads
    /// it more often than every 0.1 s.
    pub(super) async fn open_transactions(database: &Database) -> Result<HashSet<Transaction>, DbError> {
        let statement = "select cast(trx_mysql_thread_id as char), cast(trx_started as char) \
                         from information_schema.innodb_trx";
        let rows = database.query(statement, &[]).await.map_err(|err| match err.sql_code {
            1227 => DbError::fatal(
                "the database user lacks the privilege PROCESS, without which changes that commit late could be \
                 missed; run: grant process on *.* to the user of db.url",
            ),
            _ => err,
        })?;
        rows.iter().map(|row| Ok((row.text(0)?, row.text(1)?))).collect()
    }
}

/// An open transaction of our own. Its connection never had another one, so an answer that lists the connection was
/// made after this transaction began. It ends with the connection, when it is dropped. Read committed, it has no
/// snapshot that would keep the server from purging.
struct Witness {
    connection: String,
    began: Instant,
    _open: DetachedConn,
}

impl Witness {
    async fn begin(database: &Database) -> Result<Self, DbError> {
        let mut open = database.fresh().await?;
        open.execute_script(
            "set transaction isolation level read committed; start transaction with consistent snapshot",
        )
        .await?;
        let id = open
            .query_opt("select cast(connection_id() as char)", &[])
            .await?
            .ok_or_else(|| DbError::unexpected("no connection id"))?;
        Ok(Self {
            connection: id.text(0)?,
            began: Instant::now(),
            _open: open,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestNode;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use symstream_shared::db::DatabaseKind;

    /// Asks until the gaps have settled or `attempts` are over.
    async fn settles(settling: &mut Settling, database: &Database, attempts: usize) -> bool {
        let gaps: DataRuns = "1".parse().expect("runs");
        for _ in 0..attempts {
            if settling.advance(database, &gaps).await.expect("answer") {
                return true;
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
        false
    }

    #[tokio::test]
    async fn an_answer_from_before_the_gap_settles_nothing() {
        let node = TestNode::start(DatabaseKind::Mysql).await;
        let database = node.source.database.clone();
        // GIVEN somebody who reads so often that the server never makes its answer anew
        let stop = Arc::new(AtomicBool::new(false));
        let poller = tokio::spawn({
            let (database, stop) = (database.clone(), Arc::clone(&stop));
            async move {
                while !stop.load(Ordering::Relaxed) {
                    Settling::open_transactions(&database).await.expect("answer");
                }
            }
        });
        Settling::open_transactions(&database).await.expect("answer");
        // WHEN a transaction holds an id THEN the answer that does not know it yet is not taken
        let mut late = node.db.begin().await.expect("transaction");
        late.execute(
            "insert into sym_state (state_key, state_value) values ('x', 'y')",
            &[],
        )
        .await
        .expect("written");
        let mut settling = Settling::default();
        assert!(!settles(&mut settling, &database, 6).await);
        // WHEN answers are new again THEN it is waited for until it ends
        stop.store(true, Ordering::Relaxed);
        poller.await.expect("poller");
        assert!(!settles(&mut settling, &database, 6).await);
        late.commit().await.expect("commit");
        assert!(settles(&mut settling, &database, 20).await);
        assert_eq!(settling.take_settled().to_string(), "1");
    }
}
