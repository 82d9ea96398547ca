//! How our triggers write the values of SQLite: each as what it is, so that the column's type says nothing.

use crate::decode::ValueError;
use crate::dialect::value::hex;
use symstream_shared::cell::Cell;
use symstream_shared::csv::Field;
use symstream_shared::logical::LogicalType;

/// One captured field as a cell.
pub(crate) fn cell(field: Field, _logical: LogicalType) -> Result<Cell, ValueError> {
    match field {
        Field::Null => Ok(Cell::Null),
        Field::Quoted(text) => Ok(Cell::Text(text)),
        Field::Bare(text) => bare(&text),
    }
}

fn bare(text: &str) -> Result<Cell, ValueError> {
    if let Some(blob) = text.strip_prefix("X'") {
        return hex(blob
            .strip_suffix('\'')
            .ok_or(ValueError("a blob without an end"))?)
        .map(Cell::Bytes);
    }
    // `quote` writes a point or an exponent into every floating-point number, and infinity as 9.0e+999.
    if text.contains(['.', 'e', 'E']) {
        return text.parse().map(Cell::Real).map_err(|_| ValueError("no number"));
    }
    text.parse().map(Cell::Int).map_err(|_| ValueError("no integer"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(text: &str) -> Cell {
        cell(Field::Bare(text.to_owned()), LogicalType::Text).expect("value")
    }

    #[test]
    fn a_value_is_what_it_is_whatever_its_column() {
        assert_eq!(decoded("5"), Cell::Int(5));
        assert_eq!(decoded("-9223372036854775808"), Cell::Int(i64::MIN));
        assert_eq!(decoded("5.0"), Cell::Real(5.0));
        assert_eq!(decoded("9.0e+999"), Cell::Real(f64::INFINITY));
        assert_eq!(decoded("-9.0e+999"), Cell::Real(f64::NEG_INFINITY));
        assert_eq!(decoded("X'00FF'"), Cell::Bytes(vec![0, 255]));
        let text = cell(Field::Quoted("5".into()), LogicalType::Int);
        assert_eq!(text, Ok(Cell::Text("5".into())));
    }

    #[test]
    fn what_is_no_value_is_an_error() {
        for text in ["X'0", "x", "1.5.6", "9223372036854775808"] {
            assert!(
                cell(Field::Bare(text.to_owned()), LogicalType::Any).is_err(),
                "{text}"
            );
        }
    }
}
