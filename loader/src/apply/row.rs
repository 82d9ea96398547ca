//! Writing one change: what it takes depends on whether its row is there.

use super::{Applier, RowError, key_row, new_row, savepoint};
use crate::dialect::KeyedRow;
use crate::runs::UpdateShape;
use crate::target::Target;
use symstream_shared::cell::Cell;
use symstream_shared::db::{DbError, Param, Sql};
use symstream_shared::wire::{Change, Operation};

impl Applier<'_> {
    /// Writes one change. `likely` says that its row may well be there although it is an insert.
    pub(super) async fn apply_one(
        &mut self,
        sql: &mut dyn Sql,
        target: &Target,
        update: Option<&UpdateShape>,
        change: &Change,
        likely: bool,
    ) -> Result<(), RowError> {
        match change.operation {
            Operation::Insert => self.insert_row(sql, target, new_row(change), likely).await,
            Operation::Update => {
                let set = update.map_or_else(Vec::new, |shape| {
                    settable(target, shape, std::slice::from_ref(change))
                });
                if self
                    .update_row(sql, target, &set, new_row(change), key_row(change))
                    .await?
                {
                    return Ok(());
                }
                if self.of_load {
                    // The load has brought the row before, or knows none: it is gone since, or was never here.
                    return Ok(());
                }
                self.insert_row(sql, target, new_row(change), false).await
            }
            Operation::Delete => {
                let key = self.timed_params(target, key_row(change), &target.key)?;
                let statement = self.dialect.delete(target, std::slice::from_ref(&key));
                if sql.execute(&statement.sql, &statement.params).await? == 0
                    && let Some(question) = self.dialect.alike(target, &key)
                    && sql.query_opt(&question.sql, &question.params).await?.is_some()
                {
                    return Err(RowError::Value(
                        "the row to delete is not here, but one whose key differs in case or blanks only"
                            .into(),
                    ));
                }
                Ok(())
            }
        }
    }

    /// The same for a change of a load, of which a delete may be refused and the rest goes on.
    pub(super) async fn apply_one_of_load(
        &mut self,
        sql: &mut dyn Sql,
        target: &Target,
        update: Option<&UpdateShape>,
        change: &Change,
        likely: bool,
    ) -> Result<(), RowError> {
        if change.operation != Operation::Delete || !self.dialect.writing().failure_ends_transaction {
            return self.apply_one(sql, target, update, change, likely).await;
        }
        savepoint::RUN.set(sql).await?;
        match self.apply_one(sql, target, update, change, likely).await {
            Ok(()) => Ok(savepoint::RUN.release(sql).await?),
            Err(RowError::Database(err)) => {
                savepoint::RUN.take_back(sql, Some(&err)).await?;
                Err(RowError::Database(err))
            }
            Err(other) => Err(other),
        }
    }

    /// Returns whether the row was there.
    async fn update_row(
        &mut self,
        sql: &mut dyn Sql,
        target: &Target,
        set: &[usize],
        new: &[Cell],
        key: &[Cell],
    ) -> Result<bool, RowError> {
        let key = self.timed_params(target, key, &target.key)?;
        if set.is_empty() {
            return Ok(self.exists(sql, target, &key).await?);
        }
        let values = self.timed_params(target, new, set)?;
        let statement = self.dialect.update(target, set, &[KeyedRow { values, key }]);
        Ok(sql.execute(&statement.sql, &statement.params).await? > 0)
    }

    /// Makes the row with this key the same as `new`. Returns whether it was there.
    async fn overwrite_row(
        &mut self,
        sql: &mut dyn Sql,
        target: &Target,
        new: &[Cell],
    ) -> Result<bool, RowError> {
        let others = target.writable().filter(|(index, _)| !target.key.contains(index));
        let (identities, others): (Vec<_>, Vec<_>) =
            others.partition(|(_, column)| column.def.identity_always);
        let others: Vec<usize> = others.into_iter().map(|(index, _)| index).collect();
        if !self.update_row(sql, target, &others, new, new).await? {
            return Ok(false);
        }
        // An identity that is always generated can be compared, but not set.
        for (index, column) in identities {
            let mut with = target.clone();
            with.key.push(index);
            let key = self.timed_params(&with, new, &with.key)?;
            if !self.exists(sql, &with, &key).await? {
                return Err(RowError::Value(format!(
                    "column {} is generated always as identity and has another value here",
                    column.def.name
                )));
            }
        }
        Ok(true)
    }

    async fn insert_row(
        &mut self,
        sql: &mut dyn Sql,
        target: &Target,
        new: &[Cell],
        likely: bool,
    ) -> Result<(), RowError> {
        let writable: Vec<usize> = target.writable().map(|(index, _)| index).collect();
        // Rows without a key may be there twice.
        let keyed = !target.whole_row;
        if keyed && likely && self.overwrite_row(sql, target, new).await? {
            return Ok(());
        }
        let values = self.timed_params(target, new, &writable)?;
        let statement = self.dialect.insert(target, &writable, &[values]);
        let guarded = keyed && self.dialect.writing().failure_ends_transaction;
        if guarded {
            savepoint::RUN.set(sql).await?;
        }
        match sql.execute(&statement.sql, &statement.params).await {
            Ok(_) => {
                if guarded {
                    savepoint::RUN.release(sql).await?;
                }
                Ok(())
            }
            Err(err) if keyed && err.is_unique_violation(sql.kind()) => {
                if guarded {
                    savepoint::RUN.take_back(sql, Some(&err)).await?;
                }
                if self.overwrite_row(sql, target, new).await? {
                    return Ok(());
                }
                // A trigger of the target may have kept the row from being updated. If the row is not there,
                // another unique key was violated, by a row that is none of this change's business.
                let key = self.timed_params(target, new, &target.key)?;
                if self.exists(sql, target, &key).await? {
                    Ok(())
                } else {
                    Err(err.into())
                }
            }
            Err(err) => Err(err.into()),
        }
    }

    async fn exists(&self, sql: &mut dyn Sql, target: &Target, key: &[Param]) -> Result<bool, DbError> {
        let statement = self.dialect.exists(target, key);
        Ok(sql.query_opt(&statement.sql, &statement.params).await?.is_some())
    }
}

/// The columns that updates of this shape can set. An identity that is always generated is left out where no
/// update changes it; a change of it is the database's to refuse.
pub(super) fn settable(target: &Target, shape: &UpdateShape, changes: &[Change]) -> Vec<usize> {
    let changed = |index: usize| {
        changes.iter().any(|change| match (&change.old, &change.new) {
            (Some(old), Some(new)) => old[index] != new[index],
            _ => true,
        })
    };
    shape
        .set
        .iter()
        .copied()
        .filter(|&index| {
            let def = &target.columns[index].def;
            !def.generated && (!def.identity_always || changed(index))
        })
        .collect()
}
