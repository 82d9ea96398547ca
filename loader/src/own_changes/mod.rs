//! What this node has changed itself and an initial load does not know: those rows are newer than the load's, and stay.
//!
//! Such a change is one that the load's source gets, or may get, and had not applied when its snapshot was taken. It is
//! looked for after the load's rows are written and before they are committed: whoever changed a row before that has
//! committed, because two can not write one row at once, and whoever changes it later wins anyway.

mod key;
mod uncut;

pub(crate) use key::KeyText;

use crate::dialect::{Dialect, of};
use crate::target::{Target, TargetCache, TargetColumn, TargetError};
use std::collections::HashSet;
use std::sync::Arc;
use symstream_shared::captured::{DecodeError, HistCache, HistError};
use symstream_shared::cell::Cell;
use symstream_shared::csv;
use symstream_shared::db::{DbError, Param, Row, Sql};
use symstream_shared::id::NodeId;
use symstream_shared::model::Config;
use symstream_shared::schema::Tables;
use symstream_shared::wire::TableInfo;
use uncut::Uncut;

/// Rows of `sym_data` that one statement asks for.
const ROWS_MAX: usize = 200;

/// Why it is not known what the node has changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OwnChangesError {
    #[error(transparent)]
    Database(#[from] DbError),
    #[error("a change that was made here can not be read: {0}")]
    History(HistError),
    #[error("the change {data_id} that was made here can not be read: {source}")]
    Row { data_id: i64, source: DecodeError },
    #[error(transparent)]
    Target(TargetError),
}

impl From<HistError> for OwnChangesError {
    fn from(err: HistError) -> Self {
        match err {
            HistError::Db(err) => Self::Database(err),
            other => Self::History(other),
        }
    }
}

/// The changes that one load does not know.
pub(crate) struct OwnChanges<'a> {
    tables: &'a Tables,
    source: &'a NodeId,
    /// The last batch of each channel of this node that the load's source had applied.
    seen: Vec<(String, i64)>,
    history: &'a mut HistCache,
    /// Target names do not matter here.
    config: Config,
}

/// A row that the node changed, as it was or is.
#[derive(Debug)]
pub(crate) struct OwnRow {
    /// The quoted name of its table.
    pub table: String,
    columns: Arc<TableInfo>,
    cells: Vec<Cell>,
}

impl OwnRow {
    /// The values of a table's key columns, as they were captured; `None` where one was not.
    fn key_cells(&self, target: &Target) -> Option<Vec<(TargetColumn, &Cell)>> {
        let cell = |&index: &usize| {
            let column = &target.columns[index];
            let name = column.def.name.to_lowercase();
            let captured = &self.columns.columns;
            let place = captured
                .iter()
                .position(|captured| captured.name.to_lowercase() == name)?;
            let column = TargetColumn {
                source: captured[place].logical,
                ..column.clone()
            };
            Some((column, self.cells.get(place)?))
        };
        target.key.iter().map(cell).collect()
    }

    /// Its key, as it is compared with others of this table.
    pub(crate) fn key(&self, dialect: &dyn Dialect, target: &Target) -> Option<KeyText> {
        let cells = self.key_cells(target)?;
        KeyText::of(dialect, cells.iter().map(|(column, cell)| (column, *cell)))
    }

    /// Its key for a statement.
    pub(crate) fn key_params(&self, dialect: &dyn Dialect, target: &Target) -> Option<Vec<Param>> {
        let cells = self.key_cells(target)?;
        cells
            .iter()
            .map(|(column, cell)| dialect.param(column, cell).ok())
            .collect()
    }
}

impl<'a> OwnChanges<'a> {
    pub(crate) fn new(
        tables: &'a Tables,
        source: &'a NodeId,
        seen: Vec<(String, i64)>,
        history: &'a mut HistCache,
    ) -> Self {
        Self {
            tables,
            source,
            seen,
            history,
            config: Config::default(),
        }
    }

    /// The rows of tables that `is_wanted` takes (by their quoted names), as they were and as they are.
    ///
    /// # Errors
    /// [`OwnChangesError`].
    pub(crate) async fn rows(
        &mut self,
        sql: &mut dyn Sql,
        targets: &mut TargetCache,
        is_wanted: &(dyn Fn(&str) -> bool + Sync),
    ) -> Result<Vec<OwnRow>, OwnChangesError> {
        let ids = self.ids(sql).await?;
        let mut found = Vec::new();
        for ids in ids.chunks(ROWS_MAX) {
            let statement = format!(
                "select data_id, trigger_hist_id, source_node_id, row_data, old_data from {} \
                 where data_id in ({}) and event_type in ('I', 'U', 'D')",
                self.tables.name("data"),
                vec!["?"; ids.len()].join(", ")
            );
            let params: Vec<Param> = ids.iter().map(|&data_id| data_id.into()).collect();
            for row in sql.query(&statement, &params).await? {
                self.add(sql, targets, is_wanted, &row, &mut found).await?;
            }
        }
        Ok(found)
    }

