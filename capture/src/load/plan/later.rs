//! Columns that refer to rows which come behind.

use std::sync::Arc;
use symstream_shared::cell::Cell;
use symstream_shared::wire::TableInfo;

/// Columns whose values come when all rows are there. A row that has some goes without the columns at first: null would be
/// wrong where the target has the row, and its application would see it.
pub(super) struct Later {
    columns: Vec<usize>,
    /// The table without them.
    pub without: Arc<TableInfo>,
    /// The table with its key and them only.
    pub alone: Arc<TableInfo>,
}

impl Later {
    pub(super) fn of(info: &TableInfo, columns: &[usize]) -> Option<Self> {
        (!columns.is_empty()).then(|| Self {
            columns: columns.to_vec(),
            without: Arc::new(without_columns(info, columns)),
            alone: Arc::new(key_and_columns(info, columns)),
        })
    }

    pub(super) fn has_value(&self, row: &[Cell]) -> bool {
        self.columns.iter().any(|index| row[*index] != Cell::Null)
    }

    pub(super) fn row_without(&self, row: Vec<Cell>) -> Vec<Cell> {
        let cells = row.into_iter().enumerate();
        cells
            .filter(|(index, _)| !self.columns.contains(index))
            .map(|(_, cell)| cell)
            .collect()
    }

    pub(super) fn row_alone(&self, row: &[Cell], table: &TableInfo) -> Vec<Cell> {
        let key = table.key.iter().map(|index| usize::from(*index));
        let columns = key.chain(self.columns.iter().copied());
        columns.map(|index| row[index].clone()).collect()
    }
}

/// The table without `columns`, none of which is of its key.
fn without_columns(info: &TableInfo, columns: &[usize]) -> TableInfo {
    let left = |end: usize| (0..end).filter(|index| !columns.contains(index));
    let shifted = |index: &u16| u16::try_from(left(usize::from(*index)).count()).unwrap_or(u16::MAX);
    TableInfo {
        key: info.key.iter().map(shifted).collect(),
        columns: left(info.columns.len())
            .map(|index| info.columns[index].clone())
            .collect(),
        ..TableInfo::clone(info)
    }
}

/// The table with its key and `columns` only.
pub(super) fn key_and_columns(info: &TableInfo, columns: &[usize]) -> TableInfo {
    let key = info.key.iter().map(|index| usize::from(*index));
    TableInfo {
        key: (0..).take(info.key.len()).collect(),
        columns: key
            .chain(columns.iter().copied())
            .map(|index| info.columns[index].clone())
            .collect(),
        // Both rows of the change are alike.
        column_level: false,
        ..TableInfo::clone(info)
    }
}
