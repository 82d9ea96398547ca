//! When the nightly synchronisation is due.

use time::{Duration, OffsetDateTime, PrimitiveDateTime, Time};

/// Knows up to when synchronisations were done.
#[derive(Debug, Clone, Copy)]
pub(super) struct Nightly {
    /// By the clock on the wall.
    done: PrimitiveDateTime,
}

impl Nightly {
    /// Counts from `now`, which is in local time.
    pub(super) fn from(now: OffsetDateTime) -> Self {
        Self { done: wall(now) }
    }

    /// Whether `minute` of the day (0: midnight) has come since the last synchronisation, however long that is ago.
    pub(super) fn is_due(&self, now: OffsetDateTime, minute: u32) -> bool {
        let now = wall(now);
        let today = PrimitiveDateTime::new(now.date(), Time::MIDNIGHT) + Duration::minutes(minute.into());
        let newest = if today <= now {
            today
        } else {
            today - Duration::days(1)
        };
        self.done < newest
    }

    /// Notes that the synchronisation of `now` is done.
    pub(super) fn is_done(&mut self, now: OffsetDateTime) {
        self.done = wall(now);
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
        let mut comes = |now, minute| {
            let is_due = nightly.is_due(now, minute);
            assert_eq!(nightly.is_due(now, minute), is_due, "until it is done");
            nightly.is_done(now);
            is_due
        };
        assert!(!comes(datetime!(2026-03-01 23:59:59 +2), 0));
        assert!(comes(datetime!(2026-03-02 00:00:02 +2), 0));
        assert!(!comes(datetime!(2026-03-02 00:00:05 +2), 0));
        assert!(!comes(datetime!(2026-03-02 02:29 +2), 150));
        assert!(comes(datetime!(2026-03-02 02:30 +2), 150));
        assert!(!comes(datetime!(2026-03-02 23:59 +2), 150));
        assert!(comes(datetime!(2026-03-05 01:00 +2), 150), "it slept");
        assert!(!comes(datetime!(2026-03-05 01:01 +2), 150));
    }
}
