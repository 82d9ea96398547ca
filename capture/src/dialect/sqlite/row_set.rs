//! Sets of values as a table, on SQLite: `json_each`.

use serde_json::Value;
use symstream_shared::catalog::ColumnDef;
use symstream_shared::cell::Cell;
use symstream_shared::db::{DbError, Param, Sql};
use symstream_shared::logical::LogicalType;

/// `rows` as a derived table `r` with the columns `i` (the row's number from 1), `c0`, `c1`…, whose values have
/// their own types and no affinity: the other side of a comparison decides.
pub(crate) fn row_set(rows: &[Vec<Cell>], width: usize) -> (String, Vec<Param>) {
    let columns: String = (0..width)
        .map(|column| format!(", json_extract(value, '$[{column}]') as c{column}"))
        .collect();
    let json: Vec<Value> = rows.iter().map(|row| row.iter().map(value).collect()).collect();
    (
        format!("(select key + 1 as i{columns} from json_each(?)) as r"),
        vec![Param::Text(Value::from(json).to_string())],
    )
}

fn value(cell: &Cell) -> Value {
    match cell {
        Cell::Int(number) => Value::from(*number),
        Cell::Real(number) => Value::from(*number),
        other => Value::from(other.to_text()),
    }
}

/// The value of `expression` as it compares with the table's column: as it stands.
pub(crate) async fn typed(
    _sql: &mut dyn Sql,
    _table: (Option<&str>, &str),
    _column: &str,
    _logical: LogicalType,
    expression: &str,
) -> Result<String, DbError> {
    Ok(expression.to_owned())
}

/// Whether a column's values are compared as what they are, rather than as text.
pub(crate) fn compares_typed(_logical: LogicalType) -> bool {
    true
}

/// Any column as text, to compare with `r`'s columns.
pub(crate) fn comparable_text(expression: &str) -> String {
    format!("cast({expression} as text)")
}

/// A table's column as `r` would have it: its value, without the column's affinity and collation.
pub(crate) fn captured(_column: &ColumnDef, value: &str) -> String {
    format!("coalesce({value}, null)")
}

/// An expression as its text, so that nothing but the same text equals it.
pub(crate) fn exact_text(expression: &str) -> String {
    format!("cast({expression} as text) collate binary")
}

/// Whether the column `own` has the value `asked`, which is the hexadecimal text of binary data or what it is.
pub(crate) fn key_equals(own: &str, asked: &str, is_binary: bool) -> String {
    match is_binary {
        true => format!("{own} = unhex({asked})"),
        false => format!("{own} = {asked}"),
    }
}
