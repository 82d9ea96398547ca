//! Writing the rows of an initial load, but for those that this node has changed itself and the load does not know.

use super::{Applier, ApplyError, Refused, RowError, savepoint};
use crate::own_changes::{KeyText, OwnChanges, OwnChangesError};
use crate::target::{Target, TargetError};
use std::collections::{HashMap, HashSet};
use symstream_shared::db::{DbError, Sql};
use symstream_shared::wire::{Change, Rows};

/// Changes that are written before the node's own are looked at: so few that it seldom changes one of them meanwhile, as
/// its application waits for the rows that are written here.
const PIECE: usize = 500;

/// What became of a piece.
struct Written {
    count: usize,
    /// The deletes of rows that others refer to, and what the database says of each.
    referenced: Vec<(Change, ApplyError)>,
}

impl Applier<'_> {
    /// Writes the changes of one part of a load, piece by piece. Returns how many. A delete that a foreign key refuses is
    /// tried again behind the others, until that brings nothing; then it is an error, unless it `comes_again`. An update of a
    /// row that is not here does nothing.
    ///
    /// # Errors
    /// [`ApplyError`]; the transaction has to be rolled back then.
    pub(crate) async fn apply_sparing(
        &mut self,
        sql: &mut dyn Sql,
        rows: &Rows,
        own: &mut OwnChanges<'_>,
        comes_again: bool,
    ) -> Result<usize, ApplyError> {
        self.of_load = true;
        // What is newer already is not even locked.
        let newer = self.newer(sql, rows, own).await?;
        let wanted = without(&rows.changes, &newer.into_iter().collect());
        let mut piece = Rows {
            tables: rows.tables.clone(),
            changes: Vec::new(),
        };
        let mut count = 0;
        let mut referenced: Vec<(Change, ApplyError)> = Vec::new();
        for changes in wanted.chunks(PIECE) {
            piece.changes = changes.to_vec();
            let written = self.apply_piece_sparing(sql, &piece, own).await?;
            count += written.count;
            referenced.extend(written.referenced);
        }
        while !referenced.is_empty() {
            let before = referenced.len();
            // Children often stand behind.
            piece.changes = referenced
                .iter()
                .rev()
                .map(|(change, _)| change.clone())
                .collect();
            self.written -= i64::try_from(before).unwrap_or(i64::MAX);
            let written = self.apply_piece_sparing(sql, &piece, own).await?;
            count += written.count;
            referenced = written.referenced;
            if referenced.len() == before {
                match referenced.pop() {
                    Some((_, err)) if !comes_again => return Err(err),
                    _ => break,
                }
            }
        }
        self.of_load = false;
        Ok(count)
    }

    /// First all of it: nearly always the node has changed none meanwhile. Where it has, it is taken back and written
    /// without these, as often as the node goes on changing others.
    ///
    /// # Errors
    /// [`ApplyError`]; the transaction has to be rolled back then.
    async fn apply_piece_sparing(
        &mut self,
        sql: &mut dyn Sql,
        rows: &Rows,
        own: &mut OwnChanges<'_>,
    ) -> Result<Written, ApplyError> {
        let mut spared = HashSet::new();
        loop {
            let left = Rows {
                tables: rows.tables.clone(),
                changes: without(&rows.changes, &spared),
            };
            savepoint::LOAD.set(sql).await.map_err(database)?;
            let written = self.written;
            self.refused.clear();
            let applied = self.apply(sql, &left).await;
            let failure = match applied {
                Err(err) if err.is_passing() => return Err(err),
                Err(err) => Some(err),
                Ok(()) => None,
            };
            if failure.is_some() {
                self.take_back(sql, written, failure.as_ref()).await?;
            }
            let newer = self.newer(sql, rows, own).await?;
            let known = spared.len();
            spared.extend(newer);
            match failure {
                // What is newer here may be in the way of what is not.
                Some(err) if spared.len() == known => return Err(err),
                Some(_) => {}
                None if spared.len() == known => {
                    savepoint::LOAD.release(sql).await.map_err(database)?;
                    let refused = std::mem::take(&mut self.refused).into_iter();
                    let referenced: Vec<_> = refused
                        .map(|Refused { index, err }| (left.changes[index].clone(), err))
                        .collect();
                    return Ok(Written {
                        count: left.changes.len() - referenced.len(),
                        referenced,
                    });
                }
                None => self.take_back(sql, written, None).await?,
            }
        }
    }

    async fn take_back(
        &mut self,
        sql: &mut dyn Sql,
        written: i64,
        failure: Option<&ApplyError>,
    ) -> Result<(), ApplyError> {
        let failure = failure.and_then(|err| err.database.as_ref());
        savepoint::LOAD.take_back(sql, failure).await.map_err(database)?;
        self.written = written;
        self.origin.set_again(sql).await.map_err(database)
    }

    /// Which changes are of rows that the node has changed itself.
    async fn newer(
        &mut self,
        sql: &mut dyn Sql,
        rows: &Rows,
        own: &mut OwnChanges<'_>,
    ) -> Result<Vec<usize>, ApplyError> {
        let mut targets: HashMap<String, Vec<(usize, Target)>> = HashMap::new();
        for (index, info) in rows.tables.iter().enumerate() {
            let resolved = self.cache.resolve(sql, self.dialect, info).await;
            let target = resolved.map_err(|err| match err {
                TargetError::Database(err) => database(err),
                other => self.error(rows, 0, RowError::Value(other.to_string()), None),
            })?;
            targets
                .entry(target.sql_name.clone())
                .or_default()
                .push((index, target));
        }
        let is_wanted = |name: &str| targets.contains_key(name);
        let own_rows = own.rows(sql, self.cache, &is_wanted).await.map_err(unknown)?;
        if own_rows.is_empty() {
            return Ok(Vec::new());
        }
        let places = self.places(rows, targets.values().flatten());
        let mut newer = Vec::new();
        for row in &own_rows {
            for (index, target) in targets.get(&row.table).into_iter().flatten() {
                let key = row.key(self.dialect, target);
                let changes = key.and_then(|key| places.get(&(*index, key)));
                newer.extend(changes.into_iter().flatten().copied());
            }
        }
        Ok(newer)
    }

    /// The changes of each row, by its table and its key before and after them.
    fn places<'t>(
        &self,
        rows: &Rows,
        targets: impl Iterator<Item = &'t (usize, Target)>,
    ) -> HashMap<(usize, KeyText), Vec<usize>> {
        let targets: HashMap<usize, &Target> = targets.map(|(index, target)| (*index, target)).collect();
        let mut places: HashMap<(usize, KeyText), Vec<usize>> = HashMap::new();
        for (place, change) in rows.changes.iter().enumerate() {
            let index = usize::from(change.table);
            let Some(target) = targets.get(&index) else {
                continue;
            };
            for cells in [&change.old, &change.new].into_iter().flatten() {
                let key = target
                    .key
                    .iter()
                    .filter_map(|&column| Some((&target.columns[column], cells.get(column)?)));
                if let Some(key) = KeyText::of(self.dialect, key) {
                    places.entry((index, key)).or_default().push(place);
                }
            }
        }
        places
    }
}

fn without(changes: &[Change], spared: &HashSet<usize>) -> Vec<Change> {
    let left = changes.iter().enumerate();
    left.filter(|(place, _)| !spared.contains(place))
        .map(|(_, change)| change.clone())
        .collect()
}

/// An error that belongs to no row.
pub(super) fn database(err: DbError) -> ApplyError {
    ApplyError {
        row_number: 0,
        data_id: 0,
        message: err.message.clone(),
        database: Some(err),
    }
}

pub(super) fn unknown(err: OwnChangesError) -> ApplyError {
    match err {
        OwnChangesError::Database(err) => database(err),
        other => ApplyError {
            row_number: 0,
            data_id: 0,
            message: other.to_string(),
            database: None,
        },
    }
}
