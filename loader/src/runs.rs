//! Cutting a part's changes into runs that one statement can write.

use std::collections::HashSet;
use std::ops::Range;
use symstream_shared::cell::Cell;
use symstream_shared::wire::{Change, Operation, Rows, TableInfo};

/// Changes that follow each other, of one table, one operation, one set of columns and one path: the target's triggers
/// are told where all rows of a statement come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Run {
    /// Which changes.
    pub changes: Range<usize>,
    /// Index into the part's tables.
    pub table: usize,
    /// What happened.
    pub operation: Operation,
    /// For an update: what it changes.
    pub update: Option<UpdateShape>,
}

/// What updates of one run have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UpdateShape {
    /// The columns to set, as indexes into the table's columns.
    pub set: Vec<usize>,
    /// Whether the key itself changes.
    pub moves: bool,
}

/// Why a part's changes make no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MalformedChange {
    #[error("a change names a table that its message does not describe")]
    NoTable,
    #[error("a change of table {0} has not one value for each of its columns")]
    Columns(String),
    #[error("a change of table {0} lacks the row's values")]
    NoRow(String),
}

/// The runs of a part, in its order. A key that comes again begins a new run of updates, since a statement
/// changes a row once.
///
/// # Errors
/// The index of the first change that is malformed, and what is wrong with it.
pub(crate) fn runs(rows: &Rows) -> Result<Vec<Run>, (usize, MalformedChange)> {
    let mut runs: Vec<Run> = Vec::new();
    let mut keys: HashSet<String> = HashSet::new();
    for (index, change) in rows.changes.iter().enumerate() {
        let table = usize::from(change.table);
        let info = rows.tables.get(table).ok_or((index, MalformedChange::NoTable))?;
        check(info, change).map_err(|err| (index, err))?;
        let update = (change.operation == Operation::Update).then(|| shape(info, change));
        let key = update.as_ref().map(|_| key_text(info, change));
        if let Some(run) = runs.last_mut()
            && run.table == table
            && run.operation == change.operation
            && run.update == update
            && rows.changes[run.changes.start].path == change.path
            && key.as_ref().is_none_or(|key| !keys.contains(key))
        {
            run.changes.end = index + 1;
        } else {
            keys.clear();
            runs.push(Run {
                changes: index..index + 1,
                table,
                operation: change.operation,
                update,
            });
        }
        keys.extend(key);
    }
    Ok(runs)
}

fn check(info: &TableInfo, change: &Change) -> Result<(), MalformedChange> {
    let whole = |row: &Option<Vec<Cell>>| row.as_ref().is_none_or(|row| row.len() == info.columns.len());
    if !whole(&change.new)
        || !whole(&change.old)
        || info
            .key
            .iter()
            .any(|&index| usize::from(index) >= info.columns.len())
    {
        return Err(MalformedChange::Columns(info.target_table.clone()));
    }
    let there = match change.operation {
        Operation::Insert | Operation::Update => change.new.is_some(),
        Operation::Delete => change.old.is_some(),
    };
    if there {
        Ok(())
    } else {
        Err(MalformedChange::NoRow(info.target_table.clone()))
    }
}

/// Without the old row the key counts as unchanged.
fn shape(info: &TableInfo, change: &Change) -> UpdateShape {
    let differs = |index: usize| match (&change.old, &change.new) {
        (Some(old), Some(new)) => !same(&old[index], &new[index]),
        _ => false,
    };
    let is_key = |index: usize| info.key.iter().any(|&key| usize::from(key) == index);
    let moves = info.key.iter().any(|&index| differs(usize::from(index)));
    let set = (0..info.columns.len())
        .filter(|&index| {
            if is_key(index) || info.column_level && change.old.is_some() {
                differs(index)
            } else {
                true
            }
        })
        .collect();
    UpdateShape { set, moves }
}

/// Equal to the last bit: NaN is NaN, and 0.0 is not -0.0.
fn same(one: &Cell, other: &Cell) -> bool {
    match (one, other) {
        (Cell::Real(one), Cell::Real(other)) => one.to_bits() == other.to_bits(),
        _ => one == other,
    }
}

