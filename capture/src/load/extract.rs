//! Reading the rows of an initial load and publishing them.

use super::book::single;
use super::opening::Opened;
use super::plan_api::{self, LoadTargets};
use super::progress::Progress;
use super::rows::ChangeTaker;
use super::sender::{Envelope, Sender};
use crate::batch_store::{self, Attempts, LoadBatch};
use crate::error::Error;
use crate::part_encoder::{BatchInfo, PartEncoder};
use crate::source::{Source, now_ms};
use crate::spool::Spool;
use std::ops::Range;
use std::sync::Arc;
use symstream_shared::id::{ChannelId, NodeId};
use symstream_shared::model::{Config, Node};
use symstream_shared::wire::{Change, LoadPart, LoadStep, TableInfo};

/// Rows of one batch: the target's application waits for its transaction.
const BATCH_ROWS_MAX: u64 = 1_000;
/// About what one batch's rows take before compression; one row may be larger.
const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Batch ids that are taken at once. Those that are left when the load ends are never used.
const IDS_AT_ONCE: i64 = 64;

/// Publishes the load: how it begins, the rows of all its tables as its snapshot has them, and its end. Holds a batch in
/// memory (or its temporary file) and some chunks of rows, never a table.
pub(super) async fn extract(
    source: &Source,
    sender: &Sender,
    config: &Config,
    nodes: Vec<&Node>,
    opened: Opened,
) -> Result<(), Error> {
    let Opened {
        load_id,
        clear_first,
        uncut,
        mut snapshot,
    } = opened;
    let targets = LoadTargets {
        load_id,
        nodes,
        clear_first,
        uncut,
    };
    let plan = plan_api::plan(&mut snapshot, source, config, &targets).await?;
    let mut load = Load {
        source,
        sender,
        load_id,
        configuration_version: config.version,
        targets: targets.nodes.iter().map(|node| node.node_id.clone()).collect(),
        progress: Progress::new(source, load_id, &plan).await?,
        ids: 0..0,
        batch: None,
        in_circle: false,
    };
    load.send_step(load_id, LoadStep::Begin(plan.begin)).await?;
    let mut circle = None;
    for step in &plan.steps {
        if circle != step.circle {
            load.close().await?;
        }
        circle = step.circle;
        load.in_circle = circle.is_some();
        load.progress.begin_table(step.table()).await?;
        step.read(&mut snapshot, &mut load).await?;
    }
    load.close().await?;
    snapshot.rollback().await?;
    let batch_id = load.next_id().await?;
    load.send_step(batch_id, LoadStep::End).await?;
    load.progress.sent().await
}

struct Load<'a> {
    source: &'a Source,
    sender: &'a Sender,
    load_id: i64,
    configuration_version: i64,
    /// Those that still want it.
    targets: Vec<NodeId>,
    progress: Progress<'a>,
    /// Batch ids that are ours.
    ids: Range<i64>,
    batch: Option<OpenBatch>,
    /// The rows of a circle stay in one batch.
    in_circle: bool,
}

struct OpenBatch {
    batch_id: i64,
    encoder: PartEncoder,
    rows: u64,
    bytes: usize,
}

impl ChangeTaker for Load<'_> {
    async fn take(&mut self, table: &Arc<TableInfo>, change: Change) -> Result<(), Error> {
        let batch = match &mut self.batch {
            Some(batch) => batch,
            none => {
                let batch_id = next_id(&mut self.ids, self.source).await?;
                let info = info(
                    self.source,
                    (self.load_id, batch_id, self.configuration_version),
                    &self.targets,
                    LoadStep::Rows,
                );
                none.insert(OpenBatch {
                    batch_id,
                    encoder: PartEncoder::new(info),
                    rows: 0,
                    bytes: 0,
                })
            }
        };
        batch.rows += 1;
        batch.bytes += change.size();
        batch.encoder.push_decided(table, change)?;
        let is_full = batch.rows >= BATCH_ROWS_MAX || batch.bytes >= BATCH_BYTES_MAX;
        if is_full && !self.in_circle {
            self.close().await?;
        }
        Ok(())
    }
}

impl Load<'_> {
    async fn next_id(&mut self) -> Result<i64, Error> {
        next_id(&mut self.ids, self.source).await
    }

    /// Publishes the open batch, if there is one.
    async fn close(&mut self) -> Result<(), Error> {
        let Some(batch) = self.batch.take() else {
            return Ok(());
        };
        let spool = batch.encoder.finish_decided()?;
        let rows = i64::try_from(batch.rows).unwrap_or(i64::MAX);
        self.send(batch.batch_id, spool, rows).await
    }

    /// Publishes a batch without rows.
    async fn send_step(&mut self, batch_id: i64, step: LoadStep) -> Result<(), Error> {
        let ids = (self.load_id, batch_id, self.configuration_version);
        let spool = PartEncoder::new(info(self.source, ids, &self.targets, step)).finish_decided()?;
        self.send(batch_id, spool, 0).await
    }

    async fn send(&mut self, batch_id: i64, spool: Spool, rows: i64) -> Result<(), Error> {
        let Load { source, sender, .. } = self;
        let ids = (self.load_id, batch_id, self.configuration_version);
        publish(source, sender, ids, single(&self.targets), spool, rows).await?;
        self.progress.add_rows(rows);
        self.progress
            .look(sender, self.configuration_version, &mut self.targets)
            .await
    }
}

async fn next_id(ids: &mut Range<i64>, source: &Source) -> Result<i64, Error> {
    if let Some(batch_id) = ids.next() {
        return Ok(batch_id);
    }
    let first = batch_store::give_out(source, IDS_AT_ONCE).await?;
    *ids = first + 1..first + IDS_AT_ONCE;
    Ok(first)
}

/// Publishes one batch (load, batch, version of the configuration), which is written down before.
pub(super) async fn publish(
    source: &Source,
    sender: &Sender,
    (load_id, batch_id, configuration_version): (i64, i64, i64),
    target: Option<&NodeId>,
    spool: Spool,
    row_count: i64,
) -> Result<(), Error> {
    let batch = LoadBatch {
        batch_id,
        load_id,
        target,
        configuration_version,
        row_count,
        byte_count: spool.byte_count(),
    };
    write_down(source, &batch).await?;
    let envelope = Envelope {
        load_id,
        batch_id,
        configuration_version,
    };
    sender.publish(&envelope, spool).await
}

/// A load does not begin anew because another transaction was in the way of its bookkeeping.
async fn write_down(source: &Source, batch: &LoadBatch<'_>) -> Result<(), Error> {
    let mut attempts = Attempts::default();
    loop {
        let mut conn = source.database.conn().await?;
        match batch_store::put_load(&mut conn, &source.tables, batch).await {
            Err(err) if attempts.has_another(&err) => {}
            written => return written,
        }
    }
}

/// What the parts of a load's batch say of it (load, batch, version of the configuration).
pub(super) fn info(
    source: &Source,
    (load_id, batch_id, configuration_version): (i64, i64, i64),
    targets: &[NodeId],
    step: LoadStep,
) -> BatchInfo {
    BatchInfo {
        source: source.node.clone(),
        source_group: source.engine.group.clone(),
        channel: ChannelId::reload(),
        batch_id,
        configuration_version,
        created_ms: now_ms(),
        targets: targets.to_vec(),
        load: Some(LoadPart { load_id, step }),
        request: None,
        absent: Vec::new(),
        loading: Vec::new(),
    }
}
