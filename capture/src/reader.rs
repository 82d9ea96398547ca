//! The loop that reads `sym_data` and cuts what it finds into batches.

use crate::batch_store::{self, Attempts};
use crate::cutter::{Cuts, Cutter};
use crate::data_runs::DataRuns;
use crate::dialect::reading::{Backlog, ChangeReader, change_reader};
use crate::error::Error;
use crate::load::{self, Opened, Opening, Openings};
use crate::source::{Source, now_ms};
use crate::state;
use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};
use symstream_shared::db::{Tx, TxKind};
use symstream_shared::id::ChannelId;
use symstream_shared::schema::Tables;
use tokio::sync::watch;

/// How long a change of `sym_channel.max_batch_size` may take to be noticed.
const SIZES_FOR: Duration = Duration::from_secs(1);

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
    openings: Openings,
) -> Result<Infallible, Error> {
    let mut openings = openings.lock().await;
    let mut reader = Reader::new(source, backlog);
    loop {
        let found = tokio::select! {
            Some(opening) = openings.recv() => reader.open_load(opening).await?,
            waited = reader.wait() => {
                waited?;
                reader.read_again().await?
            }
        };
        if found {
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

    /// Returns when there is something to read. May be dropped.
    async fn wait(&mut self) -> Result<(), Error> {
        self.changes.wait().await?;
        gather(&self.source).await
    }

    /// One reading, made again when another loop of the agent was in its way: initial loads and requests take batch ids,
    /// too.
    async fn read_again(&mut self) -> Result<bool, Error> {
        let mut attempts = Attempts::default();
        loop {
            match self.read_once().await {
                Err(err) if attempts.has_another(&err) => {}
                read => return read,
            }
        }
    }

    /// One reading, cut into batches, and the new position: one transaction. Whether there are new batches.
    async fn read_once(&mut self) -> Result<bool, Error> {
        let mut tx = self.source.database.begin(TxKind::Snapshot).await?;
        let reading = self.read(&mut tx).await?;
        if reading.after.is_none() {
            tx.rollback().await?;
            self.changes.stored(reading.before.as_deref())?;
            return Ok(false);
        }
        Self::store(&self.source.tables, &mut tx, &reading).await?;
        tx.commit().await?;
        self.stored(&reading)
    }

    /// A load's snapshot, made again when somebody was in the way. Whether there are new batches.
    async fn open_load(&mut self, opening: Opening) -> Result<bool, Error> {
        let mut attempts = Attempts::default();
        loop {
            match self.open_once(&opening).await {
                Err(err) if attempts.has_another(&err) => {}
                Err(err) => return Err(err),
                Ok((opened, found)) => {
                    opening.opened(opened);
                    return Ok(found);
                }
            }
        }
    }

    /// One reading within a snapshot that stays open for a load. What it found and was not cut yet is cut, and the load's
    /// number given out above it, in a transaction beside it.
    async fn open_once(&mut self, opening: &Opening) -> Result<(Opened, bool), Error> {
        let mut snapshot = self.source.database.begin(TxKind::ReadOnly).await?;
        load::make_patient(&mut snapshot).await?;
        let reading = self.read(&mut snapshot).await?;
        let mut tx = self.source.database.begin(TxKind::Write).await?;
        Self::store(&self.source.tables, &mut tx, &reading).await?;
        let tables = &self.source.tables;
        let load_id = batch_store::allocate(&mut tx, tables, 1).await?;
        let clear_first = opening.store(&mut tx, tables, load_id).await?;
        tx.commit().await?;
        let mut uncut = DataRuns::default();
        for cut in &reading.cuts.batches {
            uncut.append(&cut.runs);
        }
        let opened = Opened {
            load_id,
            clear_first,
            uncut,
            snapshot,
        };
        Ok((opened, self.stored(&reading)?))
    }

    /// What `snapshot` holds and no batch has.
    async fn read(&mut self, snapshot: &mut Tx) -> Result<Reading, Error> {
        let tables = &self.source.tables;
        let before = state::get(snapshot, tables, state::CAPTURE_POSITION).await?;
        if self.sizes_read.is_none_or(|read| read.elapsed() >= SIZES_FOR) {
            self.sizes = batch_store::batch_sizes(snapshot, tables).await?;
            self.sizes_read = Some(Instant::now());
        }
        let rows_max = self.source.parameters.borrow().capture_transaction_max_rows;
        let mut cutter = Cutter::new(self.sizes.clone(), rows_max);
        let after = self
            .changes
            .read(snapshot, before.as_deref(), &mut |row| cutter.push(row))
            .await?;
        Ok(Reading {
            before,
            after,
            cuts: cutter.finish(),
            rows_max,
        })
    }

    /// Writes the batches of a reading, and its position where it is a new one.
    async fn store(tables: &Tables, tx: &mut Tx, reading: &Reading) -> Result<(), Error> {
        let Some(after) = &reading.after else {
            return Ok(());
        };
        let batches = &reading.cuts.batches;
        if !batches.is_empty() {
            let version = state::number(tx, tables, state::CONFIG_VERSION).await?;
            batch_store::store(tx, tables, batches, version, now_ms()).await?;
        }
        let before = reading.before.as_deref();
        state::replace(tx, tables, state::CAPTURE_POSITION, before, after).await
    }

    /// What is committed is told. Whether there are new batches.
    fn stored(&mut self, reading: &Reading) -> Result<bool, Error> {
        let position = reading.after.as_deref().or(reading.before.as_deref());
        self.changes.stored(position)?;
        for cut in &reading.cuts.batches {
            tracing::debug!(channel = %cut.channel, row_count = cut.count, "batch cut");
        }
        for (channel, row_count) in &reading.cuts.large_transactions {
            tracing::warn!(
                node_id = %self.source.node, %channel, row_count, rows_max = reading.rows_max,
                "transaction has more rows than capture.transaction.max.rows: its targets apply it in several"
            );
        }
        Ok(!reading.cuts.batches.is_empty())
    }
}

/// What one snapshot holds that no batch has.
struct Reading {
    /// The position as it is stored.
    before: Option<String>,
    /// The position behind what was found; `None` when the old one stays.
    after: Option<String>,
    cuts: Cuts,
    /// As the cutter had it.
    rows_max: Option<u64>,
}

#[cfg(test)]
mod tests;
