//! How far a load's extraction is, as `sym_load` shows it, and who still wants the load.

use super::cancel::{Cancelling, cancel};
use super::plan_api::LoadPlan;
use super::requests;
use super::sender::Sender;
use crate::error::Error;
use crate::source::Source;
use std::collections::HashSet;
use std::time::{Duration, Instant};
use symstream_shared::db::Sql;
use symstream_shared::id::NodeId;

/// How often it is written down.
const EVERY: Duration = Duration::from_secs(1);

/// One load's progress.
pub(super) struct Progress<'a> {
    source: &'a Source,
    load_id: i64,
    table: Option<String>,
    tables_sent: HashSet<String>,
    rows_sent: i64,
    written: Instant,
}

impl<'a> Progress<'a> {
    /// Writes down what is ahead.
    pub(super) async fn new(source: &'a Source, load_id: i64, plan: &LoadPlan) -> Result<Self, Error> {
        let statement = format!(
            "update {} set table_count = ?, row_estimate = ? where load_id = ?",
            source.tables.name("load")
        );
        let params = [
            plan.table_count().into(),
            plan.row_estimate.into(),
            load_id.into(),
        ];
        source.database.execute(&statement, &params).await?;
        Ok(Self {
            source,
            load_id,
            table: None,
            tables_sent: HashSet::new(),
            rows_sent: 0,
            written: Instant::now(),
        })
    }

    /// The rows that follow are of this table. A table is sent when another one begins, whatever comes of it later.
    pub(super) async fn begin_table(&mut self, table: &str) -> Result<(), Error> {
        if self.table.as_deref() == Some(table) {
            return Ok(());
        }
        let is_first = self.table.is_none();
        if let Some(before) = self.table.replace(table.to_owned()) {
            self.tables_sent.insert(before);
        }
        if is_first || self.written.elapsed() >= EVERY {
            self.write().await?;
        }
        Ok(())
    }

    /// So many rows more are published.
    pub(super) fn add_rows(&mut self, rows: i64) {
        self.rows_sent += rows;
    }

    /// Once a second: writes it down, and takes those out of `targets` whose load was cancelled or ended otherwise.
    ///
    /// # Errors
    /// [`Error::LoadOver`] when nobody is left.
    pub(super) async fn look(
        &mut self,
        sender: &Sender,
        configuration_version: i64,
        targets: &mut Vec<NodeId>,
    ) -> Result<(), Error> {
        if self.written.elapsed() < EVERY {
            return Ok(());
        }
        self.write().await?;
        let mut conn = self.source.database.conn().await?;
        let tables = &self.source.tables;
        let requested = requests::requested(&mut conn, tables, &self.source.node).await?;
        let statement = format!(
            "select node_id from {} where load_id = ? and status = 'NE'",
            tables.name("load")
        );
        let rows = conn.query(&statement, &[self.load_id.into()]).await?;
        drop(conn);
        let live = rows.iter().map(|row| row.text(0));
        let live = live.collect::<Result<HashSet<String>, _>>()?;
        targets.retain(|node| live.contains(node.as_str()));
        for node in targets.extract_if(.., |node| !requested.contains_key(node)) {
            let cancelling = Cancelling {
                load_id: self.load_id,
                node,
                configuration_version,
            };
            cancel(self.source, sender, &cancelling).await?;
        }
        if targets.is_empty() {
            return Err(Error::LoadOver(self.load_id));
        }
        Ok(())
    }

    /// All of it is published.
    pub(super) async fn sent(mut self) -> Result<(), Error> {
        self.tables_sent.extend(self.table.take());
        self.write().await?;
        let statement = format!(
            "update {} set status = 'SE', sent_time = {} where load_id = ? and status = 'NE'",
            self.source.tables.name("load"),
            self.source.database.kind().now()
        );
        self.source
            .database
            .execute(&statement, &[self.load_id.into()])
            .await?;
        tracing::info!(
            node_id = %self.source.node, load_id = self.load_id, row_count = self.rows_sent,
            "initial load is on its way"
        );
        Ok(())
    }

    async fn write(&mut self) -> Result<(), Error> {
        let statement = format!(
            "update {} set current_table = ?, tables_sent = ?, rows_sent = ? where load_id = ? and status = 'NE'",
            self.source.tables.name("load")
        );
        let tables_sent = i64::try_from(self.tables_sent.len()).unwrap_or(i64::MAX);
        let params = [
            self.table.as_deref().into(),
            tables_sent.into(),
            self.rows_sent.into(),
            self.load_id.into(),
        ];
        self.source.database.execute(&statement, &params).await?;
        self.written = Instant::now();
        Ok(())
    }
}
