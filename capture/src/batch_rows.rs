//! Reading the rows of one batch from `sym_data`, in apply order and in pieces of bounded size.

use crate::data_runs::{DataRuns, RUNS_MAX};
use crate::decode::{HistCache, Layout};
use crate::error::Error;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use symstream_shared::csv;
use symstream_shared::db::{Row, Sql};
use symstream_shared::id::NodeId;
use symstream_shared::model::Config;
use symstream_shared::schema::Tables;
use symstream_shared::wire::{Change, Operation};

/// Captured text that is read at once; one row may be larger.
const BYTES_MAX: i64 = 1024 * 1024;
/// Rows whose sizes are asked for at once.
const ROWS_MAX: i64 = 1000;
/// One captured change and how its table's rows are laid out. `change.table` is not set yet.
pub(crate) struct CapturedChange {
    pub layout: Arc<Layout>,
    pub change: Change,
}

/// An `S` or `R` event as an operator's command wrote it.
#[derive(Debug)]
pub(crate) struct CapturedRequest {
    /// `data_id`
    pub data_id: i64,
    /// `event_type`
    pub event: String,
    /// `table_name`
    pub table: String,
    /// `trigger_hist_id`
    pub hist_id: i64,
    /// `row_data`
    pub row_data: Option<String>,
    /// `pk_data`
    pub pk_data: Option<String>,
}

impl CapturedRequest {
    /// Whether a table is to be sent again.
    pub(crate) fn is_reload(&self) -> bool {
        self.event == "R"
    }
}

/// What comes next in a batch.
pub(crate) enum Piece {
    /// Changes, at least one.
    Changes(Vec<CapturedChange>),
    /// The request that the batch is.
    Request(CapturedRequest),
    /// Nothing: that was all.
    End,
}

/// The rows of one batch that are still to be read.
pub(crate) struct BatchRows<'a> {
    tables: &'a Tables,
    config: &'a Config,
    pieces: VecDeque<DataRuns>,
    /// Of the piece in work: the ids with the sizes of their texts.
    sized: VecDeque<(i64, i64)>,
}

impl<'a> BatchRows<'a> {
    /// The rows of `runs`.
    pub(crate) fn new(tables: &'a Tables, config: &'a Config, runs: &DataRuns) -> Self {
        Self {
            tables,
            config,
            pieces: runs.pieces(ROWS_MAX, RUNS_MAX).into(),
            sized: VecDeque::new(),
        }
    }

    /// The next changes, at most about a megabyte of them or one that is larger; or the batch's request.
    ///
    /// # Errors
    /// [`Error::Damaged`] when a row of the batch is missing, [`Error::Row`] when one can not be decoded.
    pub(crate) async fn next(&mut self, sql: &mut dyn Sql, history: &mut HistCache) -> Result<Piece, Error> {
        if self.sized.is_empty() {
            let Some(piece) = self.pieces.pop_front() else {
                return Ok(Piece::End);
            };
            self.sized = self.sizes(sql, &piece).await?;
        }
        let mut runs = DataRuns::default();
        let mut bytes = 0;
        while let Some(&(data_id, size)) = self.sized.front() {
            if bytes > 0 && bytes + size > BYTES_MAX {
                break;
            }
            bytes += size.max(1);
            runs.push(data_id);
            self.sized.pop_front();
        }
        self.read(sql, history, &runs).await
    }

    /// The piece's ids in apply order, each with the size of its texts.
    async fn sizes(&self, sql: &mut dyn Sql, piece: &DataRuns) -> Result<VecDeque<(i64, i64)>, Error> {
        let (condition, params) = piece.condition("data_id");
        let statement = format!(
            "select data_id, coalesce(octet_length(row_data), 0) + coalesce(octet_length(old_data), 0) from {} \
             where {condition}",
            self.tables.name("data")
        );
        let mut sizes = HashMap::new();
        for row in sql.query(&statement, &params).await? {
            sizes.insert(row.int(0)?, row.int(1)?);
        }
        piece
            .ids()
            .map(|data_id| Ok((data_id, self.present(data_id, sizes.get(&data_id).copied())?)))
            .collect()
    }

