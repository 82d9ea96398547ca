//! Writing a batch's changes into their tables, inside the batch's transaction.
//!
//! A run goes out as one statement where that can be done. Where the statement fails, or does not find all its
//! rows, it is taken back and the run goes row by row: that finds the row to blame, and the rows for which an
//! insert has to become an update or the other way round. Whatever happens, one change writes its row once, so
//! that the target's own triggers fire once.

mod around;
mod clear;
mod origin;
mod row;
pub(crate) mod savepoint;
mod sparing;

pub(crate) use origin::Origin;

use crate::dialect::{Dialect, KeyedRow, Statement};
use crate::runs::{MalformedChange, Run, runs};
use crate::target::{Target, TargetCache, TargetError};
use std::ops::Range;
use std::time::{Duration, Instant};
use symstream_shared::cell::Cell;
use symstream_shared::db::{DatabaseKind, DbError, Param, Sql};
use symstream_shared::retry::Disposition;
use symstream_shared::wire::{Change, Operation, Rows};

/// Why a change could not be written.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct ApplyError {
    /// The row's number in the batch, from 1.
    pub row_number: i64,
    /// Its `data_id` at the source.
    pub data_id: i64,
    /// The error's text, with table and key.
    pub message: String,
    /// The database's answer; `None` where it was not asked.
    pub database: Option<DbError>,
}

impl ApplyError {
    /// Whether it is a delete of a row that others refer to.
    fn is_of_reference(&self, kind: DatabaseKind, change: &Change) -> bool {
        let database = self.database.as_ref();
        change.operation == Operation::Delete && database.is_some_and(|err| err.is_reference_violation(kind))
    }

    /// Whether the same again works without anybody's help.
    pub(crate) fn is_passing(&self) -> bool {
        self.database
            .as_ref()
            .is_some_and(|err| err.disposition == Disposition::Retry)
    }
}

/// A delete that waits until the rows are gone that refer to its own.
struct Refused {
    /// Its place in the part.
    index: usize,
    err: ApplyError,
}

/// Why a single change failed, before its place in the batch is known.
enum RowError {
    Value(String),
    Database(DbError),
}

impl From<DbError> for RowError {
    fn from(err: DbError) -> Self {
        Self::Database(err)
    }
}

/// Writes the changes of one batch, part after part.
pub(crate) struct Applier<'a> {
    dialect: &'static dyn Dialect,
    cache: &'a mut TargetCache,
    origin: Origin<'a>,
    /// How many changes were written before the part in hand.
    written: i64,
    /// Whether the changes are an initial load's.
    of_load: bool,
    /// The deletes of a load that a foreign key refuses as yet.
    refused: Vec<Refused>,
    /// Time spent on fitting values.
    converting: Duration,
}

impl<'a> Applier<'a> {
    pub(crate) fn new(dialect: &'static dyn Dialect, cache: &'a mut TargetCache, origin: Origin<'a>) -> Self {
        Self {
            dialect,
            cache,
            origin,
            written: 0,
            of_load: false,
            refused: Vec::new(),
            converting: Duration::ZERO,
        }
    }

    /// How many changes were written.
    pub(crate) fn written(&self) -> i64 {
        self.written
    }

    /// The time that went into fitting values into columns.
    pub(crate) fn converting(&self) -> Duration {
        self.converting
    }

    /// Writes the changes of one part.
    ///
    /// # Errors
    /// [`ApplyError`]; the transaction has to be rolled back then.
    pub(crate) async fn apply(&mut self, sql: &mut dyn Sql, rows: &Rows) -> Result<(), ApplyError> {
        let cut = runs(rows).map_err(|(index, err): (usize, MalformedChange)| {
            self.error(rows, index, RowError::Value(err.to_string()), None)
        })?;
        for run in cut {
            let first = run.changes.start;
            let target = self
                .cache
                .resolve(sql, self.dialect, &rows.tables[run.table])
                .await
                .map_err(|err| {
                    let err = match err {
                        TargetError::Database(err) => RowError::Database(err),
                        other => RowError::Value(other.to_string()),
                    };
                    self.error(rows, first, err, None)
                })?;
            self.origin
                .set(sql, &rows.changes[first].path)
                .await
                .map_err(|err| self.error(rows, first, RowError::Database(err), Some(&target)))?;
            self.apply_run(sql, rows, &target, &run).await?;
        }
        self.written += i64::try_from(rows.changes.len()).unwrap_or(i64::MAX);
        Ok(())
    }

