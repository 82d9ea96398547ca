//! Rows that a load's target may have and its snapshot has not: those whose deletion, or whose old key, the target has not
//! seen, because the load takes the place of the changes that wait for it.
//!
//! They are found in `sym_data`: in batches that are not `OK` at a target, not routed, or not cut before the snapshot. A
//! key that is in the table again is none of them. A row too many does no harm, because what is deleted is not at the
//! source; so nobody asks the rules whether it was the target's.

use super::later::key_and_columns;
use super::{Planned, TableName};
use crate::batch_rows::{BatchRows, CapturedChange, Piece};
use crate::data_runs::{DataRuns, RUNS_MAX};
use crate::decode::HistCache;
use crate::dialect::reading::{captured, key_equals, row_set};
use crate::error::Error;
use crate::load::rows::ChangeTaker;
use crate::source::Source;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use symstream_shared::catalog::{self, ColumnDef};
use symstream_shared::cell::Cell;
use symstream_shared::db::{Param, Sql, Tx};
use symstream_shared::model::{Config, Node};
use symstream_shared::wire::{Change, ColumnInfo, Operation, TableInfo};

/// Rows of `sym_data` that one query looks through.
const IDS_MAX: i64 = 100_000;

/// The deletes for one table at the target, or what makes way for them.
pub(in crate::load) struct Tombstones {
    /// Tombstones next to each other with the same number go into one batch.
    pub circle: Option<u32>,
    source: Source,
    config: Arc<Config>,
    name: TableName,
    /// Whether the table is found without a schema.
    is_in_default_schema: bool,
    /// The table with its key; behind it the columns that become null, so that rows which are deleted later do not refer to
    /// each other. Nothing else happens to the rows then.
    table: Arc<TableInfo>,
    key: Vec<ColumnDef>,
    /// Whether the key is a primary key, so that no two rows have the same.
    is_unique: bool,
    sends_deletes: bool,
    sends_updates: bool,
    /// The captured deletes and updates of the table.
    captured: Arc<DataRuns>,
}

/// The deletes for `tables`, which are in load order, children first. Rows that refer to each other in a circle are
/// parted before all of them.
pub(in crate::load) async fn tombstones(
    sql: &mut dyn Sql,
    source: &Source,
    config: &Config,
    nodes: &[&Node],
    uncut: &DataRuns,
    tables: &[Planned],
) -> Result<Vec<Tombstones>, Error> {
    let mut runs = waiting(sql, source, nodes).await?;
    runs.append(uncut);
    let by_table = by_table(sql, source, &runs).await?;
    let config = Arc::new(config.clone());
    let mut parting = Vec::new();
    let mut deletes = Vec::new();
    for planned in tables.iter().rev() {
        let Some(captured) = by_table.get(&planned.name.name) else {
            continue;
        };
        let default = catalog::read_table(sql, None, &planned.name.name).await?;
        let of = |later: &[usize], circle: Option<u32>| {
            let key = key_of(planned);
            Tombstones {
                circle,
                source: source.clone(),
                config: Arc::clone(&config),
                name: planned.name.clone(),
                is_in_default_schema: default
                    .as_ref()
                    .is_some_and(|table| table.schema == planned.name.schema),
                key: key
                    .iter()
                    .filter_map(|column| planned.table.column(&column.name).cloned())
                    .collect(),
                is_unique: !planned.table.primary_key.is_empty(),
                table: Arc::new(key_and_columns(&planned.layout.table, later)),
                sends_deletes: planned.sends_deletes,
                sends_updates: planned.sends_updates,
                captured: Arc::clone(captured),
            }
        };
        if !planned.later.is_empty() && !planned.table.primary_key.is_empty() {
            parting.push(of(&planned.later, None));
        }
        deletes.push(of(&[], planned.deleted_with));
    }
    parting.append(&mut deletes);
    Ok(parting)
}

/// The key's columns.
fn key_of(planned: &Planned) -> Vec<ColumnInfo> {
    let info = &planned.layout.table;
    info.key
        .iter()
        .map(|index| info.columns[usize::from(*index)].clone())
        .collect()
}

