//! Dates and times.

use super::Unfit;
use std::borrow::Cow;
use symstream_shared::catalog::ColumnDef;
use symstream_shared::logical::LogicalType;

/// Digits of the seconds' fraction where the catalog names no limit.
const FRACTION_DIGITS: i64 = 6;

/// The pieces of a date, a time or both.
#[derive(Debug, Default, PartialEq, Eq)]
struct Moment<'a> {
    date: Option<&'a str>,
    time: Option<&'a str>,
    zone: Option<&'a str>,
    before_christ: bool,
}

impl<'a> Moment<'a> {
    /// Reads the canonical forms, and ISO 8601 as SQLite's users write it.
    fn parse(text: &'a str) -> Option<Self> {
        let (text, before_christ) = match text.strip_suffix(" BC") {
            Some(text) => (text, true),
            None => (text, false),
        };
        let (date, rest) = match text.split_once([' ', 'T']) {
            Some((date, rest)) => (Some(date), Some(rest)),
            None if text.contains(':') => (None, Some(text)),
            None => (Some(text), None),
        };
        if date.is_some_and(|date| !is_date(date)) {
            return None;
        }
        let (time, zone) = match rest {
            Some(rest) => {
                // A leading minus belongs to MySQL's negative times.
                let at = rest.get(1..)?.find(['+', '-', 'Z']).map(|at| at + 1);
                let (time, zone) = at.map_or((rest, None), |at| (&rest[..at], Some(&rest[at..])));
                if !is_time(time) || zone.is_some_and(|zone| !is_zone(zone)) {
                    return None;
                }
                (Some(time), zone)
            }
            None => (None, None),
        };
        Some(Self {
            date,
            time,
            zone,
            before_christ,
        })
    }

    fn in_utc(&self) -> bool {
        self.zone.is_none_or(|zone| {
            zone == "Z" || zone.bytes().all(|byte| matches!(byte, b'+' | b'-' | b':' | b'0'))
        })
    }

    fn at_midnight(&self) -> bool {
        self.time
            .is_none_or(|time| time.bytes().all(|byte| matches!(byte, b'0' | b':' | b'.')))
    }

    fn fraction_digits(&self) -> usize {
        self.time
            .and_then(|time| time.split_once('.'))
            .map_or(0, |(_, fraction)| fraction.trim_end_matches('0').len())
    }
}

fn is_date(text: &str) -> bool {
    let mut parts = text.split('-');
    let mut digits = |from: usize, to: usize| {
        parts.next().is_some_and(|part| {
            (from..=to).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
        })
    };
    digits(4, 7) && digits(2, 2) && digits(2, 2) && parts.next().is_none()
}

fn is_time(text: &str) -> bool {
    let text = text.strip_prefix('-').unwrap_or(text);
    text.contains(':')
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || matches!(byte, b':' | b'.'))
}

fn is_zone(text: &str) -> bool {
    text == "Z"
        || text[1..]
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b':')
}

/// Whether a date has a month or a day zero: MySQL's `0000-00-00` and its kin.
pub(crate) fn has_zero_date(text: &str) -> bool {
    Moment::parse(text)
        .and_then(|moment| moment.date)
        .is_some_and(|date| date.starts_with("0000") || date.split('-').skip(1).any(|part| part == "00"))
}

/// Whether a time of day is one: MySQL's may be negative or have hundreds of hours.
pub(crate) fn is_within_a_day(text: &str) -> bool {
    let hours = text.split(':').next().and_then(|hours| hours.parse::<i64>().ok());
    !text.starts_with('-') && hours.is_some_and(|hours| (0..=24).contains(&hours))
}

pub(super) fn fit<'a>(source: LogicalType, text: &str, column: &ColumnDef) -> Result<Cow<'a, str>, Unfit> {
    use LogicalType as L;
    if matches!(text, "infinity" | "-infinity") && !matches!(column.logical, L::Time | L::TimeTz) {
        return Ok(Cow::Owned(text.to_owned()));
    }
    let moment = Moment::parse(text).ok_or_else(|| Unfit::mismatch(source, column))?;
    let limit = column.precision.unwrap_or(FRACTION_DIGITS);
    if column.logical != L::Date && i64::try_from(moment.fraction_digits()).unwrap_or(i64::MAX) > limit {
        return Err(Unfit::new(
            "a time",
            format!("has more than the column's {limit} digits behind the second"),
        ));
    }
    let mismatch = || Unfit::mismatch(source, column);
    let zone_lost = || {
        Unfit::new(
            "a time with a time zone",
            "does not fit into a column without one",
        )
    };
    let era = if moment.before_christ { " BC" } else { "" };
    let fitted = match column.logical {
        L::Date => {
            let date = moment.date.ok_or_else(mismatch)?;
            if !moment.at_midnight() || !moment.in_utc() {
                return Err(Unfit::new("a time of day", "does not fit into a date"));
            }
            format!("{date}{era}")
        }
        L::Timestamp => {
            let date = moment.date.ok_or_else(mismatch)?;
            if !moment.in_utc() {
                return Err(zone_lost());
            }
            format!("{date} {}{era}", moment.time.unwrap_or("00:00:00"))
        }
        L::TimestampTz => {
            let date = moment.date.ok_or_else(mismatch)?;
            let zone = if moment.in_utc() {
                "+00"
            } else {
                moment.zone.unwrap_or("+00")
            };
            format!("{date} {}{zone}{era}", moment.time.unwrap_or("00:00:00"))
        }
        L::Time | L::TimeTz => {
            let time = moment
                .time
                .filter(|_| moment.date.is_none())
                .ok_or_else(mismatch)?;
            match column.logical {
                L::Time if !moment.in_utc() => return Err(zone_lost()),
                L::Time => time.to_owned(),
                _ => format!(
                    "{time}{}",
                    moment.zone.filter(|zone| *zone != "Z").unwrap_or("+00")
                ),
            }
        }
        _ => return Err(mismatch()),
    };
    Ok(Cow::Owned(fitted))
}
