//! Whether two keys name one row, wherever they come from.

use crate::dialect::Dialect;
use crate::target::TargetColumn;
use symstream_shared::cell::Cell;
use symstream_shared::db::Param;
use symstream_shared::logical::LogicalType;

/// A key as the target's columns hold it: equal texts name one row. A source may write a value in another way than this
/// database does, as `1.50` or with more zeros behind the second.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct KeyText(Vec<String>);

impl KeyText {
    /// The key of a row; `None` where a column can not hold a value, so that no row has it.
    pub(crate) fn of<'a>(
        dialect: &dyn Dialect,
        key: impl Iterator<Item = (&'a TargetColumn, &'a Cell)>,
    ) -> Option<Self> {
        key.map(|(column, cell)| Some(text(column, dialect.param(column, cell).ok()?)))
            .collect::<Option<Vec<String>>>()
            .map(Self)
    }
}

/// The first letter keeps a text from being taken for a number.
fn text(column: &TargetColumn, param: Param) -> String {
    match param {
        Param::Null => "-".to_owned(),
        Param::Int(number) => format!("n{number}"),
        Param::Real(number) => real(number),
        Param::Bytes(bytes) => format!("b{bytes:02x?}"),
        Param::Text(text) => of_type(column, &text),
        // No dialect makes these of one value.
        other => format!("o{other:?}"),
    }
}

fn of_type(column: &TargetColumn, text: &str) -> String {
    use LogicalType as L;
    match column.def.logical {
        L::Int | L::Decimal => format!("n{}", shortest(text)),
        L::Float32 | L::Float64 => text
            .parse()
            .map_or_else(|_| format!("t{text}"), |number: f64| real(number)),
        L::Date | L::Time | L::TimeTz | L::Timestamp | L::TimestampTz => format!("t{}", moment(text)),
        L::Uuid => format!("t{}", text.to_ascii_lowercase()),
        // Blanks at its end are padding.
        L::Text if matches!(column.def.type_name.as_str(), "char" | "bpchar") => {
            format!("t{}", text.trim_end_matches(' '))
        }
        _ => format!("t{text}"),
    }
}

fn real(number: f64) -> String {
    // -0 is 0 to every index.
    let number = if number == 0.0 { 0.0 } else { number };
    let text = number.to_string();
    format!("n{}", shortest(&text))
}

/// A decimal number without zeros that say nothing.
fn shortest(text: &str) -> String {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if !plain {
        return text.to_owned();
    }
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
    match (whole, fraction) {
        ("", "") => "0".to_owned(),
        (whole, "") => format!("{sign}{whole}"),
        ("", fraction) => format!("{sign}0.{fraction}"),
        (whole, fraction) => format!("{sign}{whole}.{fraction}"),
    }
}

/// A moment without zeros at the end of its seconds.
fn moment(text: &str) -> String {
    let Some((before, rest)) = text.split_once('.') else {
        return text.to_owned();
    };
    let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (fraction, zone) = rest.split_at(digits);
    match fraction.trim_end_matches('0') {
        "" => format!("{before}{zone}"),
        fraction => format!("{before}.{fraction}{zone}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_says_nothing_is_no_difference() {
        for (text, short) in [
            ("1.50", "1.5"),
            ("0042", "42"),
            ("-0.0", "0"),
            ("-.50", "-0.5"),
            ("100", "100"),
            ("NaN", "NaN"),
            ("", ""),
        ] {
            assert_eq!(shortest(text), short);
        }
        assert_eq!(real(5.0), "n5");
        assert_eq!(real(-0.0), "n0");
        assert_eq!(moment("2024-11-22 01:01:01.1200+00"), "2024-11-22 01:01:01.12+00");
        assert_eq!(moment("2024-11-22 01:01:01.000"), "2024-11-22 01:01:01");
        assert_eq!(moment("01:01:01+02:30"), "01:01:01+02:30");
    }
}
