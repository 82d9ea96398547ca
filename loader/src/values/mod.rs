//! Fitting a value into the target's column: lossless, or refused.
//!
//! Owns the rules that hold for every typed database (PostgreSQL, MySQL). What only one database can hold, or
//! writes in a way of its own, is decided in [`crate::dialect`]. Where a value's text is left to the target's
//! own parser, that parser refuses what it does not take (an unknown enum label, the 30th of February).

mod moment;
mod number;

pub(crate) use moment::{has_zero_date, is_within_a_day};
pub(crate) use number::{Number, double_from_text, float_text};

use std::borrow::Cow;
use symstream_shared::catalog::ColumnDef;
use symstream_shared::cell::Cell;
use symstream_shared::logical::LogicalType;

/// Why a column can not hold a value. Never says the value itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} {why}")]
pub(crate) struct Unfit {
    /// What kind of value it is.
    pub kind: Cow<'static, str>,
    /// What is wrong with it for this column.
    pub why: Cow<'static, str>,
}

impl Unfit {
    pub(crate) fn new(kind: impl Into<Cow<'static, str>>, why: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind: kind.into(),
            why: why.into(),
        }
    }

    /// A value of a kind that the column's type knows nothing of.
    fn mismatch(source: LogicalType, column: &ColumnDef) -> Self {
        Self::new(
            format!("a value of type {}", source.as_str()),
            format!("is no {}", column.logical.as_str()),
        )
    }
}

/// A value as the column's own canonical text, or its bytes. `source` is what it meant where it comes from.
///
/// # Errors
/// [`Unfit`] when the column can not hold exactly this value.
pub(crate) fn fit(source: LogicalType, cell: &Cell, column: &ColumnDef) -> Result<Cell, Unfit> {
    let (source, text) = match cell {
        Cell::Null => return Ok(Cell::Null),
        Cell::Bytes(bytes) => {
            return match column.logical {
                LogicalType::Bytes | LogicalType::Any => Ok(Cell::Bytes(bytes.clone())),
                _ => Err(Unfit::mismatch(LogicalType::Bytes, column)),
            };
        }
        Cell::Int(number) => (LogicalType::Int, Cow::Owned(number.to_string())),
        Cell::Real(number) => (LogicalType::Float64, Cow::Owned(float_text(*number))),
        // SQLite keeps texts in columns of any type.
        Cell::Text(text) if source == LogicalType::Bytes => (LogicalType::Text, Cow::Borrowed(text.as_str())),
        Cell::Text(text) => (source, Cow::Borrowed(text.as_str())),
    };
    fit_text(source, text, column).map(|text| Cell::Text(text.into_owned()))
}

fn fit_text<'a>(source: LogicalType, text: Cow<'a, str>, column: &ColumnDef) -> Result<Cow<'a, str>, Unfit> {
    use LogicalType as L;
    match column.logical {
        L::Bool => boolean(source, &text, column).map(Cow::Borrowed),
        L::Int => match source {
            L::Bits => number::from_bits(&text).map(|number| Cow::Owned(number.to_string())),
            _ => number::whole(source, text, column),
        },
        L::Decimal => match source {
            L::Bits => number::from_bits(&text).map(|number| Cow::Owned(number.to_string())),
            _ => number::decimal(source, text, column),
        },
        L::Float64 => number::double(source, text, column),
        L::Float32 => number::single(source, text, column),
        L::Bits => bits(source, text, column),
        L::Date | L::Time | L::TimeTz | L::Timestamp | L::TimestampTz => moment::fit(source, &text, column),
        L::Bytes => Err(Unfit::mismatch(source, column)),
        L::Text | L::Enum => short_enough(text, column),
        L::Json | L::Interval | L::Uuid | L::Array | L::Any | L::Other => Ok(text),
    }
}

fn boolean(source: LogicalType, text: &str, column: &ColumnDef) -> Result<&'static str, Unfit> {
    match text {
        "1" => Ok("1"),
        "0" => Ok("0"),
        // What people write where a database has no booleans.
        _ if text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("t") => Ok("1"),
        _ if text.eq_ignore_ascii_case("false") || text.eq_ignore_ascii_case("f") => Ok("0"),
        _ => Err(Unfit::mismatch(source, column)),
    }
}

fn bits<'a>(source: LogicalType, text: Cow<'a, str>, column: &ColumnDef) -> Result<Cow<'a, str>, Unfit> {
    let text = match source {
        LogicalType::Int => {
            let number: u64 = text
                .parse()
                .map_err(|_| Unfit::new("a negative integer", "has no bits"))?;
            Cow::Owned(format!("{number:b}"))
        }
        _ if text.bytes().all(|byte| matches!(byte, b'0' | b'1')) => text,
        _ => return Err(Unfit::mismatch(source, column)),
    };
    let limit = column.length.and_then(|length| usize::try_from(length).ok());
    match limit {
        Some(limit) if text.trim_start_matches('0').len() > limit => Err(Unfit::new(
            "a bit string",
            format!("is longer than the column's {limit} bits"),
        )),
        _ => Ok(text),
    }
}

/// Databases cut a text's trailing spaces without an error where the rest fits.
fn short_enough<'a>(text: Cow<'a, str>, column: &ColumnDef) -> Result<Cow<'a, str>, Unfit> {
    let Some(limit) = column.length.and_then(|length| usize::try_from(length).ok()) else {
        return Ok(text);
    };
    // Characters are at most as many as bytes.
    if text.len() <= limit || text.chars().count() <= limit {
        return Ok(text);
    }
    // Blanks at the end of a `char` are padding, no data.
    let padded = matches!(column.type_name.as_str(), "char" | "bpchar");
    if padded && text.trim_end_matches(' ').chars().count() <= limit {
        return Ok(Cow::Owned(text.trim_end_matches(' ').to_owned()));
    }
    Err(Unfit::new(
        "a text",
        format!("is longer than the column's {limit} characters"),
    ))
}

#[cfg(test)]
mod tests;
