//! How PostgreSQL's triggers write values: as its output functions do, under the settings that the triggers pin.

use super::hex;
use crate::captured::ValueError;
use crate::catalog::ColumnDef;
use crate::cell::Cell;
use crate::csv::Field;
use crate::logical::LogicalType;

/// Whether the output function pads a column's values: `char(n)`.
pub(super) fn is_padded(column: &ColumnDef) -> bool {
    column.type_name == "bpchar"
}

/// One captured field as a cell. The output functions' texts are the canonical ones but for two types.
pub(super) fn cell(field: Field, logical: LogicalType) -> Result<Cell, ValueError> {
    let Some(text) = field.into_text() else {
        return Ok(Cell::Null);
    };
    match logical {
        LogicalType::Bool => match text.as_str() {
            "t" => Ok(Cell::Text("1".to_owned())),
            "f" => Ok(Cell::Text("0".to_owned())),
            _ => Err(ValueError("no boolean")),
        },
        LogicalType::Bytes => hex(text
            .strip_prefix("\\x")
            .ok_or(ValueError("binary data without \\x"))?)
        .map(Cell::Bytes),
        _ => Ok(Cell::Text(text)),
    }
}