/// The rows of all batches that any of the nodes may not have yet.
async fn waiting(sql: &mut dyn Sql, source: &Source, nodes: &[&Node]) -> Result<DataRuns, Error> {
    let batch = source.tables.name("capture_batch");
    let statement = format!(
        "select b.data_ranges from {batch} b where b.batch_type = 'EV' and (b.routed = 0 or exists (select 1 from {} o \
         where o.batch_id = b.batch_id and o.node_id in ({}) and (o.status is null or o.status <> 'OK'))) \
         order by b.batch_id",
        source.tables.name("outgoing_batch"),
        vec!["?"; nodes.len()].join(", "),
    );
    let params: Vec<Param> = nodes.iter().map(|node| node.node_id.as_str().into()).collect();
    let mut runs = DataRuns::default();
    for row in sql.query(&statement, &params).await? {
        let ranges = row.opt_text(0)?.unwrap_or_default();
        let ranges: DataRuns = ranges.parse().map_err(|err| Error::Damaged {
            table: batch.clone(),
            why: format!("{err}"),
        })?;
        runs.append(&ranges);
    }
    Ok(runs)
}

/// The deletes and updates among the rows, by their table.
async fn by_table(
    sql: &mut dyn Sql,
    source: &Source,
    runs: &DataRuns,
) -> Result<HashMap<String, Arc<DataRuns>>, Error> {
    let mut by_table: HashMap<String, DataRuns> = HashMap::new();
    for piece in runs.pieces(IDS_MAX, RUNS_MAX) {
        let (condition, params) = piece.condition("data_id");
        let statement = format!(
            "select data_id, table_name from {} where ({condition}) and event_type in ('U', 'D') order by data_id",
            source.tables.name("data")
        );
        sql.query_each(&statement, &params, &mut |row| {
            by_table.entry(row.text(1)?).or_default().push(row.int(0)?);
            Ok(())
        })
        .await?;
    }
    Ok(by_table
        .into_iter()
        .map(|(table, runs)| (table, Arc::new(runs)))
        .collect())
}

impl Tombstones {
    /// Whether rows are deleted, and not only parted.
    fn deletes(&self) -> bool {
        self.table.columns.len() == self.table.key.len()
    }

    /// The table at the source.
    pub(in crate::load) fn table(&self) -> &str {
        &self.table.source_table
    }

    /// Hands the deletes to `taker`. Holds some captured rows at a time, and asks for their keys together.
    pub(in crate::load) async fn read(
        &self,
        snapshot: &mut Tx,
        taker: &mut impl ChangeTaker,
    ) -> Result<(), Error> {
        let mut history = HistCache::new();
        let mut captured = BatchRows::new(&self.source.tables, &self.config, &self.captured);
        let mut unknown: u64 = 0;
        while let Piece::Changes(changes) = captured.next(snapshot, &mut history).await? {
            let mut different = HashSet::new();
            let mut keys = Vec::new();
            for change in changes.iter().filter(|change| self.is_of(&change.layout.table)) {
                match self.key_gone(change) {
                    Gone::Nothing => {}
                    Gone::Unknown => unknown += 1,
                    Gone::Key(key) => {
                        if different.insert(identity(&key)) {
                            keys.push(key);
                        }
                    }
                }
            }
            let mut alike: BTreeMap<Vec<bool>, Vec<Vec<Cell>>> = BTreeMap::new();
            for key in keys {
                let is_binary = key.iter().map(|cell| matches!(cell, Cell::Bytes(_))).collect();
                alike.entry(is_binary).or_default().push(key);
            }
            for (is_binary, keys) in alike {
                let Some(there) = self.there(snapshot, &keys, &is_binary).await? else {
                    unknown += keys.len() as u64;
                    continue;
                };
                for (number, key) in (1_i64..).zip(keys) {
                    if !there.contains(&number) {
                        taker.take(&self.table, self.change(key)).await?;
                    }
                }
            }
        }
        if unknown > 0 && self.deletes() {
            tracing::warn!(
                table = self.table.source_table,
                row_count = unknown,
                "rows that were deleted before the load can not be told by the table's present key; a target that has \
                 them keeps them: send a load that clears its tables first"
            );
        }
        Ok(())
    }

