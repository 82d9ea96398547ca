//! The time as the host's clock on the wall shows it.

use time::{OffsetDateTime, UtcOffset};

/// Now, in the host's time zone (`TZ`, else `/etc/localtime`); in UTC where it has none.
pub(crate) fn now() -> OffsetDateTime {
    let now = OffsetDateTime::now_utc();
    UtcOffset::local_offset_at(now).map_or(now, |offset| now.to_offset(offset))
}

/// An offset as RFC 822 writes it, with a colon: `+01:00`.
pub(crate) fn offset_text(offset: UtcOffset) -> String {
    let (hours, minutes, _) = offset.as_hms();
    let sign = if offset.is_negative() { '-' } else { '+' };
    format!("{sign}{:02}:{:02}", hours.unsigned_abs(), minutes.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_have_a_sign_and_two_digits_each() {
        for (seconds, text) in [
            (0, "+00:00"),
            (3600, "+01:00"),
            (-12_600, "-03:30"),
            (-1800, "-00:30"),
            (20_700, "+05:45"),
        ] {
            let offset = UtcOffset::from_whole_seconds(seconds).expect("offset");
            assert_eq!(offset_text(offset), text);
        }
    }
}