    /// Ends the changes of this batch: what follows in its transaction has no origin.
    ///
    /// # Errors
    /// [`DbError`] as the database says.
    pub(crate) async fn finish(&mut self, sql: &mut dyn Sql) -> Result<(), DbError> {
        self.origin.clear(sql).await
    }

    async fn apply_run(
        &mut self,
        sql: &mut dyn Sql,
        rows: &Rows,
        target: &Target,
        run: &Run,
    ) -> Result<(), ApplyError> {
        let writing = self.dialect.writing();
        let most = match run.operation {
            Operation::Insert => writing.insert_rows_max,
            Operation::Update => writing.update_rows_max,
            Operation::Delete => writing.delete_rows_max,
        };
        let most = if writing.one_text_for_all {
            most
        } else {
            // A row has a parameter for each of its values, and for each of the key's at most two.
            let params = target.columns.len() + 2 * target.key.len();
            most.min(sql.kind().capabilities().bind_params_max / params.max(1))
        };
        let equal_rows = target.whole_row && run.operation != Operation::Insert;
        let mut from = run.changes.start;
        while from < run.changes.end {
            let count = most.clamp(1, run.changes.end - from);
            let to = if writing.one_text_for_all {
                from + count
            } else {
                // Powers of two, so that few texts come again and again and stay prepared.
                from + (1 << count.ilog2())
            };
            let together = to - from > 1 && !equal_rows;
            let done = together
                && (self.apply_together(sql, rows, target, run, from..to).await?
                    || run.operation == Operation::Insert
                        && self.insert_around(sql, rows, target, run, from..to).await?);
            if !done {
                self.one_by_one(sql, rows, target, run, from..to, together)
                    .await?;
            }
            from = to;
        }
        Ok(())
    }

    /// Writes changes with a statement each. `likely`: rows that are to be inserted may well be here.
    async fn one_by_one(
        &mut self,
        sql: &mut dyn Sql,
        rows: &Rows,
        target: &Target,
        run: &Run,
        changes: impl IntoIterator<Item = usize>,
        likely: bool,
    ) -> Result<(), ApplyError> {
        let shape = run.update.as_ref();
        for index in changes {
            let change = &rows.changes[index];
            let applied = if self.of_load {
                self.apply_one_of_load(sql, target, shape, change, likely).await
            } else {
                self.apply_one(sql, target, shape, change, likely).await
            };
            match applied.map_err(|err| self.error(rows, index, err, Some(target))) {
                Err(err) if self.of_load && err.is_of_reference(sql.kind(), change) => {
                    self.refused.push(Refused { index, err });
                }
                applied => applied?,
            }
        }
        Ok(())
    }

    /// Writes several changes with one statement. Returns whether it did; if not, nothing has happened but deletes,
    /// which can be repeated.
    async fn apply_together(
        &mut self,
        sql: &mut dyn Sql,
        rows: &Rows,
        target: &Target,
        run: &Run,
        changes: Range<usize>,
    ) -> Result<bool, ApplyError> {
        let first = changes.start;
        let started = Instant::now();
        let statement = self.statement(target, run, &rows.changes[changes.clone()]);
        self.converting += started.elapsed();
        let statement = statement.map_err(|(offset, unfit)| {
            self.error(rows, first + offset, RowError::Value(unfit), Some(target))
        })?;
        let Some(statement) = statement else {
            return Ok(false);
        };
        let every_row = match run.operation {
            Operation::Insert => false,
            Operation::Update => !self.of_load,
            // One that is not there is no concern, unless another row is taken for it.
            Operation::Delete => self
                .params(target, key_row(&rows.changes[first]), &target.key)
                .is_ok_and(|key| self.dialect.alike(target, &key).is_some()),
        };
        let found_all = |count: u64| !every_row || usize::try_from(count) == Ok(changes.len());
        self.try_together(sql, &statement, &found_all)
            .await
            .map_err(|err| self.error(rows, first, RowError::Database(err), Some(target)))
    }

    /// Runs a statement; `false` when it was refused or does not count, and was taken back.
    async fn try_together(
        &self,
        sql: &mut dyn Sql,
        statement: &Statement,
        counts: &(dyn Fn(u64) -> bool + Sync),
    ) -> Result<bool, DbError> {
        let guarded = self.dialect.writing().failure_ends_transaction;
        if guarded {
            savepoint::RUN.set(sql).await?;
        }
        let failure = match sql.execute(&statement.sql, &statement.params).await {
            Ok(count) if counts(count) => {
                if guarded {
                    savepoint::RUN.release(sql).await?;
                }
                return Ok(true);
            }
            Ok(_) => None,
            Err(err) if err.disposition == Disposition::Retry => return Err(err),
            Err(err) => Some(err),
        };
        if guarded {
            savepoint::RUN.take_back(sql, failure.as_ref()).await?;
        }
        Ok(false)
    }

