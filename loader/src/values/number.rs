//! Numbers as text: compared and checked digit by digit, never through a floating-point number.

use super::Unfit;
use std::borrow::Cow;
use symstream_shared::catalog::ColumnDef;
use symstream_shared::logical::LogicalType;

/// Exponents beyond these are no numbers that any database holds.
const EXPONENT_MAX: i64 = 20_000;

/// A number: `digits` times ten to the power of `exponent`. Zero has no digits; digits neither begin nor end
/// with a zero, so equal numbers are equal here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Number {
    negative: bool,
    digits: String,
    exponent: i64,
}

impl Number {
    /// Reads `-12.30`, `+5`, `.5`, `1e-7`; `None` for anything else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (negative, rest) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let (mantissa, exponent) = match rest.find(['e', 'E']) {
            Some(at) => (&rest[..at], rest[at + 1..].parse::<i64>().ok()?),
            None => (rest, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let numeric = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() && fraction.is_empty() || !numeric(whole) || !numeric(fraction) {
            return None;
        }
        if exponent.abs() > EXPONENT_MAX {
            return None;
        }
        let all = format!("{whole}{fraction}");
        let digits = all.trim_start_matches('0');
        let trimmed = digits.trim_end_matches('0');
        if trimmed.is_empty() {
            return Some(Self {
                negative: false,
                digits: String::new(),
                exponent: 0,
            });
        }
        let cut = digits.len() - trimmed.len();
        Some(Self {
            negative,
            digits: trimmed.to_owned(),
            exponent: exponent - i64::try_from(fraction.len()).ok()? + i64::try_from(cut).ok()?,
        })
    }

    /// Whether it has no digits behind the point.
    pub(crate) fn is_whole(&self) -> bool {
        self.exponent >= 0
    }

    /// Whether it is a whole number and `other` is the same, digit by digit.
    fn is_exactly(&self, other: f64) -> bool {
        // Whole doubles are printed with all their digits.
        self.is_whole() && other.fract() == 0.0 && self.plain() == format!("{other:.0}")
    }

    /// How many digits stand before the point; negative for zeros right behind it.
    fn whole_digits(&self) -> i64 {
        i64::try_from(self.digits.len()).unwrap_or(i64::MAX) + self.exponent
    }

    /// The number without an exponent.
    pub(crate) fn plain(&self) -> String {
        let sign = if self.negative { "-" } else { "" };
        if self.digits.is_empty() {
            return "0".to_owned();
        }
        if self.exponent >= 0 {
            let zeros = usize::try_from(self.exponent).unwrap_or(0);
            return format!("{sign}{}{}", self.digits, "0".repeat(zeros));
        }
        let fraction = usize::try_from(-self.exponent).unwrap_or(0);
        match self.digits.len().checked_sub(fraction) {
            Some(whole) if whole > 0 => format!("{sign}{}.{}", &self.digits[..whole], &self.digits[whole..]),
            _ => format!(
                "{sign}0.{}{}",
                "0".repeat(fraction - self.digits.len()),
                self.digits
            ),
        }
    }
}

/// The canonical text of a floating-point number.
pub(crate) fn float_text(number: f64) -> String {
    if number.is_nan() {
        "NaN".to_owned()
    } else if number.is_infinite() {
        if number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned()
    } else {
        format!("{number:?}")
    }
}

fn is_special(text: &str) -> bool {
    matches!(text, "NaN" | "Infinity" | "-Infinity")
}

/// The double that is this number; `None` where there is none, so where digits would be lost. A fraction is
/// the double whose shortest text it is.
pub(crate) fn double_from_text(text: &str) -> Option<f64> {
    let wanted = Number::parse(text)?;
    let number: f64 = text.parse().ok()?;
    let same = || Number::parse(&format!("{number:e}")).as_ref() == Some(&wanted);
    (number.is_finite() && (same() || wanted.is_exactly(number))).then_some(number)
}