    async fn read(
        &self,
        sql: &mut dyn Sql,
        history: &mut HistCache,
        runs: &DataRuns,
    ) -> Result<Piece, Error> {
        let (condition, params) = runs.condition("data_id");
        let statement = format!(
            "select data_id, table_name, event_type, trigger_hist_id, row_data, old_data, source_node_id, \
             case when event_type in ('R', 'S') then pk_data end from {} where {condition}",
            self.tables.name("data")
        );
        let mut rows = HashMap::new();
        for row in sql.query(&statement, &params).await? {
            rows.insert(row.int(0)?, row);
        }
        let mut changes = Vec::with_capacity(rows.len());
        for data_id in runs.ids() {
            let row = self.present(data_id, rows.remove(&data_id))?;
            let event = row.opt_text(2)?.unwrap_or_default();
            // The cutter gave it a batch of its own.
            if matches!(event.as_str(), "R" | "S") {
                return Ok(Piece::Request(CapturedRequest {
                    data_id,
                    event,
                    table: row.text(1)?,
                    hist_id: row.int(3)?,
                    row_data: row.opt_text(4)?,
                    pk_data: row.opt_text(7)?,
                }));
            }
            changes.push(self.change(sql, history, data_id, &row).await?);
        }
        Ok(Piece::Changes(changes))
    }

    async fn change(
        &self,
        sql: &mut dyn Sql,
        history: &mut HistCache,
        data_id: i64,
        row: &Row,
    ) -> Result<CapturedChange, Error> {
        let table = row.text(1)?;
        let damaged = |why: String| Error::Damaged {
            table: self.tables.name("data"),
            why,
        };
        let event = row.opt_text(2)?.unwrap_or_default();
        let operation = Operation::from_letter(&event).ok_or_else(|| {
            damaged(format!(
                "row {data_id} has event_type {event:?}, which is no change of a row"
            ))
        })?;
        let layout = history.layout(sql, self.tables, self.config, row.int(3)?).await?;
        let decode = |index: usize, wanted: bool| {
            let text = row.opt_text(index)?.filter(|_| wanted);
            text.map(|text| {
                layout.decode(&text).map_err(|source| Error::Row {
                    data_id,
                    table: table.clone(),
                    hist_id: layout.table.hist_id,
                    source,
                })
            })
            .transpose()
        };
        let change = Change {
            data_id,
            table: 0,
            operation,
            new: decode(4, operation != Operation::Delete)?,
            old: decode(5, operation != Operation::Insert)?,
            path: path(row.opt_text(6)?)
                .map_err(|err| damaged(format!("row {data_id}, source_node_id: {err}")))?,
        };
        let is_complete = match operation {
            Operation::Insert => change.new.is_some(),
            Operation::Update => change.new.is_some() && change.old.is_some(),
            Operation::Delete => change.old.is_some(),
        };
        if !is_complete {
            return Err(damaged(format!(
                "row {data_id} lacks the values that event_type {event} has"
            )));
        }
        Ok(CapturedChange { layout, change })
    }

    fn present<T>(&self, data_id: i64, found: Option<T>) -> Result<T, Error> {
        found.ok_or_else(|| Error::Damaged {
            table: self.tables.name("data"),
            why: format!("row {data_id} was cut into a batch and is missing"),
        })
    }
}

/// The nodes that a change has been at (`sym_data.source_node_id`).
fn path(text: Option<String>) -> Result<Vec<NodeId>, String> {
    let Some(text) = text else {
        return Ok(Vec::new());
    };
    let names = csv::decode_names(&text).map_err(|err| err.to_string())?;
    names
        .into_iter()
        .map(|name| NodeId::new(name).map_err(|err| err.to_string()))
        .collect()
}
