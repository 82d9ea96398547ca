//! Numbers as SQLite's own texts.

/// Digits and powers of ten up to which SQLite reads a number as exactly the double that is meant: beyond them its last
/// bit may be another.
const DIGITS_EXACT: usize = 15;
const POWER_EXACT: i32 = 22;

/// Whether SQLite, which has integers of 64 bits and doubles only, gives a decimal number back.
pub(super) fn keeps_decimal(text: &str) -> bool {
    match text.parse::<f64>() {
        // No number: a text, which SQLite keeps.
        Err(_) => true,
        Ok(_) if text.parse::<i64>().is_ok() => true,
        Ok(number) => significant(&format!("{number:e}")) == significant(text),
    }
}

fn significant(text: &str) -> String {
    let mantissa = text.split(['e', 'E']).next().unwrap_or(text);
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    digits.trim_start_matches('0').trim_end_matches('0').to_owned()
}

/// An integer, or a number of floating point, which infinity is one of.
///
/// # Errors
/// What the text is not.
pub(super) fn number(text: &str, is_integer: bool) -> Result<String, String> {
    if is_integer {
        let number: i64 = text.parse().map_err(|_| format!("{text:?} is no integer"))?;
        return Ok(number.to_string());
    }
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(exact(number)),
        Ok(number) if number.is_infinite() => Ok(infinity(number)),
        _ => Err(format!("{text:?} is no number")),
    }
}

/// The literal of a number that SQLite would read as another one; `None` where it takes the text as it stands.
pub(super) fn real(text: &str) -> Option<String> {
    match text.parse::<f64>() {
        Ok(number) if number.is_infinite() && text.ends_with("Infinity") => Some(infinity(number)),
        Ok(number) if number.is_finite() && text.parse::<i64>().is_err() && !is_exact(number) => {
            Some(exact(number))
        }
        _ => None,
    }
}

/// A number that is too large.
fn infinity(number: f64) -> String {
    if number > 0.0 { "9e999" } else { "-9e999" }.to_owned()
}

fn is_exact(number: f64) -> bool {
    let text = format!("{number:e}");
    let power: i32 = text
        .split('e')
        .nth(1)
        .and_then(|power| power.parse().ok())
        .unwrap_or(0);
    let digits = significant(&text).len();
    // The power of ten behind the digits as a whole number.
    let power = power - i32::try_from(digits).unwrap_or(0) + 1;
    digits <= DIGITS_EXACT && power.abs() <= POWER_EXACT
}

/// The number in digits, where SQLite reads them well, else as an integer and the powers of two that make it what it is:
/// calculating with those rounds nothing.
fn exact(number: f64) -> String {
    if is_exact(number) {
        let text = format!("{number:?}");
        // A point or an exponent makes it one of floating point.
        return if text.contains(['.', 'e']) {
            text
        } else {
            format!("{text}.0")
        };
    }
    let bits = number.to_bits();
    let stored = i32::try_from(bits >> 52 & 0x7ff).unwrap_or(0);
    let fraction = bits & ((1 << 52) - 1);
    let (mantissa, mut power) = match stored {
        0 => (fraction, -1074),
        _ => (fraction | 1 << 52, stored - 1075),
    };
    let sign = if number < 0.0 { "-" } else { "" };
    let mut text = format!("({sign}cast({mantissa} as real)");
    while power != 0 {
        let step = power.clamp(-60, 60);
        let operator = if step > 0 { '*' } else { '/' };
        text.push_str(&format!(" {operator} {}", 1_u64 << step.abs()));
        power -= step;
    }
    text.push(')');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_of_too_many_digits_are_known() {
        for text in [
            "0.25",
            "-123456789012345.25",
            "9223372036854775807",
            "1e300",
            "1.500",
            "NaN",
            "0",
            "abc",
        ] {
            assert!(keeps_decimal(text), "{text}");
        }
        for text in [
            "1234567890123456.7891",
            "92233720368547758071",
            "0.12345678901234567891",
        ] {
            assert!(!keeps_decimal(text), "{text}");
        }
    }

    #[test]
    fn short_numbers_stay_as_they_are() {
        for (text, want) in [
            ("5", "5.0"),
            ("0.1", "0.1"),
            ("-2.5", "-2.5"),
            ("1e20", "1e20"),
            ("-Infinity", "-9e999"),
        ] {
            assert_eq!(number(text, false).as_deref(), Ok(want));
        }
        assert_eq!(number("-7", true).as_deref(), Ok("-7"));
        assert!(
            number("5; drop", true).is_err() && number("x", false).is_err() && number("NaN", false).is_err()
        );
        assert_eq!(real("0.1"), None);
        assert_eq!(real("abc"), None);
        assert_eq!(real("9007199254740993"), None);
    }

    #[test]
    fn long_numbers_are_calculated_without_rounding() {
        assert_eq!(
            number("0.30000000000000004", false).as_deref(),
            Ok("(cast(5404319552844596 as real) / 18014398509481984)")
        );
        assert_eq!(
            real("-5e-324")
                .as_deref()
                .map(|text| text.starts_with("(-cast(1 as real) / ")),
            Some(true)
        );
    }
}
