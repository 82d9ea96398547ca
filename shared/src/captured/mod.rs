//! From the CSV in `sym_data` to cells.
//!
//! Owns what a captured row's fields mean, by the trigger history that the row names. Refuses to know how rows are
//! captured and read, and where they go.

mod altered;
mod hist;
mod shape;
mod value;

pub use altered::altered_hist_id;
pub use hist::{HistCache, HistError, Layout, column_type};
pub use shape::SHAPE_OF;
pub use value::LOST;

use crate::cell::Cell;
use crate::csv::{self, CsvError};
use crate::db::DatabaseKind;
use crate::logical::LogicalType;
use crate::wire::ColumnInfo;

/// Why a text is no value of its column's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ValueError(pub &'static str);

/// Why captured text is not the row that its history describes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The text is no CSV.
    #[error("the captured text is no record: {0}")]
    Csv(#[from] CsvError),
    /// The text has another number of fields.
    #[error("the captured row has {found} fields, but its trigger history has {wanted} columns")]
    FieldCount {
        /// Fields in the text.
        found: usize,
        /// Columns in the history.
        wanted: usize,
    },
    /// The text lacks other columns than the rows under its history do.
    #[error("the captured row lacks other columns than it says")]
    Lost,
    /// A field is no value of its column.
    #[error("the captured value of column {column} is not one of its type, {logical:?}: {source}")]
    Value {
        /// The column.
        column: String,
        /// Its type, as the history says.
        logical: LogicalType,
        /// What is wrong with the value.
        source: ValueError,
    },
}

/// Decodes one captured row (`row_data` or `old_data`) whose fields are `columns`, each cell in its type's
/// canonical form.
///
/// # Errors
/// [`DecodeError`] when the text does not fit the columns; never a guess.
pub fn decode_row(columns: &[ColumnInfo], kind: DatabaseKind, text: &str) -> Result<Vec<Cell>, DecodeError> {
    let fields = csv::decode(text)?;
    if fields.len() != columns.len() {
        return Err(DecodeError::FieldCount {
            found: fields.len(),
            wanted: columns.len(),
        });
    }
    fields
        .into_iter()
        .zip(columns)
        .map(|(field, column)| decode_field(column, kind, field))
        .collect()
}

fn decode_field(column: &ColumnInfo, kind: DatabaseKind, field: csv::Field) -> Result<Cell, DecodeError> {
    value::cell(kind, field, column.logical).map_err(|source| DecodeError::Value {
        column: column.name.clone(),
        logical: column.logical,
        source,
    })
}
