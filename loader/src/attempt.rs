//! One attempt to load a batch: what it measured, and what is made of its failure.

use crate::apply::ApplyError;
use crate::batch::{BatchKey, LoadError};
use crate::statement::StatementError;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use symstream_shared::batch_status::BatchStatus;
use symstream_shared::db::DbError;
use symstream_shared::ddl::DdlError;
use symstream_shared::retry::Disposition;
use symstream_shared::wire::{BatchFailure, BatchResult, WireError};

/// The longest message of a failure.
const MESSAGE_BYTES_MAX: usize = 4096;

/// What an attempt has measured so far.
pub(crate) struct Measured {
    start_ms: i64,
    started: Instant,
    /// When the router sent the batch.
    pub sent_ms: i64,
    /// The time that went into fitting values into columns.
    pub converting: Duration,
    /// How many changes were written.
    pub change_count: i64,
    /// Whether the source's lanes are elsewhere once it is committed: an initial load began or ended.
    pub moved: bool,
    /// Whether the tables that it asks for are there.
    pub created: bool,
}

/// Why an attempt ended; nothing of the batch is in the database then, unless a statement committed by itself.
pub(crate) enum Ended {
    Apply(ApplyError),
    Statement(StatementError),
    Wire(WireError),
    Database(DbError),
    Create(DdlError),
    Overtaken,
    Incomplete,
}

impl From<DbError> for Ended {
    fn from(err: DbError) -> Self {
        Self::Database(err)
    }
}

impl Measured {
    /// An attempt begins.
    pub(crate) fn begin() -> Self {
        let start_ms = now_ms();
        Self {
            start_ms,
            started: Instant::now(),
            sent_ms: start_ms,
            converting: Duration::ZERO,
            change_count: 0,
            moved: false,
            created: false,
        }
    }

    /// The next attempt begins.
    pub(crate) fn again(&self) -> Self {
        Self {
            created: self.created,
            ..Self::begin()
        }
    }

    /// The result as of now.
    pub(crate) fn result(
        &self,
        batch: &BatchKey,
        hostname: &str,
        status: BatchStatus,
        failure: Option<BatchFailure>,
    ) -> BatchResult {
        let millis = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        let elapsed = self.started.elapsed();
        BatchResult {
            batch_id: batch.batch_id,
            status,
            start_ms: self.start_ms,
            end_ms: self.start_ms + millis(elapsed),
            network_ms: (self.start_ms - self.sent_ms).max(0),
            filter_ms: millis(self.converting),
            database_ms: millis(elapsed.saturating_sub(self.converting)),
            change_count: self.change_count,
            hostname: hostname.to_owned(),
            failure,
        }
    }

    /// What the batch's lane has to know of the end.
    pub(crate) fn judge(&self, batch: &BatchKey, hostname: &str, ended: Ended) -> LoadError {
        let mut failure = match ended {
            Ended::Overtaken => return LoadError::Overtaken,
            Ended::Incomplete => return LoadError::Incomplete,
            Ended::Database(err) | Ended::Create(DdlError::Database(err))
                if err.disposition == Disposition::Retry =>
            {
                return LoadError::Passing(err);
            }
            Ended::Apply(err) if err.is_passing() => {
                return LoadError::Passing(err.database.unwrap_or_else(|| DbError::unexpected(err.message)));
            }
            Ended::Apply(err) => failure((err.row_number, err.data_id), err.message, err.database.as_ref()),
            // The batch has one row, the event.
            Ended::Statement(err) => failure((1, 0), err.to_string(), err.database()),
            Ended::Database(err) => failure((0, 0), err.message.clone(), Some(&err)),
            Ended::Create(err) => failure((0, 0), format!("tables are not created: {err}"), None),
            Ended::Wire(err) => failure((0, 0), err.to_string(), None),
        };
        cut(&mut failure.message);
        LoadError::Failed(Box::new(self.result(
            batch,
            hostname,
            BatchStatus::Error,
            Some(failure),
        )))
    }
}

fn failure((row_number, data_id): (i64, i64), message: String, database: Option<&DbError>) -> BatchFailure {
    BatchFailure {
        row_number,
        data_id,
        sql_state: database.map(|err| err.sql_state.clone()).unwrap_or_default(),
        sql_code: database.map_or(0, |err| err.sql_code),
        message,
    }
}

/// A message may quote a statement of any length; it goes into a table, into logs and to the source.
fn cut(message: &mut String) {
    if message.len() > MESSAGE_BYTES_MAX {
        let mut end = MESSAGE_BYTES_MAX;
        while !message.is_char_boundary(end) {
            end -= 1;
        }
        message.truncate(end);
    }
}

/// Milliseconds since 1970 by this host's clock.
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let mut message = format!("x{}", "é".repeat(MESSAGE_BYTES_MAX));
        cut(&mut message);
        assert_eq!(message.len(), MESSAGE_BYTES_MAX - 1);
        let mut short = String::from("é");
        cut(&mut short);
        assert_eq!(short, "é");
    }
}