/// The same for a number of four bytes.
fn single_from_text(text: &str) -> Option<f32> {
    let wanted = Number::parse(text)?;
    let number: f32 = text.parse().ok()?;
    let same = || Number::parse(&format!("{number:e}")).as_ref() == Some(&wanted);
    (number.is_finite() && (same() || wanted.is_exactly(f64::from(number)))).then_some(number)
}

/// Whether a number of eight bytes is one of four exactly.
#[allow(clippy::cast_possible_truncation)] // Whether anything was lost is what is asked.
fn is_single(number: f64) -> bool {
    f64::from(number as f32).to_bits() == number.to_bits()
}

/// A bit string as the number that it is in binary.
pub(super) fn from_bits(text: &str) -> Result<u64, Unfit> {
    let digits = text.trim_start_matches('0');
    if digits.is_empty() {
        return Ok(0);
    }
    u64::from_str_radix(digits, 2).map_err(|_| Unfit::new("a bit string", "is longer than 64 bits"))
}

pub(super) fn whole<'a>(
    source: LogicalType,
    text: Cow<'a, str>,
    column: &ColumnDef,
) -> Result<Cow<'a, str>, Unfit> {
    let digits = text.strip_prefix('-').unwrap_or(&text);
    if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(text);
    }
    match Number::parse(&text) {
        Some(number) if number.is_whole() => Ok(Cow::Owned(number.plain())),
        Some(_) => Err(Unfit::new(
            "a number with digits behind the point",
            "does not fit into an integer",
        )),
        None => Err(Unfit::mismatch(source, column)),
    }
}

pub(super) fn decimal<'a>(
    source: LogicalType,
    text: Cow<'a, str>,
    column: &ColumnDef,
) -> Result<Cow<'a, str>, Unfit> {
    if is_special(&text) {
        return Ok(text);
    }
    let number = Number::parse(&text).ok_or_else(|| Unfit::mismatch(source, column))?;
    if let Some(precision) = column.precision.filter(|_| !number.digits.is_empty()) {
        let scale = column.scale.unwrap_or(0);
        if -number.exponent > scale {
            return Err(Unfit::new(
                "a number",
                format!("has more than the column's {scale} digits behind the point"),
            ));
        }
        if number.whole_digits() > precision - scale {
            return Err(Unfit::new(
                "a number",
                format!(
                    "has more than the column's {} digits before the point",
                    precision - scale
                ),
            ));
        }
    }
    if text.bytes().any(|byte| matches!(byte, b'e' | b'E' | b'+')) {
        return Ok(Cow::Owned(number.plain()));
    }
    Ok(text)
}

pub(super) fn double<'a>(
    source: LogicalType,
    text: Cow<'a, str>,
    column: &ColumnDef,
) -> Result<Cow<'a, str>, Unfit> {
    match source {
        // What was written as 0.1 stays 0.1: the double of the same short text reads back as the same four bytes.
        LogicalType::Float64 | LogicalType::Float32 => Ok(text),
        _ if is_special(&text) => Ok(text),
        _ if Number::parse(&text).is_none() => Err(Unfit::mismatch(source, column)),
        _ => match double_from_text(&text) {
            Some(_) => Ok(text),
            None => Err(Unfit::new(
                "a number",
                "has more digits than a floating-point number of eight bytes",
            )),
        },
    }
}

pub(super) fn single<'a>(
    source: LogicalType,
    text: Cow<'a, str>,
    column: &ColumnDef,
) -> Result<Cow<'a, str>, Unfit> {
    let too_long = || {
        Unfit::new(
            "a number",
            "has more digits than a floating-point number of four bytes",
        )
    };
    match source {
        LogicalType::Float32 => Ok(text),
        _ if is_special(&text) => Ok(text),
        _ if Number::parse(&text).is_none() => Err(Unfit::mismatch(source, column)),
        LogicalType::Float64 if text.parse().is_ok_and(is_single) => Ok(text),
        _ => single_from_text(&text).map(|_| text).ok_or_else(too_long),
    }
}
