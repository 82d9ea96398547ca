//! Loading one batch: its rows, its record and the lane's position in one transaction.

use crate::apply::{Applier, ApplyError, Origin};
use crate::dialect::{self, Dialect};
use crate::ledger::Ledger;
use crate::spool::Spool;
use crate::target::TargetCache;
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use symstream_shared::batch_status::BatchStatus;
use symstream_shared::db::{Database, DbError, Sql, Tx, TxKind};
use symstream_shared::id::{ChannelId, NodeId};
use symstream_shared::retry::Disposition;
use symstream_shared::schema::Tables;
use symstream_shared::wire::{Assembler, BatchFailure, BatchResult, LanePart, Message, WireError};

/// The longest message of a failure.
const MESSAGE_BYTES_MAX: usize = 4096;

/// Which batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchKey {
    /// Where it comes from.
    pub source: NodeId,
    /// Its id there.
    pub batch_id: i64,
    /// The batch that the lane has to stand at.
    pub previous: i64,
}

/// Where a batch's parts are.
pub enum Content<'a> {
    /// The only part, and when the router sent it.
    Message(&'a LanePart, i64),
    /// In the spool.
    Spool,
}

/// Why a batch is not loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The same again will work; nobody has to hear of it.
    #[error("{0}")]
    Passing(DbError),
    /// It fails until somebody acts.
    #[error("{}", .0.failure.as_ref().map_or("", |failure| failure.message.as_str()))]
    Failed(Box<BatchResult>),
    /// The lane does not stand where this batch begins: another loader was faster.
    #[error("the lane is not at the batch's predecessor any more")]
    Overtaken,
    /// The spool lacks a part.
    #[error("a part of the batch is missing")]
    Incomplete,
}

/// Loads the batches of one channel.
pub struct BatchLoader {
    database: Database,
    tables: Tables,
    dialect: &'static dyn Dialect,
    ledger: Ledger,
    spool: Spool,
    hostname: String,
    targets: TargetCache,
}

/// What an attempt has measured so far.
struct Measured {
    start_ms: i64,
    started: Instant,
    sent_ms: i64,
    converting_ms: i64,
    change_count: i64,
}

/// Why an attempt ended; the transaction is rolled back then.
enum Ended {
    Apply(ApplyError),
    Wire(WireError),
    Database(DbError),
    Overtaken,
    Incomplete,
}

impl From<DbError> for Ended {
    fn from(err: DbError) -> Self {
        Self::Database(err)
    }
}

impl BatchLoader {
    /// A loader for one channel of the node that `database` is.
    pub fn new(database: Database, tables: Tables, channel: &ChannelId, hostname: String) -> Self {
        Self {
            dialect: dialect::of(database.kind()),
            ledger: Ledger::new(&tables, channel),
            spool: Spool::new(&tables, channel),
            database,
            tables,
            hostname,
            targets: TargetCache::default(),
        }
    }

    /// Loads a batch. When it returns `Ok`, the batch is committed; else nothing of it is in the database.
    /// Dropped in between it rolls back, or commits: then the lane's position tells.
    ///
    /// # Errors
    /// [`LoadError`].
    pub async fn load(&mut self, batch: &BatchKey, content: &Content<'_>) -> Result<BatchResult, LoadError> {
        let started = Instant::now();
        let mut result = self.attempt(batch, content).await;
        // A table may have been altered since its definition was read.
        if matches!(result, Err(LoadError::Failed(_))) && self.targets.clear(started) {
            result = self.attempt(batch, content).await;
            if matches!(result, Err(LoadError::Failed(_))) {
                self.targets.clear(started);
            }
        }
        result
    }

    async fn attempt(&mut self, batch: &BatchKey, content: &Content<'_>) -> Result<BatchResult, LoadError> {
        let start_ms = now_ms();
        let mut measured = Measured {
            start_ms,
            started: Instant::now(),
            sent_ms: start_ms,
            converting_ms: 0,
            change_count: 0,
        };
        let outcome = match self.database.begin(TxKind::Write).await {
            Ok(mut tx) => match self.within(&mut tx, batch, content, &mut measured).await {
                Ok(result) => tx.commit().await.map(|()| result).map_err(Ended::Database),
                Err(ended) => {
                    self.roll_back(tx).await;
                    Err(ended)
                }
            },
            Err(err) => Err(Ended::Database(err)),
        };
        outcome.map_err(|ended| self.judge(batch, &measured, ended))
    }

