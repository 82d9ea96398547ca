//! Values of parameters as people write them.

use std::time::Duration;

/// The unit of a duration that is written as a bare number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// `ms`
    Milliseconds,
    /// `s`
    Seconds,
}

impl Unit {
    /// The unit's short name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Milliseconds => "ms",
            Self::Seconds => "s",
        }
    }
}

/// The suffixes of durations with their milliseconds, the longest unit first.
const SUFFIXES: [(&str, u64); 5] = [
    ("d", 24 * 3600 * 1000),
    ("h", 3600 * 1000),
    ("m", 60 * 1000),
    ("s", 1000),
    ("ms", 1),
];

/// Reads `500ms`, `10s`, `5m`, `12h`, `7d`, or a bare number of `unit`; `None` for anything else.
pub(super) fn duration(text: &str, unit: Unit) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, suffix) = text.split_at(digits);
    let suffix = match suffix.trim_start() {
        "" => unit.as_str(),
        given => given,
    };
    let (_, millis) = SUFFIXES.iter().find(|(name, _)| *name == suffix)?;
    let millis = number.parse::<u64>().ok()?.checked_mul(*millis)?;
    Some(Duration::from_millis(millis))
}

/// Writes a duration in the longest unit of which it is a whole number.
pub(super) fn duration_text(duration: Duration) -> String {
    let millis = duration.as_millis();
    let whole = |(_, unit): &&(&str, u64)| millis.is_multiple_of(u128::from(*unit));
    match SUFFIXES.iter().find(whole) {
        Some((suffix, unit)) if millis > 0 => format!("{}{suffix}", millis / u128::from(*unit)),
        _ => format!("{millis}"),
    }
}

/// Reads a time of day, `HH:MM`, as minutes after midnight.
pub(super) fn time_of_day(text: &str) -> Option<u32> {
    let (hour, minute) = text.split_once(':')?;
    let part = |part: &str, below: u32| -> Option<u32> {
        let is_number = (1..=2).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
        let number: u32 = part.parse().ok()?;
        (is_number && number < below).then_some(number)
    };
    Some(part(hour, 24)? * 60 + part(minute, 60)?)
}

/// Writes minutes after midnight as `HH:MM`.
pub(super) fn time_of_day_text(minutes: u32) -> String {
    format!("{:02}:{:02}", minutes / 60, minutes % 60)
}

/// A yes or no; `None` when it is neither.
pub(super) fn flag(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}
