//! How our triggers write the values of MySQL and MariaDB.

use super::hex;
use crate::captured::ValueError;
use crate::cell::Cell;
use crate::csv::Field;
use crate::logical::LogicalType;

/// One captured field as a cell.
pub(super) fn cell(field: Field, logical: LogicalType) -> Result<Cell, ValueError> {
    let bare = matches!(field, Field::Bare(_));
    let Some(text) = field.into_text() else {
        return Ok(Cell::Null);
    };
    match logical {
        // A long text with quotes in it: all others stand in quotes.
        LogicalType::Text | LogicalType::Json | LogicalType::Enum | LogicalType::Other if bare => {
            String::from_utf8(hex(&text)?)
                .map(Cell::Text)
                .map_err(|_| ValueError("no UTF-8"))
        }
        LogicalType::Bytes => hex(&text).map(Cell::Bytes),
        LogicalType::Int => integer(&text).map(Cell::Text),
        LogicalType::Float32 => single(&text).map(Cell::Text),
        LogicalType::TimestampTz => moment(&text).map(Cell::Text),
        _ => Ok(Cell::Text(text)),
    }
}

/// `zerofill` and years are written with leading zeros.
fn integer(text: &str) -> Result<String, ValueError> {
    let (sign, digits) = text.strip_prefix('-').map_or(("", text), |digits| ("-", digits));
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(ValueError("no integer"));
    }
    let digits = digits.trim_start_matches('0');
    Ok(if digits.is_empty() {
        "0".to_owned()
    } else {
        format!("{sign}{digits}")
    })
}

/// Written as the double that it is equal to.
fn single(text: &str) -> Result<String, ValueError> {
    let number: f64 = text.parse().map_err(|_| ValueError("no number"))?;
    #[allow(clippy::cast_possible_truncation)] // It was a single before the trigger made it a double.
    let number = number as f32;
    Ok(if number == 0.0 || (1e-4..1e15).contains(&number.abs()) {
        number.to_string()
    } else {
        format!("{number:e}")
    })
}

/// Written as seconds since 1970; 0 is the zero date, which is no moment.
fn moment(text: &str) -> Result<String, ValueError> {
    let (seconds, fraction) = text
        .split_once('.')
        .map_or((text, ""), |(seconds, fraction)| (seconds, fraction));
    let seconds: i64 = seconds.parse().map_err(|_| ValueError("no number of seconds"))?;
    if !fraction.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(ValueError("no fraction of a second"));
    }
    let fraction = if fraction.is_empty() {
        String::new()
    } else {
        format!(".{fraction}")
    };
    if seconds == 0 && fraction.trim_matches(['.', '0']).is_empty() {
        return Ok(format!("0000-00-00 00:00:00{fraction}+00"));
    }
    let (day, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = date(day);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    Ok(format!(
        "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}{fraction}+00"
    ))
}

/// The Gregorian date of a day counted from 1970-01-01, reckoned in eras of 400 years that begin in March:
/// <https://howardhinnant.github.io/date_algorithms.html#civil_from_days>
fn date(day: i64) -> (i64, i64, i64) {
    let day = day + 719_468;
    let era = day.div_euclid(146_097);
    let day_of_era = day.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_in_utc() {
        assert_eq!(moment("1").expect("moment"), "1970-01-01 00:00:01+00");
        assert_eq!(
            moment("1732237261.007").expect("moment"),
            "2024-11-22 01:01:01.007+00"
        );
        assert_eq!(
            moment("2147483647.999999").expect("moment"),
            "2038-01-19 03:14:07.999999+00"
        );
        assert_eq!(moment("951782400").expect("moment"), "2000-02-29 00:00:00+00");
        assert_eq!(moment("0.000").expect("moment"), "0000-00-00 00:00:00.000+00");
        assert!(moment("x").is_err());
    }

    #[test]
    fn a_single_is_as_short_as_it_can_be() {
        assert_eq!(single("0.10000000149011612").expect("number"), "0.1");
        assert_eq!(single("3.4028234663852886e38").expect("number"), "3.4028235e38");
        assert_eq!(single("-0").expect("number"), "-0");
    }

    #[test]
    fn leading_zeros_are_none_of_the_number() {
        assert_eq!(integer("0042").expect("number"), "42");
        assert_eq!(integer("0000").expect("number"), "0");
        assert_eq!(integer("-7").expect("number"), "-7");
        assert!(integer("").is_err());
        assert!(integer("1.5").is_err());
    }
}
