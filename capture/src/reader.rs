//! The loop that reads `sym_data` and cuts what it finds into batches.

use crate::batch_store;
use crate::cutter::Cutter;
use crate::dialect::reading::{Backlog, ChangeReader, change_reader};
use crate::error::Error;
use crate::source::{Source, now_ms};
use crate::state;
use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};
use symstream_shared::db::TxKind;
use symstream_shared::id::ChannelId;
use symstream_shared::retry::Disposition;
use tokio::sync::watch;

/// How long a change of `sym_channel.max_batch_size` may take to be noticed.
const SIZES_FOR: Duration = Duration::from_secs(1);

/// How often a reading is tried before the loop begins anew.
const ATTEMPTS: u32 = 5;

/// Batches that may be on their way to the routers before reading waits for them: so many small transactions become
/// one batch as soon as batches are cut faster than they are routed.
const BATCHES_ON_THE_WAY: usize = 4;
/// The longest that reading waits for them. Batches older than this are stuck, and hold up nobody.
const GATHERING_MAX: Duration = Duration::from_millis(1000);
/// How often it is seen whether they were routed.
const GATHERING_LOOK: Duration = Duration::from_millis(5);

/// Reads for ever. `cut` changes when there are new batches to publish. May be dropped: a reading that was not
/// committed is made again.
pub(crate) async fn run(
    source: Source,
    backlog: Backlog,
    cut: Arc<watch::Sender<u64>>,
) -> Result<Infallible, Error> {
    let mut reader = Reader::new(source, backlog);
    loop {
        reader.changes.wait().await?;
        gather(&reader.source).await?;
        if reader.read_again().await? {
            cut.send_modify(|count| *count += 1);
        }
    }
}

/// Waits while the batches cut last are still on their way, but not long: what is captured meanwhile becomes
/// part of the next reading.
async fn gather(source: &Source) -> Result<(), Error> {
    let started = Instant::now();
    loop {
        let since_ms = now_ms() - i64::try_from(GATHERING_MAX.as_millis()).unwrap_or(0);
        let mut conn = source.database.conn().await?;
        let on_the_way =
            batch_store::on_the_way(&mut conn, &source.tables, since_ms, BATCHES_ON_THE_WAY).await?;
        drop(conn);
        if on_the_way < BATCHES_ON_THE_WAY || started.elapsed() >= GATHERING_MAX {
            return Ok(());
        }
        tokio::time::sleep(GATHERING_LOOK).await;
    }
}

fn is_conflict(err: &Error) -> bool {
    match err {
        Error::Displaced => true,
        Error::Database(err) => err.disposition == Disposition::Retry && !err.connection_lost,
        _ => false,
    }
}

struct Reader {
    source: Source,
    changes: Box<dyn ChangeReader>,
    sizes: HashMap<ChannelId, u64>,
    sizes_read: Option<Instant>,
}

impl Reader {
    fn new(source: Source, backlog: Backlog) -> Self {
        Self {
            changes: change_reader(
                &source.database,
                &source.tables,
                backlog,
                source.parameters.clone(),
            ),
            sizes: HashMap::new(),
            sizes_read: None,
            source,
        }
    }

    /// One reading, made again when another loop of the agent was in its way: initial loads and requests take batch ids,
    /// too.
    async fn read_again(&mut self) -> Result<bool, Error> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            match self.read_once().await {
                Err(err) if attempts < ATTEMPTS && is_conflict(&err) => {
                    tracing::debug!(node_id = %self.source.node, error = %err, "reading is made again");
                }
                read => return read,
            }
        }
    }

    /// One reading, cut into batches, and the new position: one transaction. Whether there are new batches.
    async fn read_once(&mut self) -> Result<bool, Error> {
        let tables = &self.source.tables;
        let mut tx = self.source.database.begin(TxKind::Snapshot).await?;
        let before = state::get(&mut tx, tables, state::CAPTURE_POSITION).await?;
        if self.sizes_read.is_none_or(|read| read.elapsed() >= SIZES_FOR) {
            self.sizes = batch_store::batch_sizes(&mut tx, tables).await?;
            self.sizes_read = Some(Instant::now());
        }
        let rows_max = self.source.parameters.borrow().capture_transaction_max_rows;
        let mut cutter = Cutter::new(self.sizes.clone(), rows_max);
        let after = self
            .changes
            .read(&mut tx, before.as_deref(), &mut |row| cutter.push(row))
            .await?;
        let cuts = cutter.finish();
        let Some(after) = after else {
            tx.rollback().await?;
            self.changes.stored(before.as_deref())?;
            return Ok(false);
        };
        if !cuts.batches.is_empty() {
            let version = state::number(&mut tx, tables, state::CONFIG_VERSION).await?;
            batch_store::store(&mut tx, tables, &cuts.batches, version, now_ms()).await?;
        }
        state::replace(
            &mut tx,
            tables,
            state::CAPTURE_POSITION,
            before.as_deref(),
            &after,
        )
        .await?;
        tx.commit().await?;
        self.changes.stored(Some(&after))?;
        for cut in &cuts.batches {
            tracing::debug!(channel = %cut.channel, row_count = cut.count, "batch cut");
        }
        for (channel, row_count) in &cuts.large_transactions {
            tracing::warn!(
                node_id = %self.source.node, %channel, row_count, rows_max,
                "transaction has more rows than capture.transaction.max.rows: its targets apply it in several"
            );
        }
        Ok(!cuts.batches.is_empty())
    }
}

#[cfg(test)]
mod tests;