fn key_text(info: &TableInfo, change: &Change) -> String {
    let row = change.old.as_ref().or(change.new.as_ref());
    let cells: Vec<Option<&Cell>> = info
        .key
        .iter()
        .map(|&index| row.map(|row| &row[usize::from(index)]))
        .collect();
    format!("{cells:?}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use symstream_shared::logical::LogicalType;
    use symstream_shared::wire::ColumnInfo;

    fn table(name: &str, column_level: bool) -> TableInfo {
        let column = |name: &str| ColumnInfo {
            name: name.into(),
            logical: LogicalType::Int,
        };
        TableInfo {
            hist_id: 1,
            trigger_ids: vec![name.into()],
            source_schema: None,
            source_table: name.into(),
            target_schema: None,
            target_table: name.into(),
            columns: vec![column("id"), column("a"), column("b")],
            key: vec![0],
            column_level,
        }
    }

    fn change(table: u16, old: Option<[i64; 3]>, new: Option<[i64; 3]>) -> Change {
        let cells = |row: [i64; 3]| row.into_iter().map(Cell::Int).collect();
        Change {
            data_id: 1,
            table,
            operation: match (old, new) {
                (None, _) => Operation::Insert,
                (_, None) => Operation::Delete,
                _ => Operation::Update,
            },
            new: new.map(cells),
            old: old.map(cells),
            path: Vec::new(),
        }
    }

    fn cut(column_level: bool, changes: Vec<Change>) -> Vec<(Range<usize>, Option<UpdateShape>)> {
        let rows = Rows {
            tables: vec![table("item", column_level), table("other", column_level)],
            changes,
        };
        runs(&rows)
            .expect("well formed")
            .into_iter()
            .map(|run| (run.changes, run.update))
            .collect()
    }

    #[test]
    fn a_run_ends_with_its_table_and_its_operation() {
        let cut = cut(
            false,
            vec![
                change(0, None, Some([1, 0, 0])),
                change(0, None, Some([2, 0, 0])),
                change(1, None, Some([1, 0, 0])),
                change(1, Some([1, 0, 0]), None),
                change(0, None, Some([3, 0, 0])),
            ],
        );
        let ranges: Vec<_> = cut.into_iter().map(|(range, _)| range).collect();
        assert_eq!(ranges, [0..2, 2..3, 3..4, 4..5]);
    }

    #[test]
    fn a_row_that_changes_twice_and_a_key_that_changes_begin_a_new_run() {
        let all = |moves| {
            let set = if moves { vec![0, 1, 2] } else { vec![1, 2] };
            Some(UpdateShape { set, moves })
        };
        assert_eq!(
            cut(
                false,
                vec![
                    change(0, Some([1, 0, 0]), Some([1, 1, 0])),
                    change(0, Some([2, 0, 0]), Some([2, 0, 0])),
                    change(0, Some([1, 1, 0]), Some([1, 2, 0])),
                    change(0, Some([1, 2, 0]), Some([9, 2, 0])),
                ]
            ),
            [(0..2, all(false)), (2..3, all(false)), (3..4, all(true))]
        );
    }

    #[test]
    fn column_level_sets_what_changed() {
        let set = |set: Vec<usize>| Some(UpdateShape { set, moves: false });
        assert_eq!(
            cut(
                true,
                vec![
                    change(0, Some([1, 0, 0]), Some([1, 1, 0])),
                    change(0, Some([2, 0, 0]), Some([2, 1, 0])),
                    change(0, Some([3, 0, 0]), Some([3, 0, 1])),
                    change(0, Some([4, 0, 0]), Some([4, 0, 0])),
                ]
            ),
            [(0..2, set(vec![1])), (2..3, set(vec![2])), (3..4, set(vec![]))]
        );
    }

    #[test]
    fn a_malformed_change_is_named() {
        let mut short = change(0, None, Some([1, 0, 0]));
        short.new.as_mut().expect("a row").pop();
        let rows = |change| Rows {
            tables: vec![table("item", false)],
            changes: vec![change],
        };
        assert_eq!(
            runs(&rows(short)),
            Err((0, MalformedChange::Columns("item".into())))
        );
        assert_eq!(
            runs(&rows(change(7, None, Some([1, 0, 0])))),
            Err((0, MalformedChange::NoTable))
        );
    }
}
