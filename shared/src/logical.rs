//! The logical type of a column: what a value means, whatever dialect it comes from.

use serde::{Deserialize, Serialize};

/// What the values of a column mean, and so in which canonical text they travel.
///
/// | type | canonical text |
/// |---|---|
/// | `Bool` | `1`, `0` |
/// | `Int` | decimal digits with an optional `-` |
/// | `Float32`, `Float64` | the shortest text that reads back as the same bits; `NaN`, `Infinity`, `-Infinity` |
/// | `Decimal` | digits with an optional `-` and `.`, as the source prints it; `NaN`, `Infinity`, `-Infinity` |
/// | `Text`, `Enum`, `Json`, `Other` | as the source prints it |
/// | `Bytes` | none: [`Cell::Bytes`](crate::cell::Cell::Bytes) |
/// | `Bits` | `0`s and `1`s, the highest first |
/// | `Date` | `YYYY-MM-DD`, ` BC` behind it; `infinity`, `-infinity`; MySQL's `0000-00-00` |
/// | `Time` | `HH:MM:SS[.ffffff]` (MySQL: `-838:59:59` to `838:59:59`) |
/// | `TimeTz` | the same and `+HH[:MM[:SS]]` |
/// | `Timestamp` | `YYYY-MM-DD HH:MM:SS[.ffffff]`, ` BC` behind it; `infinity`, `-infinity` |
/// | `TimestampTz` | the same in UTC and `+00` (before ` BC`) |
/// | `Interval` | PostgreSQL's `postgres` style |
/// | `Uuid` | 8-4-4-4-12 lower-case hexadecimal digits |
/// | `Array` | PostgreSQL's array text |
/// | `Any` | SQLite's columns without a declared meaning: the value's own type decides |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs)] // The table above is the variants' documentation.
pub enum LogicalType {
    Bool,
    Int,
    Float32,
    Float64,
    Decimal,
    Text,
    Enum,
    Json,
    Bytes,
    Bits,
    Date,
    Time,
    TimeTz,
    Timestamp,
    TimestampTz,
    Interval,
    Uuid,
    Array,
    Any,
    Other,
}

impl LogicalType {
    const ALL: [(Self, &'static str); 20] = [
        (Self::Bool, "bool"),
        (Self::Int, "int"),
        (Self::Float32, "float32"),
        (Self::Float64, "float64"),
        (Self::Decimal, "decimal"),
        (Self::Text, "text"),
        (Self::Enum, "enum"),
        (Self::Json, "json"),
        (Self::Bytes, "bytes"),
        (Self::Bits, "bits"),
        (Self::Date, "date"),
        (Self::Time, "time"),
        (Self::TimeTz, "timetz"),
        (Self::Timestamp, "timestamp"),
        (Self::TimestampTz, "timestamptz"),
        (Self::Interval, "interval"),
        (Self::Uuid, "uuid"),
        (Self::Array, "array"),
        (Self::Any, "any"),
        (Self::Other, "other"),
    ];

    /// The type's name in `sym_trigger_hist.column_types`.
    pub fn as_str(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(logical, _)| *logical == self)
            .map_or("other", |(_, name)| name)
    }

    /// Reads the name; `None` for one that this version does not know.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .find(|(_, known)| *known == name)
            .map(|(logical, _)| *logical)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_a_name_of_its_own() {
        let names: std::collections::HashSet<_> = LogicalType::ALL.iter().map(|(_, name)| name).collect();
        assert_eq!(names.len(), LogicalType::ALL.len());
        for (logical, name) in LogicalType::ALL {
            assert_eq!(logical.as_str(), name);
            assert_eq!(LogicalType::from_name(name), Some(logical));
        }
    }
}
