//! How a column is selected, and what its value is in a file: the same text whatever database it comes from.

use symstream_shared::catalog::ColumnDef;
use symstream_shared::cell::Cell;
use symstream_shared::db::DatabaseKind;
use symstream_shared::logical::LogicalType;

/// The expression that selects a column.
pub(super) fn expression(kind: DatabaseKind, column: &ColumnDef) -> String {
    use LogicalType as L;
    let name = kind.quote(&column.name);
    match (kind, column.logical) {
        // Its values are what they are.
        (DatabaseKind::Sqlite, _) => name,
        (DatabaseKind::Postgres, L::Bytes) => name,
        (DatabaseKind::Postgres, L::Bool) => format!("cast(cast({name} as integer) as text)"),
        (DatabaseKind::Postgres, _) => format!("cast({name} as text)"),
        // As text these would lose digits.
        (DatabaseKind::Mysql, L::Float32 | L::Float64) => format!("cast({name} as double)"),
        (DatabaseKind::Mysql, L::Text) => name,
        (DatabaseKind::Mysql, L::Bytes)
            if column.type_name.ends_with("blob") || column.type_name.ends_with("binary") =>
        {
            name
        }
        (DatabaseKind::Mysql, L::Bytes) => format!("cast({name} as binary)"),
        (DatabaseKind::Mysql, L::Bits) => format!("lpad(bin({name}), {}, '0')", column.length.unwrap_or(1)),
        (DatabaseKind::Mysql, _) => format!("cast({name} as char)"),
    }
}

/// A selected value in the form that all databases share.
pub(super) fn canonical(kind: DatabaseKind, column: &ColumnDef, cell: Cell) -> Cell {
    use LogicalType as L;
    if kind == DatabaseKind::Sqlite {
        return cell;
    }
    match (column.logical, cell) {
        #[allow(clippy::cast_possible_truncation)] // It was a single before it was selected as a double.
        (L::Float32, Cell::Real(number)) => Cell::Text(crate::field::single(number as f32)),
        (_, Cell::Real(number)) => Cell::Text(crate::field::real(number)),
        (L::Float32 | L::Float64, Cell::Text(text)) => Cell::Text(number(column.logical, text)),
        // With a scale, zeros at the end say nothing.
        (L::Decimal, Cell::Text(text)) if column.precision.is_some() => Cell::Text(without_zeros(&text)),
        (L::Time | L::Timestamp, Cell::Text(text)) => Cell::Text(without_zeros(&text)),
        // MySQL keeps moments in UTC, which the connection shows, and says so nowhere.
        (L::TimestampTz, Cell::Text(text)) if kind == DatabaseKind::Mysql => {
            Cell::Text(format!("{}+00", without_zeros(&text)))
        }
        (_, cell) => cell,
    }
}

/// PostgreSQL writes exponents in its own way.
fn number(logical: LogicalType, text: String) -> String {
    let parsed = match logical {
        LogicalType::Float32 => text.parse().ok().map(crate::field::single),
        _ => text.parse().ok().map(crate::field::real),
    };
    parsed.unwrap_or(text)
}

/// A column of six digits writes them all; the value is the same without zeros at the end.
fn without_zeros(text: &str) -> String {
    match text.split_once('.') {
        Some((_, fraction)) if fraction.bytes().all(|digit| digit.is_ascii_digit()) => {
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_of_a_second_are_as_short_as_they_can_be() {
        assert_eq!(without_zeros("12:00:00.000000"), "12:00:00");
        assert_eq!(without_zeros("12:00:00.120000"), "12:00:00.12");
        assert_eq!(without_zeros("2024-02-29 10:00:00"), "2024-02-29 10:00:00");
        assert_eq!(
            without_zeros("0044-03-15 10:00:00.5 BC"),
            "0044-03-15 10:00:00.5 BC"
        );
    }

    #[test]
    fn numbers_are_written_alike() {
        assert_eq!(number(LogicalType::Float64, "1e+300".into()), "1e300");
        assert_eq!(number(LogicalType::Float32, "0.1".into()), "0.1");
        assert_eq!(number(LogicalType::Float64, "NaN".into()), "NaN");
        assert_eq!(number(LogicalType::Float64, "Infinity".into()), "Infinity");
    }
}
