//! How our triggers write the values of SQLite: each as what it is, so that the column's type says nothing.

use super::hex;
use crate::captured::ValueError;
use crate::cell::Cell;
use crate::csv::Field;
use crate::logical::LogicalType;

/// One captured field as a cell.
pub(super) fn cell(field: Field, _logical: LogicalType) -> Result<Cell, ValueError> {
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
        return real(text).map(Cell::Real);
    }
    text.parse().map(Cell::Int).map_err(|_| ValueError("no integer"))
}

/// A number, or a number, `p` and the power of two that it has to be multiplied by.
fn real(text: &str) -> Result<f64, ValueError> {
    const WRONG: ValueError = ValueError("no number");
    let (number, power) = text.split_once('p').unwrap_or((text, "0"));
    let number: f64 = number.parse().map_err(|_| WRONG)?;
    let power: i32 = power.parse().map_err(|_| WRONG)?;
    if power % 256 != 0 || !(-1024..=1024).contains(&power) {
        return Err(WRONG);
    }
    // In two steps: two to the power of 1024 is no number.
    let half = 2_f64.powi(power / 2);
    Ok(number * half * half)
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
        assert_eq!(decoded("9.0e+999p1024"), Cell::Real(f64::INFINITY));
        assert_eq!(decoded("1.5p-256"), Cell::Real(1.5 / 2_f64.powi(256)));
        assert_eq!(decoded("0.5p1024"), Cell::Real(2_f64.powi(1023)));
        assert_eq!(decoded("8.8817841970012523e-16p-1024"), Cell::Real(5e-324));
        assert_eq!(decoded("X'00FF'"), Cell::Bytes(vec![0, 255]));
        let text = cell(Field::Quoted("5".into()), LogicalType::Int);
        assert_eq!(text, Ok(Cell::Text("5".into())));
    }

    #[test]
    fn what_is_no_value_is_an_error() {
        for text in [
            "X'0",
            "x",
            "1.5.6",
            "9223372036854775808",
            "1.5p",
            "1.5p1280",
            "1.5p1",
        ] {
            assert!(
                cell(Field::Bare(text.to_owned()), LogicalType::Any).is_err(),
                "{text}"
            );
        }
    }
}
