//! Compares a table of the file with the one that the database has under its name.

use super::column_type::ColumnType;
use super::model::Table;
use crate::catalog::TableDef;
use crate::logical::LogicalType;

/// What values are, as far as both the file and every database's catalog can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Whole,
    Floating,
    Decimal,
    Text,
    Bytes,
    Date,
    Time,
    Timestamp,
    /// Something that the format has no word for.
    Foreign,
}

impl Family {
    fn name(self) -> &'static str {
        match self {
            Self::Whole => "integers or booleans",
            Self::Floating => "floating-point numbers",
            Self::Decimal => "decimal numbers",
            Self::Text => "text",
            Self::Bytes => "binary data",
            Self::Date => "dates",
            Self::Time => "times",
            Self::Timestamp => "timestamps",
            Self::Foreign => "values of another type",
        }
    }

    fn of_file(column_type: ColumnType) -> Self {
        match column_type {
            ColumnType::Boolean
            | ColumnType::Tinyint
            | ColumnType::Smallint
            | ColumnType::Integer
            | ColumnType::Bigint => Self::Whole,
            ColumnType::Decimal(_) => Self::Decimal,
            ColumnType::Real | ColumnType::Double => Self::Floating,
            ColumnType::Char(_) | ColumnType::Varchar(_) | ColumnType::LongText => Self::Text,
            ColumnType::Binary(_) | ColumnType::LongBinary => Self::Bytes,
            ColumnType::Date => Self::Date,
            ColumnType::Time => Self::Time,
            ColumnType::Timestamp => Self::Timestamp,
        }
    }

    /// `None` for SQLite's columns that take anything.
    fn of_catalog(logical: LogicalType) -> Option<Self> {
        use LogicalType as L;
        Some(match logical {
            L::Any => return None,
            L::Bool | L::Int | L::Bits => Self::Whole,
            L::Float32 | L::Float64 => Self::Floating,
            L::Decimal => Self::Decimal,
            L::Text | L::Enum => Self::Text,
            L::Bytes => Self::Bytes,
            L::Date => Self::Date,
            L::Time | L::TimeTz => Self::Time,
            L::Timestamp | L::TimestampTz => Self::Timestamp,
            L::Json | L::Interval | L::Uuid | L::Array | L::Other => Self::Foreign,
        })
    }
}

/// Where the two differ; empty when they agree in names, kinds of values and the primary key.
pub(super) fn differences(wanted: &Table, found: &TableDef) -> Vec<String> {
    let mut differences = Vec::new();
    if wanted.name != found.name {
        differences.push(format!("its name is spelled {}", found.name));
    }
    for column in &wanted.columns {
        let name = &column.name;
        match found.column(name) {
            None => differences.push(format!("it has no column {name}")),
            Some(there) => {
                let family = Family::of_file(column.column_type);
                if let Some(other) = Family::of_catalog(there.logical).filter(|other| *other != family) {
                    differences.push(format!(
                        "column {name} holds {}, not {}",
                        other.name(),
                        family.name()
                    ));
                }
            }
        }
    }
    let unknown = found
        .columns
        .iter()
        .filter(|column| wanted.column(&column.name).is_none());
    differences
        .extend(unknown.map(|column| format!("it has a column {} that the file has not", column.name)));
    let mut key: Vec<_> = wanted.primary_key().map(|column| &column.name).collect();
    let mut found_key: Vec<_> = found.primary_key.iter().collect();
    key.sort();
    found_key.sort();
    if key != found_key && differences.is_empty() {
        differences.push("its primary key has other columns".to_owned());
    }
    differences
}