    /// Deletes the row with this key; or an update that parts it from others, and does nothing where it is not there.
    fn change(&self, key: Vec<Cell>) -> Change {
        let mut row = key;
        let is_delete = self.deletes();
        row.resize(self.table.columns.len(), Cell::Null);
        Change {
            data_id: 0,
            table: 0,
            operation: if is_delete {
                Operation::Delete
            } else {
                Operation::Update
            },
            new: (!is_delete).then(|| row.clone()),
            old: Some(row),
            path: Vec::new(),
        }
    }

    fn is_of(&self, captured: &TableInfo) -> bool {
        captured.source_table == self.table.source_table
            && match &captured.source_schema {
                None => self.is_in_default_schema,
                schema => *schema == self.name.schema || *schema == self.table.source_schema,
            }
    }

    /// The key that a change took away.
    fn key_gone(&self, captured: &CapturedChange) -> Gone {
        let (old, new) = match (
            captured.change.operation,
            &captured.change.old,
            &captured.change.new,
        ) {
            (Operation::Delete, Some(old), _) if self.sends_deletes => (old, None),
            (Operation::Update, Some(old), Some(new)) if self.sends_updates => (old, Some(new)),
            _ => return Gone::Nothing,
        };
        let info = &captured.layout.table;
        let place = |wanted: &ColumnInfo| info.columns.iter().position(|column| column == wanted);
        let key = &self.table.columns[..self.table.key.len()];
        let places: Option<Vec<usize>> = key.iter().map(place).collect();
        let Some(places) = places else {
            return Gone::Unknown;
        };
        // A row without a primary key is the same only where all of it is.
        if !self.is_unique && info.columns.len() != places.len() {
            return Gone::Unknown;
        }
        let key_of =
            |row: &Vec<Cell>| -> Vec<Cell> { places.iter().map(|place| row[*place].clone()).collect() };
        let key = key_of(old);
        match new {
            Some(new) if key_of(new) == key => Gone::Nothing,
            _ => Gone::Key(key),
        }
    }

    /// The numbers, from 1, of the keys that the table has. `None` where it can not be asked exactly.
    async fn there(
        &self,
        sql: &mut dyn Sql,
        keys: &[Vec<Cell>],
        is_binary: &[bool],
    ) -> Result<Option<HashSet<i64>>, Error> {
        let kind = sql.kind();
        let table = (self.name.schema.as_deref(), self.name.name.as_str());
        let mut conditions = Vec::new();
        for (at, column) in self.key.iter().enumerate() {
            let own = format!("t.{}", kind.quote(&column.name));
            let own_captured = captured(kind, column, &own);
            let asked = format!("r.c{at}");
            let equals = key_equals(sql, table, column, (&own, &own_captured), &asked, is_binary[at]).await?;
            let Some(equals) = equals else {
                return Ok(None);
            };
            conditions.push(match self.is_unique {
                true => equals,
                false => format!("({equals} or {own} is null and {asked} is null)"),
            });
        }
        let (set, params) = row_set(kind, keys, self.key.len());
        let statement = format!(
            "select r.i from {set} join {} t on {}",
            kind.quote_table(table.0, table.1),
            conditions.join(" and "),
        );
        let mut there = HashSet::new();
        sql.query_each(&statement, &params, &mut |row| {
            there.insert(row.int(0)?);
            Ok(())
        })
        .await?;
        Ok(Some(there))
    }
}

/// What a change took away.
enum Gone {
    /// Nothing that matters.
    Nothing,
    /// The row with this key.
    Key(Vec<Cell>),
    /// A row that the table's present key does not tell.
    Unknown,
}

fn identity(key: &[Cell]) -> Vec<(&'static str, Option<String>)> {
    key.iter().map(|cell| (cell.kind(), cell.to_text())).collect()
}
