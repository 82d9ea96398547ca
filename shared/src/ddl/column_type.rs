//! What a column holds, in the format's terms.

use crate::logical::LogicalType;

/// The JDBC types that the format names, as far as the three databases have something for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    /// `BIT`, `BOOLEAN`
    Boolean,
    /// `TINYINT`, `BOOLEANINT`
    Tinyint,
    /// `SMALLINT`
    Smallint,
    /// `INTEGER`
    Integer,
    /// `BIGINT`
    Bigint,
    /// `DECIMAL`, `NUMERIC`: precision and scale
    Decimal(Option<(u32, u32)>),
    /// `REAL`
    Real,
    /// `FLOAT`, `DOUBLE`: in JDBC both have 64 bits
    Double,
    /// `CHAR`, `NCHAR`, `BOOLEANCHAR`: the length
    Char(u32),
    /// `VARCHAR`, `NVARCHAR`: the length
    Varchar(u32),
    /// `LONGVARCHAR`, `CLOB` and their `N` forms
    LongText,
    /// `BINARY`, `VARBINARY`: the length
    Binary(u32),
    /// `LONGVARBINARY`, `BLOB`
    LongBinary,
    /// `DATE`
    Date,
    /// `TIME`
    Time,
    /// `TIMESTAMP`
    Timestamp,
}

/// DdlUtils' length for texts and binary data that have none.
const DEFAULT_LENGTH: u32 = 254;

impl ColumnType {
    /// Reads the attributes `type` and `size`.
    pub(super) fn parse(name: &str, size: Option<&str>) -> Result<Self, String> {
        let length = |default: u32| match size {
            None => Ok(default),
            Some(size) => match size.trim().parse::<u32>() {
                Ok(length) if length > 0 => Ok(length),
                _ => Err(format!("size {size:?} of type {name} is no length")),
            },
        };
        Ok(match name.to_ascii_uppercase().as_str() {
            "BIT" | "BOOLEAN" => Self::Boolean,
            "TINYINT" | "BOOLEANINT" => Self::Tinyint,
            "SMALLINT" => Self::Smallint,
            "INTEGER" => Self::Integer,
            "BIGINT" => Self::Bigint,
            "DECIMAL" | "NUMERIC" => Self::Decimal(size.map(precision_and_scale).transpose()?),
            "REAL" => Self::Real,
            "FLOAT" | "DOUBLE" => Self::Double,
            "BOOLEANCHAR" => Self::Char(length(1)?),
            "CHAR" | "NCHAR" => Self::Char(length(DEFAULT_LENGTH)?),
            "VARCHAR" | "NVARCHAR" => Self::Varchar(length(DEFAULT_LENGTH)?),
            "LONGVARCHAR" | "LONGNVARCHAR" | "CLOB" | "NCLOB" => Self::LongText,
            "BINARY" | "VARBINARY" => Self::Binary(length(DEFAULT_LENGTH)?),
            "LONGVARBINARY" | "BLOB" => Self::LongBinary,
            "DATE" => Self::Date,
            "TIME" => Self::Time,
            "TIMESTAMP" => Self::Timestamp,
            _ => {
                return Err(format!(
                    "type {name:?} is not known (BIT, BOOLEAN, TINYINT, SMALLINT, INTEGER, BIGINT, DECIMAL, NUMERIC, \
                     REAL, FLOAT, DOUBLE, CHAR, VARCHAR, LONGVARCHAR, CLOB, BINARY, VARBINARY, LONGVARBINARY, BLOB, \
                     DATE, TIME, TIMESTAMP)"
                ));
            }
        })
    }

    /// The attribute `type`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Boolean => "BOOLEAN",
            Self::Tinyint => "TINYINT",
            Self::Smallint => "SMALLINT",
            Self::Integer => "INTEGER",
            Self::Bigint => "BIGINT",
            Self::Decimal(_) => "DECIMAL",
            Self::Real => "REAL",
            Self::Double => "DOUBLE",
            Self::Char(_) => "CHAR",
            Self::Varchar(_) => "VARCHAR",
            Self::LongText => "LONGVARCHAR",
            Self::Binary(_) => "VARBINARY",
            Self::LongBinary => "BLOB",
            Self::Date => "DATE",
            Self::Time => "TIME",
            Self::Timestamp => "TIMESTAMP",
        }
    }

    /// The attribute `size`, where the type has one.
    pub(super) fn size(self) -> Option<String> {
        match self {
            Self::Char(length) | Self::Varchar(length) | Self::Binary(length) => Some(length.to_string()),
            Self::Decimal(size) => size.map(|(precision, scale)| format!("{precision},{scale}")),
            _ => None,
        }
    }

    /// Both, for people.
    pub(super) fn name_and_size(self) -> String {
        match self.size() {
            Some(size) => format!("{}({size})", self.name()),
            None => self.name().to_owned(),
        }
    }

    /// What its values mean.
    pub fn logical(self) -> LogicalType {
        match self {
            Self::Boolean => LogicalType::Bool,
            Self::Tinyint | Self::Smallint | Self::Integer | Self::Bigint => LogicalType::Int,
            Self::Decimal(_) => LogicalType::Decimal,
            Self::Real => LogicalType::Float32,
            Self::Double => LogicalType::Float64,
            Self::Char(_) | Self::Varchar(_) | Self::LongText => LogicalType::Text,
            Self::Binary(_) | Self::LongBinary => LogicalType::Bytes,
            Self::Date => LogicalType::Date,
            Self::Time => LogicalType::Time,
            Self::Timestamp => LogicalType::Timestamp,
        }
    }

    /// Whether its values are texts.
    pub(super) fn is_text(self) -> bool {
        matches!(self, Self::Char(_) | Self::Varchar(_) | Self::LongText)
    }

    /// Whether its values are numbers, which SQL writes without quotes.
    pub(super) fn is_number(self) -> bool {
        matches!(
            self,
            Self::Tinyint
                | Self::Smallint
                | Self::Integer
                | Self::Bigint
                | Self::Decimal(_)
                | Self::Real
                | Self::Double
        )
    }
}

fn precision_and_scale(size: &str) -> Result<(u32, u32), String> {
    let (precision, scale) = size.split_once(',').unwrap_or((size, "0"));
    match (precision.trim().parse(), scale.trim().parse()) {
        (Ok(precision), Ok(scale)) if precision > 0 && scale <= precision => Ok((precision, scale)),
        _ => Err(format!("size {size:?} is no \"precision,scale\"")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_read_with_their_sizes() {
        assert_eq!(
            ColumnType::parse("varchar", Some("50")),
            Ok(ColumnType::Varchar(50))
        );
        assert_eq!(ColumnType::parse("VARCHAR", None), Ok(ColumnType::Varchar(254)));
        assert_eq!(
            ColumnType::parse("NUMERIC", Some("10, 2")),
            Ok(ColumnType::Decimal(Some((10, 2))))
        );
        assert_eq!(
            ColumnType::parse("DECIMAL", Some("10")),
            Ok(ColumnType::Decimal(Some((10, 0))))
        );
        assert_eq!(ColumnType::parse("INTEGER", Some("10")), Ok(ColumnType::Integer));
        for (name, size) in [
            ("VARCHAR", "0"),
            ("VARCHAR", "x"),
            ("DECIMAL", "2,3"),
            ("UUID", "1"),
        ] {
            assert!(ColumnType::parse(name, Some(size)).is_err(), "{name} {size}");
        }
    }
}