    /// The one statement for several changes of a run; `None` where a key has a null, which equals nothing.
    ///
    /// # Errors
    /// Which change has a value that does not fit, and why.
    fn statement(
        &self,
        target: &Target,
        run: &Run,
        changes: &[Change],
    ) -> Result<Option<Statement>, (usize, String)> {
        let writable: Vec<usize> = target.writable().map(|(index, _)| index).collect();
        let set = run
            .update
            .as_ref()
            .map_or_else(Vec::new, |shape| row::settable(target, shape, changes));
        let mut inserts = Vec::new();
        let mut updates = Vec::new();
        let mut deletes = Vec::new();
        for (offset, change) in changes.iter().enumerate() {
            let at = |err| (offset, err);
            match run.operation {
                Operation::Insert => {
                    inserts.push(self.params(target, new_row(change), &writable).map_err(at)?)
                }
                Operation::Update => updates.push(KeyedRow {
                    values: self.params(target, new_row(change), &set).map_err(at)?,
                    key: self.params(target, key_row(change), &target.key).map_err(at)?,
                }),
                Operation::Delete => {
                    deletes.push(self.params(target, key_row(change), &target.key).map_err(at)?);
                }
            }
        }
        let no_null = |key: &Vec<Param>| !key.contains(&Param::Null);
        Ok(match run.operation {
            Operation::Insert => {
                (!writable.is_empty()).then(|| self.dialect.insert(target, &writable, &inserts))
            }
            Operation::Update => (!set.is_empty() && updates.iter().all(|row| no_null(&row.key)))
                .then(|| self.dialect.update(target, &set, &updates)),
            Operation::Delete => deletes
                .iter()
                .all(no_null)
                .then(|| self.dialect.delete(target, &deletes)),
        })
    }

    fn timed_params(
        &mut self,
        target: &Target,
        row: &[Cell],
        columns: &[usize],
    ) -> Result<Vec<Param>, RowError> {
        let started = Instant::now();
        let params = self.params(target, row, columns);
        self.converting += started.elapsed();
        params.map_err(RowError::Value)
    }

    fn params(&self, target: &Target, row: &[Cell], columns: &[usize]) -> Result<Vec<Param>, String> {
        columns
            .iter()
            .map(|&index| {
                let column = &target.columns[index];
                self.dialect
                    .param(column, &row[index])
                    .map_err(|unfit| format!("column {}: {unfit}", column.def.name))
            })
            .collect()
    }

    fn error(&self, rows: &Rows, index: usize, err: RowError, target: Option<&Target>) -> ApplyError {
        let (text, database) = match err {
            RowError::Value(text) => (text, None),
            RowError::Database(err) => (err.message.clone(), Some(err)),
        };
        let change = rows.changes.get(index);
        let message = match (target, change) {
            (Some(target), Some(change)) => {
                format!(
                    "table {}, key {}: {text}",
                    target.name,
                    describe_key(target, change)
                )
            }
            _ => text,
        };
        ApplyError {
            row_number: self.written + i64::try_from(index).unwrap_or(i64::MAX - 1) + 1,
            data_id: change.map_or(0, |change| change.data_id),
            message,
            database,
        }
    }
}

/// The row after the change; empty where [`runs`] would have refused it.
fn new_row(change: &Change) -> &[Cell] {
    change.new.as_deref().unwrap_or_default()
}

/// The row whose key tells which row changes: the one before the change.
fn key_row(change: &Change) -> &[Cell] {
    change.old.as_deref().unwrap_or_else(|| new_row(change))
}

/// `id=7, line=2`, for the operator who has to find the row.
fn describe_key(target: &Target, change: &Change) -> String {
    let row = key_row(change);
    target
        .key
        .iter()
        .map(|&index| {
            let value = row.get(index).and_then(Cell::to_text);
            let value = value.map_or_else(|| "null".to_owned(), |text| text.chars().take(100).collect());
            format!("{}={value}", target.columns[index].def.name)
        })
        .collect::<Vec<_>>()
        .join(", ")
}