    async fn within(
        &mut self,
        tx: &mut Tx,
        batch: &BatchKey,
        content: &Content<'_>,
        measured: &mut Measured,
    ) -> Result<BatchResult, Ended> {
        let origin = Origin::new(self.dialect, &self.tables, &batch.source);
        let mut applier = Applier::new(self.dialect, &mut self.targets, origin);
        let applied = match content {
            Content::Message(part, sent_ms) => {
                measured.sent_ms = *sent_ms;
                applier.apply(tx, &part.rows).await.map_err(Ended::Apply)
            }
            Content::Spool => apply_spooled(tx, &self.spool, &mut applier, batch, measured).await,
        };
        measured.change_count = applier.written();
        measured.converting_ms = i64::try_from(applier.converting().as_millis()).unwrap_or(i64::MAX);
        applied?;
        applier.finish(tx).await?;
        let result = measured.result(batch, &self.hostname, BatchStatus::Ok, None);
        self.ledger.record(tx, &batch.source, &result).await?;
        let advanced = self
            .ledger
            .advance(tx, &batch.source, batch.previous, batch.batch_id)
            .await?;
        if !advanced {
            return Err(Ended::Overtaken);
        }
        if matches!(content, Content::Spool) {
            self.spool
                .remove_through(tx, &batch.source, batch.batch_id)
                .await?;
        }
        Ok(result)
    }

    /// The switch that keeps triggers quiet must not stay with a connection that goes back to the pool. Errors
    /// of either statement mean that the connection is gone, and the switch and the transaction with it.
    async fn roll_back(&self, mut tx: Tx) {
        if let Some(off) = self.dialect.origin_off(&self.tables) {
            drop(tx.execute(&off.sql, &off.params).await);
        }
        drop(tx.rollback().await);
    }

    fn judge(&self, batch: &BatchKey, measured: &Measured, ended: Ended) -> LoadError {
        let mut failure = match ended {
            Ended::Overtaken => return LoadError::Overtaken,
            Ended::Incomplete => return LoadError::Incomplete,
            Ended::Database(err) if err.disposition == Disposition::Retry => return LoadError::Passing(err),
            Ended::Apply(err) if err.is_passing() => {
                return LoadError::Passing(err.database.unwrap_or_else(|| DbError::unexpected(err.message)));
            }
            Ended::Apply(err) => BatchFailure {
                row_number: err.row_number,
                data_id: err.data_id,
                sql_state: err
                    .database
                    .as_ref()
                    .map(|err| err.sql_state.clone())
                    .unwrap_or_default(),
                sql_code: err.database.as_ref().map_or(0, |err| err.sql_code),
                message: err.message,
            },
            Ended::Database(err) => BatchFailure {
                row_number: 0,
                data_id: 0,
                sql_state: err.sql_state,
                sql_code: err.sql_code,
                message: err.message,
            },
            Ended::Wire(err) => BatchFailure {
                row_number: 0,
                data_id: 0,
                sql_state: String::new(),
                sql_code: 0,
                message: err.to_string(),
            },
        };
        cut(&mut failure.message);
        LoadError::Failed(Box::new(measured.result(
            batch,
            &self.hostname,
            BatchStatus::Error,
            Some(failure),
        )))
    }
}

/// Applies the parts of a batch out of the spool, holding one logical part in memory at a time.
async fn apply_spooled(
    tx: &mut Tx,
    spool: &Spool,
    applier: &mut Applier<'_>,
    batch: &BatchKey,
    measured: &mut Measured,
) -> Result<(), Ended> {
    let mut assembler = Assembler::default();
    let mut seen = Vec::new();
    let mut listed = Vec::new();
    let mut after = 0;
    while let Some(spooled) = spool.next(tx, &batch.source, batch.batch_id, after).await? {
        after = spooled.part;
        seen.push(spooled.part);
        measured.sent_ms = spooled.sent_ms;
        let message = Message::decode(&spooled.body).map_err(Ended::Wire)?;
        match assembler.push(message) {
            Ok(None) => {}
            Ok(Some(Message::Lane(part))) => {
                if part.part == part.part_last {
                    listed.clone_from(&part.parts);
                }
                applier.apply(tx, &part.rows).await.map_err(Ended::Apply)?;
            }
            Ok(Some(_)) => {
                return Err(Ended::Database(DbError::unexpected(
                    "a message of this batch is none of a batch",
                )));
            }
            // Fragments follow each other in the spool unless one is missing.
            Err(WireError::FragmentOrder { .. }) => return Err(Ended::Incomplete),
            Err(err) => return Err(Ended::Wire(err)),
        }
    }
    // Nothing at all: another loader has applied it, or somebody emptied the spool.
    if !seen.is_empty() && seen == listed {
        Ok(())
    } else {
        Err(Ended::Incomplete)
    }
}

impl Measured {
    fn result(
        &self,
        batch: &BatchKey,
        hostname: &str,
        status: BatchStatus,
        failure: Option<BatchFailure>,
    ) -> BatchResult {
        let elapsed = i64::try_from(self.started.elapsed().as_millis()).unwrap_or(i64::MAX);
        BatchResult {
            batch_id: batch.batch_id,
            status,
            start_ms: self.start_ms,
            end_ms: self.start_ms + elapsed,
            network_ms: (self.start_ms - self.sent_ms).max(0),
            filter_ms: self.converting_ms,
            database_ms: (elapsed - self.converting_ms).max(0),
            change_count: self.change_count,
            hostname: hostname.to_owned(),
            failure,
        }
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