    async fn add(
        &mut self,
        sql: &mut dyn Sql,
        targets: &mut TargetCache,
        is_wanted: &(dyn Fn(&str) -> bool + Sync),
        row: &Row,
        found: &mut Vec<OwnRow>,
    ) -> Result<(), OwnChangesError> {
        let path = row.opt_text(2)?.unwrap_or_default();
        let path = csv::decode_names(&path).map_err(|err| DbError::unexpected(err.to_string()))?;
        if path.iter().any(|node| node == self.source.as_str()) {
            return Ok(());
        }
        let layout = self
            .history
            .layout(sql, self.tables, &self.config, row.int(1)?)
            .await?;
        let table = &layout.table;
        let (schema, name) = (table.source_schema.as_deref(), table.source_table.as_str());
        let dialect = of(sql.kind());
        let name = targets.sql_name(sql, dialect, schema, name).await;
        let name = name.map_err(|err| match err {
            TargetError::Database(err) => OwnChangesError::Database(err),
            other => OwnChangesError::Target(other),
        })?;
        // What was changed in a table that is gone is in nobody's way.
        let Some(name) = name.filter(|name| is_wanted(name)) else {
            return Ok(());
        };
        for text in [row.opt_text(3)?, row.opt_text(4)?].into_iter().flatten() {
            let data_id = row.int(0)?;
            let cells = layout
                .decode(&text)
                .map_err(|source| OwnChangesError::Row { data_id, source })?;
            found.push(OwnRow {
                table: name.clone(),
                columns: Arc::clone(table),
                cells,
            });
        }
        Ok(())
    }

    /// The `data_id`s: of what is not read, or not routed, and of what is in batches that the source had not applied.
    ///
    /// In this order: what is routed meanwhile is found in its batch.
    async fn ids(&self, sql: &mut dyn Sql) -> Result<Vec<i64>, DbError> {
        let group = self.group(sql).await?;
        let event = self.tables.name("data_event");
        let (unseen, seen) = self.unseen("e.channel_id", "e.batch_id");
        let unknown = format!(
            "(not exists (select 1 from {event} e where e.data_id = d.data_id) \
             or exists (select 1 from {event} e where e.data_id = d.data_id and e.node_id in (?, ?) and {unseen}))"
        );
        let mut ids = HashSet::new();
        let mut take = |row: Row| {
            ids.insert(row.int(0)?);
            Ok(())
        };
        let uncut = Uncut::read(sql, self.tables).await?;
        for (condition, params) in uncut.conditions(sql.kind(), "d")? {
            let statement = format!(
                "select d.data_id from {} d where ({condition}) and {unknown}",
                self.tables.name("data")
            );
            let mut params = params;
            params.extend([self.source.as_str().into(), group.as_str().into()]);
            params.extend(seen.iter().cloned());
            sql.query_each(&statement, &params, &mut take).await?;
        }
        let (unseen, seen) = self.unseen("b.channel_id", "b.batch_id");
        let statement = format!(
            "select e.data_id from {} b join {event} e on e.batch_id = b.batch_id and e.node_id in (?, ?) \
             where b.node_id = ? and {unseen}",
            self.tables.name("outgoing_batch")
        );
        let source = self.source.as_str();
        let mut params: Vec<Param> = vec![source.into(), group.as_str().into(), source.into()];
        params.extend(seen);
        sql.query_each(&statement, &params, &mut take).await?;
        let mut ids: Vec<i64> = ids.into_iter().collect();
        ids.sort_unstable();
        Ok(ids)
    }

    /// What stands in `sym_data_event.node_id` for rows that all nodes of the source's group get.
    async fn group(&self, sql: &mut dyn Sql) -> Result<String, DbError> {
        let question = format!(
            "select node_group_id from {} where node_id = ?",
            self.tables.name("node")
        );
        let row = sql.query_opt(&question, &[self.source.as_str().into()]).await?;
        let group = row.map_or(Ok(None), |row| row.opt_text(0))?;
        Ok(format!("*{}", group.unwrap_or_default()))
    }

    /// The condition that a batch is one that the load does not know.
    fn unseen(&self, channel: &str, batch: &str) -> (String, Vec<Param>) {
        if self.seen.is_empty() {
            return ("1 = 1".to_owned(), Vec::new());
        }
        let each = vec![format!("{channel} = ? and {batch} > ?"); self.seen.len()];
        let condition = format!(
            "({} or {channel} not in ({}))",
            each.join(" or "),
            vec!["?"; self.seen.len()].join(", ")
        );
        let pairs = self
            .seen
            .iter()
            .flat_map(|(channel, batch_id)| [channel.as_str().into(), (*batch_id).into()]);
        let names = self.seen.iter().map(|(channel, _)| channel.as_str().into());
        (condition, pairs.chain(names).collect())
    }
}
