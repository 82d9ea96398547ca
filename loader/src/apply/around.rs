//! Inserting rows of which some are here already: these become updates.

use super::{Applier, ApplyError, RowError, new_row, savepoint};
use crate::dialect::KeyedRow;
use crate::runs::Run;
use crate::target::Target;
use std::collections::HashSet;
use std::ops::Range;
use std::time::Instant;
use symstream_shared::db::{DbError, Param, Sql};
use symstream_shared::retry::Disposition;
use symstream_shared::wire::Rows;

/// Rows that are to be inserted, by what is here already.
struct Sorted {
    /// The places of the changes whose rows are not here.
    absent: Vec<usize>,
    /// Of those whose rows are.
    present: Vec<usize>,
}

impl Applier<'_> {
    /// Writes inserts that were refused together: what is not here is inserted, what is here is updated, with one statement
    /// for each where that can be done. Returns whether it did; if not, nothing has happened.
    pub(super) async fn insert_around(
        &mut self,
        sql: &mut dyn Sql,
        rows: &Rows,
        target: &Target,
        run: &Run,
        changes: Range<usize>,
    ) -> Result<bool, ApplyError> {
        let first = changes.start;
        let sorted = self.sort(sql, rows, target, changes).await;
        let sorted = sorted.map_err(|err| self.error(rows, first, RowError::Database(err), Some(target)))?;
        let Some(Sorted { absent, present }) = sorted else {
            return Ok(false);
        };
        let written = self.insert_all(sql, rows, target, &absent).await;
        if !written.map_err(|err| self.error(rows, first, RowError::Database(err), Some(target)))? {
            return Ok(false);
        }
        let written = self.overwrite_all(sql, rows, target, &present).await;
        if !written.map_err(|err| self.error(rows, first, RowError::Database(err), Some(target)))? {
            self.one_by_one(sql, rows, target, run, present, true).await?;
        }
        Ok(true)
    }

    /// `None` where none is here, or that can not be told.
    async fn sort(
        &mut self,
        sql: &mut dyn Sql,
        rows: &Rows,
        target: &Target,
        changes: Range<usize>,
    ) -> Result<Option<Sorted>, DbError> {
        if target.whole_row {
            return Ok(None);
        }
        let started = Instant::now();
        let keys: Result<Vec<Vec<Param>>, String> = rows.changes[changes.clone()]
            .iter()
            .map(|change| self.params(target, new_row(change), &target.key))
            .collect();
        self.converting += started.elapsed();
        let Some(keys) = keys
            .ok()
            .filter(|keys| !keys.iter().flatten().any(|key| *key == Param::Null))
        else {
            return Ok(None);
        };
        let Some(question) = self.dialect.existing(target, &keys) else {
            return Ok(None);
        };
        // A key that is no value of its column is an error here as it was in the insert.
        savepoint::RUN.set(sql).await?;
        let here = match sql.query(&question.sql, &question.params).await {
            Ok(here) => here,
            Err(err) if err.disposition == Disposition::Retry => return Err(err),
            Err(err) => {
                savepoint::RUN.take_back(sql, Some(&err)).await?;
                return Ok(None);
            }
        };
        savepoint::RUN.release(sql).await?;
        let here = here
            .iter()
            .map(|row| row.int(0))
            .collect::<Result<HashSet<i64>, _>>()?;
        let is_here =
            |index: &usize| i64::try_from(index - changes.start).is_ok_and(|place| here.contains(&place));
        let (present, absent): (Vec<usize>, Vec<usize>) = changes.clone().partition(is_here);
        Ok((!present.is_empty()).then_some(Sorted { absent, present }))
    }

    async fn insert_all(
        &mut self,
        sql: &mut dyn Sql,
        rows: &Rows,
        target: &Target,
        absent: &[usize],
    ) -> Result<bool, DbError> {
        if absent.is_empty() {
            return Ok(true);
        }
        let writable: Vec<usize> = target.writable().map(|(index, _)| index).collect();
        let started = Instant::now();
        let values: Result<Vec<Vec<Param>>, String> = absent
            .iter()
            .map(|&index| self.params(target, new_row(&rows.changes[index]), &writable))
            .collect();
        self.converting += started.elapsed();
        let Ok(values) = values else {
            return Ok(false);
        };
        let statement = self.dialect.insert(target, &writable, &values);
        self.try_together(sql, &statement, &|_| true).await
    }

    async fn overwrite_all(
        &mut self,
        sql: &mut dyn Sql,
        rows: &Rows,
        target: &Target,
        present: &[usize],
    ) -> Result<bool, DbError> {
        let others = target.writable().filter(|(index, _)| !target.key.contains(index));
        let (identities, others): (Vec<_>, Vec<_>) =
            others.partition(|(_, column)| column.def.identity_always);
        if !identities.is_empty() {
            return Ok(false);
        }
        let set: Vec<usize> = others.into_iter().map(|(index, _)| index).collect();
        if set.is_empty() {
            return Ok(true);
        }
        let started = Instant::now();
        let keyed: Result<Vec<KeyedRow>, String> = present
            .iter()
            .map(|&index| {
                let new = new_row(&rows.changes[index]);
                Ok(KeyedRow {
                    values: self.params(target, new, &set)?,
                    key: self.params(target, new, &target.key)?,
                })
            })
            .collect();
        self.converting += started.elapsed();
        let Some(statement) = keyed
            .ok()
            .and_then(|keyed| self.dialect.overwrite(target, &set, &keyed))
        else {
            return Ok(false);
        };
        let all = present.len();
        // An upsert does not count rows but what became of each, and can do no less than all.
        let counts = |count: u64| target.upserts || usize::try_from(count) == Ok(all);
        self.try_together(sql, &statement, &counts).await
    }
}
