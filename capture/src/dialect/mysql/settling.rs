//! When a missing id can no longer come.

use crate::data_runs::DataRuns;
use std::collections::HashSet;
use std::time::{Duration, Instant};
use symstream_shared::db::{Database, DbError};

/// How often the open transactions are asked for. Above the 0.1 s for which the server answers from a cache:
/// an answer must not be older than the reading that saw the gaps.
const ASK_EVERY: Duration = Duration::from_millis(300);

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
            Stage::Noted(noted) => Stage::Waiting(noted, Self::open_transactions(database).await?),
            Stage::Waiting(noted, mut open) => {
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

    /// The ids that can no longer come unless the reading that begins now finds them.
    pub(super) fn take_settled(&mut self) -> DataRuns {
        std::mem::take(&mut self.settled)
    }

    /// All open transactions.
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
