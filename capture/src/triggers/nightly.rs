//! When the nightly synchronisation is due.

use time::{Duration, OffsetDateTime, PrimitiveDateTime, Time};

/// Knows up to when it was asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Nightly {
    /// By the clock on the wall.
    asked: PrimitiveDateTime,
}

impl Nightly {
    /// Counts from `now`, which is in local time.
    pub(super) fn from(now: OffsetDateTime) -> Self {
        Self { asked: wall(now) }
    }

    /// Whether `minute` of the day (0: midnight) has come since it was asked last. Once, however long that is ago.
    pub(super) fn is_due(&mut self, now: OffsetDateTime, minute: u32) -> bool {
        let now = wall(now);
        let asked = std::mem::replace(&mut self.asked, now);
        let today = PrimitiveDateTime::new(now.date(), Time::MIDNIGHT) + Duration::minutes(minute.into());
        let newest = if today <= now {
            today
        } else {
            today - Duration::days(1)
        };
        asked < newest
    }
}

fn wall(now: OffsetDateTime) -> PrimitiveDateTime {
    PrimitiveDateTime::new(now.date(), now.time())
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn a_night_comes_once() {
        let mut nightly = Nightly::from(datetime!(2026-03-01 23:00 +2));
        assert!(!nightly.is_due(datetime!(2026-03-01 23:59:59 +2), 0));
        assert!(nightly.is_due(datetime!(2026-03-02 00:00:02 +2), 0));
        assert!(!nightly.is_due(datetime!(2026-03-02 00:00:05 +2), 0));
        assert!(!nightly.is_due(datetime!(2026-03-02 02:29 +2), 150));
        assert!(nightly.is_due(datetime!(2026-03-02 02:30 +2), 150));
        assert!(!nightly.is_due(datetime!(2026-03-02 23:59 +2), 150));
        assert!(nightly.is_due(datetime!(2026-03-05 01:00 +2), 150), "it slept");
        assert!(!nightly.is_due(datetime!(2026-03-05 01:01 +2), 150));
    }
}
