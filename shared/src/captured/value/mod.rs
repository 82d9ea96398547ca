//! How the triggers of each dialect write values.

mod mysql;
mod postgres;
mod sqlite;

use super::ValueError;
use crate::catalog::ColumnDef;
use crate::cell::Cell;
use crate::csv::Field;
use crate::db::DatabaseKind;
use crate::logical::LogicalType;

/// What MySQL's triggers write instead of a field whose column is gone. No value is written so: a text stands in quotes
/// or is made of hexadecimal digits.
pub const LOST: &str = "?";

/// One captured field as a cell in its type's canonical form.
pub(super) fn cell(kind: DatabaseKind, field: Field, logical: LogicalType) -> Result<Cell, ValueError> {
    match kind {
        DatabaseKind::Postgres => postgres::cell(field, logical),
        DatabaseKind::Mysql => mysql::cell(field, logical),
        DatabaseKind::Sqlite => sqlite::cell(field, logical),
    }
}

/// Whether the triggers write a column's values with blanks behind them that are padding.
pub(super) fn is_padded(kind: DatabaseKind, column: &ColumnDef) -> bool {
    match kind {
        DatabaseKind::Postgres => postgres::is_padded(column),
        // MySQL's `char(n)` gives back no blanks at its end, and a text of SQLite is what was put in.
        DatabaseKind::Mysql | DatabaseKind::Sqlite => false,
    }
}

/// What the triggers write for a column that is gone, where they have to name columns.
pub(super) fn lost_field(kind: DatabaseKind) -> Option<&'static str> {
    match kind {
        DatabaseKind::Mysql => Some(LOST),
        // A record is written without naming its columns; SQLite refuses to drop a column that a trigger names, and
        // renames it there.
        DatabaseKind::Postgres | DatabaseKind::Sqlite => None,
    }
}

/// Hexadecimal digits as the bytes that they mean.
pub(super) fn hex(digits: &str) -> Result<Vec<u8>, ValueError> {
    let nibble = |digit: u8| {
        char::from(digit)
            .to_digit(16)
            .ok_or(ValueError("no hexadecimal digits"))
    };
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return Err(ValueError("an odd number of hexadecimal digits"));
    }
    pairs
        .iter()
        .map(|[high, low]| Ok(u8::try_from(nibble(*high)? * 16 + nibble(*low)?).unwrap_or_default()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_digits_are_bytes() {
        assert_eq!(hex("").expect("hex"), Vec::<u8>::new());
        assert_eq!(hex("00fF7a").expect("hex"), vec![0, 255, 122]);
        assert!(hex("0").is_err());
        assert!(hex("0g").is_err());
    }
}
