//! Loading one batch: its rows, its record and the lane's position in one transaction.

mod parts;

use crate::apply::{Applier, Origin};
use crate::attempt::{Ended, Measured};
use crate::dialect::{self, Dialect};
use crate::initial_load::{LoadNews, LoadRecords, LoadSteps};
use crate::ledger::Ledger;
use crate::spool::Spool;
use crate::statement::StatementBatch;
use crate::target::TargetCache;
use parts::{Aside, apply_part, apply_spooled};
use std::time::Instant;
use symstream_shared::batch_status::BatchStatus;
use symstream_shared::captured::HistCache;
use symstream_shared::db::{Database, DbError, Sql, Tx, TxKind};
use symstream_shared::ddl;
use symstream_shared::id::{ChannelId, NodeId};
use symstream_shared::schema::Tables;
use symstream_shared::wire::{BatchResult, LanePart};

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
    loads: LoadRecords,
    news: LoadNews,
    hostname: String,
    targets: TargetCache,
    history: HistCache,
    node: Option<NodeId>,
}

/// What an attempt came to.
enum Loaded {
    /// The batch's changes are written, and committed with the attempt.
    Committed(BatchResult),
    /// Nothing yet.
    Aside(Aside),
}

impl BatchLoader {
    /// A loader for one channel of the node that `database` is.
    pub fn new(database: Database, tables: Tables, channel: &ChannelId, hostname: String) -> Self {
        Self {
            dialect: dialect::of(database.kind()),
            ledger: Ledger::new(&tables, channel),
            spool: Spool::new(&tables, channel),
            loads: LoadRecords::new(&tables),
            news: LoadNews::default(),
            database,
            targets: TargetCache::new(&tables),
            tables,
            hostname,
            history: HistCache::new(),
            node: None,
        }
    }

    /// Says which node it loads for: of what groups get, it leaves out what has been at that node.
    pub(crate) fn of(self, node: &NodeId) -> Self {
        Self {
            node: Some(node.clone()),
            ..self
        }
    }

    /// Lets others hear of initial loads that begin and end.
    pub(crate) fn telling(self, news: LoadNews) -> Self {
        Self { news, ..self }
    }

    /// Loads a batch. When it returns `Ok`, the batch is committed; else nothing of it is in the database, unless it is
    /// a statement that commits by itself. Dropped in between it rolls back, or commits: then the lane's position
    /// tells.
    ///
    /// # Errors
    /// [`LoadError`].
    pub async fn load(&mut self, batch: &BatchKey, content: &Content<'_>) -> Result<BatchResult, LoadError> {
        let started = Instant::now();
        let mut measured = Measured::begin();
        let mut result = self.attempt(batch, content, &mut measured).await;
        if let Ok(Loaded::Aside(Aside::Create(xml))) = &result {
            self.create(batch, xml, &measured).await?;
            measured.created = true;
            result = self.attempt(batch, content, &mut measured).await;
        }
        // A table may have been altered since its definition was read.
        if matches!(result, Err(LoadError::Failed(_))) && self.targets.clear(started) {
            measured = measured.again();
            result = self.attempt(batch, content, &mut measured).await;
            if matches!(result, Err(LoadError::Failed(_))) {
                self.targets.clear(started);
            }
        }
        match result? {
            Loaded::Committed(result) => {
                if measured.moved {
                    self.news.tell(&batch.source);
                }
                Ok(result)
            }
            // It was created just now.
            Loaded::Aside(Aside::Create(_)) => Err(LoadError::Incomplete),
            Loaded::Aside(Aside::Statement(sql)) => {
                measured.change_count = 1;
                let statement = StatementBatch {
                    database: &self.database,
                    tables: &self.tables,
                    dialect: self.dialect,
                    ledger: &self.ledger,
                    spool: &self.spool,
                    batch,
                    measured: &measured,
                    hostname: &self.hostname,
                };
                let result = statement.run(&sql).await;
                result.map_err(|ended| measured.judge(batch, &self.hostname, ended))
            }
        }
    }

    async fn attempt(
        &mut self,
        batch: &BatchKey,
        content: &Content<'_>,
        measured: &mut Measured,
    ) -> Result<Loaded, LoadError> {
        let outcome = match self.database.begin(TxKind::Write).await {
            Ok(mut tx) => match self.within(&mut tx, batch, content, measured).await {
                Ok(Loaded::Committed(result)) => {
                    let committed = tx.commit().await.map_err(Ended::Database);
                    committed.map(|()| Loaded::Committed(result))
                }
                other => {
                    self.roll_back(tx).await;
                    other
                }
            },
            Err(err) => Err(Ended::Database(err)),
        };
        outcome.map_err(|ended| measured.judge(batch, &self.hostname, ended))
    }

    async fn within(
        &mut self,
        tx: &mut Tx,
        batch: &BatchKey,
        content: &Content<'_>,
        measured: &mut Measured,
    ) -> Result<Loaded, Ended> {
        let origin = Origin::new(self.dialect, &self.tables, &batch.source);
        let mut applier = Applier::new(self.dialect, &mut self.targets, origin);
        let mut steps = LoadSteps {
            ledger: &self.ledger,
            spool: &self.spool,
            records: &self.loads,
            source: &batch.source,
            tables: &self.tables,
            history: &mut self.history,
            created: measured.created,
        };
        let applied = match content {
            Content::Message(part, sent_ms) => {
                measured.sent_ms = *sent_ms;
                apply_part(tx, &mut applier, &mut steps, part, self.node.as_ref(), measured).await
            }
            Content::Spool => {
                apply_spooled(tx, &mut applier, &mut steps, batch, self.node.as_ref(), measured).await
            }
        };
        measured.change_count = applier.written();
        measured.converting = applier.converting();
        if let Some(aside) = applied? {
            return Ok(Loaded::Aside(aside));
        }
        applier.finish(tx).await?;
        let result = measured.result(batch, &self.hostname, BatchStatus::Ok, None);
        let advanced = self
            .ledger
            .applied(tx, &batch.source, batch.previous, &result)
            .await?;
        if !advanced {
            return Err(Ended::Overtaken);
        }
        if matches!(content, Content::Spool) {
            self.spool
                .remove_through(tx, &batch.source, batch.batch_id)
                .await?;
        }
        Ok(Loaded::Committed(result))
    }

    /// Creates the tables that a load brings and this database lacks.
    async fn create(&self, batch: &BatchKey, xml: &str, measured: &Measured) -> Result<(), LoadError> {
        let created = async {
            if !self.database.kind().capabilities().transactional_ddl {
                let mut conn = self.database.conn().await?;
                return ddl::create_missing(&mut conn, xml).await.map_err(Ended::Create);
            }
            let mut tx = self.database.begin(TxKind::Write).await?;
            let names = ddl::create_missing(&mut tx, xml).await.map_err(Ended::Create)?;
            tx.commit().await?;
            Ok(names)
        };
        match created.await {
            Ok(names) if names.is_empty() => Ok(()),
            Ok(names) => {
                tracing::info!(source = %batch.source, load_id = batch.batch_id, tables = names.join(", "), "tables of an initial load are created");
                Ok(())
            }
            Err(ended) => Err(measured.judge(batch, &self.hostname, ended)),
        }
    }

    /// The switch that keeps triggers quiet must not stay with a connection that goes back to the pool. Errors
    /// of either statement mean that the connection is gone, and the switch and the transaction with it.
    async fn roll_back(&self, mut tx: Tx) {
        if let Some(off) = self.dialect.origin_off(&self.tables) {
            drop(tx.execute(&off.sql, &off.params).await);
        }
        drop(tx.rollback().await);
    }
}
