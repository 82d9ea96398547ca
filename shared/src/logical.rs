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
