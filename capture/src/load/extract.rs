//! Extracting the rows of an initial load and publishing them.

use super::plan;
use super::rows::{self, ChangeTaker};
use crate::answers::Asker;
use crate::batch_store;
use crate::decode::HistCache;
use crate::error::Error;
use crate::part_encoder::{BatchInfo, PartEncoder};
use crate::publisher::Sending;
use crate::source::{Source, now_ms};
use std::sync::Arc;
use symstream_nats::{BatchType, Bus, CapturedPublisher, PartHeader};
use symstream_shared::db::{Param, Tx, TxKind};
use symstream_shared::id::ChannelId;
use symstream_shared::model::{Config, Node};
use symstream_shared::wire::{Change, Operation, TableInfo};

/// Rows of one batch.
const BATCH_ROWS_MAX: u64 = 10_000;
/// About what one batch's rows take before compression; one row may be larger.
const BATCH_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Reads all tables that `node` gets in one snapshot, and publishes their rows as batches for it. Holds a batch in
/// memory (or its temporary file) and some chunks of rows, never a table.
pub(super) async fn extract(source: &Source, bus: &Bus, config: &Config, node: &Node) -> Result<(), Error> {
    let mut history = HistCache::new();
    let mut snapshot = source.database.begin(TxKind::ReadOnly).await?;
    let tables = plan::tables(&mut snapshot, source, config, node, &mut history).await?;
    let mut asked = HistCache::new();
    let mut load = Load {
        source,
        config,
        node,
        publisher: bus.captured(&source.node, &ChannelId::reload()),
        // Rules are asked while the rows stream through the other connection.
        questions: source.database.begin(TxKind::ReadOnly).await?,
        asker: Asker {
            tables: &source.tables,
            config,
            group: &source.engine.group,
            target_group: Some(&node.group),
            since: None,
            history: &mut asked,
        },
        batch: None,
    };
    for table in &tables {
        rows::read(&mut snapshot, table, 0, Operation::Insert, &mut load).await?;
    }
    load.close(true).await?;
    load.questions.rollback().await?;
    snapshot.rollback().await?;
    Ok(())
}

struct Load<'a> {
    source: &'a Source,
    config: &'a Config,
    node: &'a Node,
    publisher: CapturedPublisher,
    questions: Tx,
    asker: Asker<'a>,
    batch: Option<OpenBatch>,
}

struct OpenBatch {
    batch_id: i64,
    encoder: PartEncoder,
    rows: u64,
    bytes: usize,
}

impl ChangeTaker for Load<'_> {
    async fn take(&mut self, table: &Arc<TableInfo>, insert: Change) -> Result<(), Error> {
        let mut batch = match self.batch.take() {
            Some(batch) => batch,
            None => self.open().await?,
        };
        batch.rows += 1;
        batch.bytes += insert.size();
        batch
            .encoder
            .push(&mut self.questions, &mut self.asker, table, insert)
            .await?;
        let is_full = batch.rows >= BATCH_ROWS_MAX || batch.bytes >= BATCH_BYTES_MAX;
        self.batch = Some(batch);
        if is_full { self.close(false).await } else { Ok(()) }
    }
}

impl Load<'_> {
    /// A new batch: its number and its row in `sym_capture_batch` are durable before anything of it is published.
    async fn open(&self) -> Result<OpenBatch, Error> {
        let tables = &self.source.tables;
        let created_ms = now_ms();
        let mut tx = self.source.database.begin(TxKind::Write).await?;
        let batch_id = batch_store::allocate(&mut tx, tables, 1).await?;
        batch_store::insert_load(
            &mut tx,
            tables,
            batch_id,
            &self.node.node_id,
            self.config.version,
            created_ms,
        )
        .await?;
        tx.commit().await?;
        let info = BatchInfo {
            source: self.source.node.clone(),
            source_group: self.source.engine.group.clone(),
            channel: ChannelId::reload(),
            batch_id,
            configuration_version: self.config.version,
            created_ms,
            targets: vec![self.node.node_id.clone()],
            load: None,
            request: None,
            absent: Vec::new(),
            loading: Vec::new(),
        };
        Ok(OpenBatch {
            batch_id,
            encoder: PartEncoder::new(info),
            rows: 0,
            bytes: 0,
        })
    }

    /// Publishes the open batch. The last one of a load says so, and is there even without rows.
    async fn close(&mut self, load_complete: bool) -> Result<(), Error> {
        let batch = match self.batch.take() {
            Some(batch) => batch,
            None if load_complete => self.open().await?,
            None => return Ok(()),
        };
        let spool = batch.encoder.finish(&mut self.questions, &mut self.asker).await?;
        let statement = format!(
            "update {} set data_count = ? where batch_id = ?",
            self.source.tables.name("capture_batch")
        );
        let params: [Param; 2] = [
            i64::try_from(batch.rows).unwrap_or(i64::MAX).into(),
            batch.batch_id.into(),
        ];
        self.source.database.execute(&statement, &params).await?;
        let header = PartHeader {
            source: self.source.node.clone(),
            target: None,
            channel: ChannelId::reload(),
            batch_id: batch.batch_id,
            previous_batch_id: None,
            batch_type: BatchType::InitialLoad,
            rows: 0,
            part: 0,
            part_last: 0,
            configuration_version: self.config.version,
            time_ms: 0,
            load_id: None,
            group: None,
        };
        let mut sending = Sending::new(header, spool)?;
        while sending.publish_next(&mut self.publisher).await? {}
        Ok(())
    }
}
