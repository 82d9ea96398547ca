//! One column's value on its way between databases.

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// One value of one column, as it travels.
///
/// Values of typed columns are [`Cell::Text`] in the canonical form of their
/// [`LogicalType`](crate::logical::LogicalType), binary ones [`Cell::Bytes`]. [`Cell::Int`] and [`Cell::Real`]
/// come from SQLite only, where a value has a type of its own whatever its column was declared as. In
/// MessagePack each is the format's own type (nil, str, bin, int, float).
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// SQL null.
    Null,
    /// Text, or the canonical text of a typed value.
    Text(String),
    /// Binary data.
    Bytes(Vec<u8>),
    /// An integer stored by SQLite.
    Int(i64),
    /// A floating-point number stored by SQLite.
    Real(f64),
}

impl Cell {
    /// Whether this is SQL null.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// What kind of value this is, for error messages (never the value itself).
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Text(_) => "text",
            Self::Bytes(_) => "binary data",
            Self::Int(_) => "an integer",
            Self::Real(_) => "a floating-point number",
        }
    }

    /// The value as text for comparisons with configuration (external ids, constants); `None` for null.
    /// Binary data is hexadecimal.
    pub fn to_text(&self) -> Option<String> {
        match self {
            Self::Null => None,
            Self::Text(text) => Some(text.clone()),
            Self::Bytes(bytes) => Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect()),
            Self::Int(number) => Some(number.to_string()),
            Self::Real(number) => Some(number.to_string()),
        }
    }

    /// About how many bytes the value takes on the wire.
    pub fn size(&self) -> usize {
        match self {
            Self::Null => 1,
            Self::Text(text) => text.len() + 5,
            Self::Bytes(bytes) => bytes.len() + 5,
            Self::Int(_) | Self::Real(_) => 9,
        }
    }
}

impl Serialize for Cell {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Bytes(bytes) => serializer.serialize_bytes(bytes),
            Self::Int(number) => serializer.serialize_i64(*number),
            Self::Real(number) => serializer.serialize_f64(*number),
        }
    }
}

struct CellVisitor;

impl<'de> Visitor<'de> for CellVisitor {
    type Value = Cell;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nil, str, bin, int or float")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Cell, E> {
        Ok(Cell::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Cell, E> {
        Ok(Cell::Null)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Cell, E> {
        Ok(Cell::Text(text.to_owned()))
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<Cell, E> {
        Ok(Cell::Text(text))
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Cell, E> {
        Ok(Cell::Bytes(bytes.to_vec()))
    }

    fn visit_byte_buf<E: de::Error>(self, bytes: Vec<u8>) -> Result<Cell, E> {
        Ok(Cell::Bytes(bytes))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Cell, E> {
        Ok(Cell::Int(number))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Cell, E> {
        i64::try_from(number)
            .map(Cell::Int)
            .map_err(|_| E::custom("integer above 2^63-1"))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Cell, E> {
        Ok(Cell::Real(number))
    }
}

impl<'de> Deserialize<'de> for Cell {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CellVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_cell_survives_messagepack() {
        let cells = vec![
            Cell::Null,
            Cell::Text(String::new()),
            Cell::Text("ü\n\"".into()),
            Cell::Bytes(vec![]),
            Cell::Bytes(vec![0, 255]),
            Cell::Int(i64::MIN),
            Cell::Int(i64::MAX),
            Cell::Real(f64::INFINITY),
            Cell::Real(0.1),
        ];
        let bytes = rmp_serde::to_vec(&cells).expect("encode");
        assert_eq!(rmp_serde::from_slice::<Vec<Cell>>(&bytes).expect("decode"), cells);
    }
}
