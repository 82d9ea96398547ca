//! From changes to the messages that carry them.
//!
//! A logical part is about a megabyte of changes, or one change that is larger; encoded and compressed it goes out
//! as one message or as fragments of one.

use crate::answers::Asker;
use crate::error::Error;
use crate::spool::Spool;
use std::sync::Arc;
use symstream_nats::BODY_BYTES_MAX;
use symstream_shared::db::Sql;
use symstream_shared::id::{ChannelId, GroupId, NodeId};
use symstream_shared::wire::{
    Change, LoadPart, Loading, Message, Part, Request, Rows, RuleAnswers, TableInfo,
};

/// What the changes of one part may take in memory, but for a single change that takes more.
const PART_BYTES_MAX: usize = 1024 * 1024;
/// The tables of one part are numbered in 16 bits.
const TABLES_MAX: usize = u16::MAX as usize;

/// What all parts of a batch say of it.
#[derive(Debug, Clone)]
pub(crate) struct BatchInfo {
    pub source: NodeId,
    pub source_group: GroupId,
    pub channel: ChannelId,
    pub batch_id: i64,
    pub configuration_version: i64,
    pub created_ms: i64,
    pub targets: Vec<NodeId>,
    pub load: Option<LoadPart>,
    pub request: Option<Request>,
    pub absent: Vec<NodeId>,
    pub loading: Vec<Loading>,
}

/// Collects one batch's changes into parts, encodes them and puts them into a [`Spool`].
pub(crate) struct PartEncoder {
    info: BatchInfo,
    rows: Rows,
    tables: Vec<Arc<TableInfo>>,
    bytes: usize,
    spool: Spool,
}

impl PartEncoder {
    /// An encoder for one batch.
    pub(crate) fn new(info: BatchInfo) -> Self {
        Self {
            info,
            rows: Rows::default(),
            tables: Vec::new(),
            bytes: 0,
            spool: Spool::new(),
        }
    }

    /// Adds the next change. Questions about full parts are asked with `asker` in the transaction `sql`.
    pub(crate) async fn push(
        &mut self,
        sql: &mut dyn Sql,
        asker: &mut Asker<'_>,
        table: &Arc<TableInfo>,
        change: Change,
    ) -> Result<(), Error> {
        if self.is_full_with(&change) {
            self.flush(sql, asker).await?;
        }
        self.add(table, change);
        Ok(())
    }

    /// Adds the next change of an initial load, about which no rule is asked any more.
    pub(crate) fn push_decided(&mut self, table: &Arc<TableInfo>, change: Change) -> Result<(), Error> {
        if self.is_full_with(&change) {
            self.encode(Vec::new())?;
        }
        self.add(table, change);
        Ok(())
    }

    fn is_full_with(&self, change: &Change) -> bool {
        !self.rows.changes.is_empty()
            && (self.bytes + change.size() > PART_BYTES_MAX || self.tables.len() == TABLES_MAX)
    }

    fn add(&mut self, table: &Arc<TableInfo>, mut change: Change) {
        let known = self
            .tables
            .iter()
            .position(|known| Arc::ptr_eq(known, table) || known == table);
        let index = known.unwrap_or_else(|| {
            self.tables.push(Arc::clone(table));
            self.rows.tables.push(TableInfo::clone(table));
            self.tables.len() - 1
        });
        change.table = u16::try_from(index).unwrap_or(u16::MAX);
        self.bytes += change.size();
        self.rows.changes.push(change);
    }

    /// The batch's messages. A batch without changes is one empty part.
    pub(crate) async fn finish(mut self, sql: &mut dyn Sql, asker: &mut Asker<'_>) -> Result<Spool, Error> {
        if !self.rows.changes.is_empty() || self.spool.count() == 0 {
            self.flush(sql, asker).await?;
        }
        Ok(self.spool)
    }

    /// The messages of a batch of an initial load.
    pub(crate) fn finish_decided(mut self) -> Result<Spool, Error> {
        if !self.rows.changes.is_empty() || self.spool.count() == 0 {
            self.encode(Vec::new())?;
        }
        Ok(self.spool)
    }

    async fn flush(&mut self, sql: &mut dyn Sql, asker: &mut Asker<'_>) -> Result<(), Error> {
        let answers = asker.ask(sql, &self.rows).await?;
        self.encode(answers)
    }

    fn encode(&mut self, answers: Vec<RuleAnswers>) -> Result<(), Error> {
        let rows = std::mem::take(&mut self.rows);
        self.tables.clear();
        self.bytes = 0;
        let count = rows.changes.len() as u64;
        let info = self.info.clone();
        let message = Message::Captured(Part {
            source: info.source,
            source_group: info.source_group,
            channel: info.channel,
            batch_id: info.batch_id,
            configuration_version: info.configuration_version,
            created_ms: info.created_ms,
            targets: info.targets,
            rows,
            answers,
            load: info.load,
            request: info.request,
            absent: info.absent,
            loading: info.loading,
        });
        let bodies = message.encode_within(BODY_BYTES_MAX)?;
        let last = bodies.len();
        for (number, body) in (1..).zip(bodies) {
            // The rows of a fragmented message are complete with its last fragment.
            self.spool.push(body, if number == last { count } else { 0 })?;
        }
        Ok(())
    }
}
