//! Tables that were in use when their triggers had to be changed.

use super::hist::Place;
use std::collections::HashMap;
use std::time::{Duration, Instant};
use symstream_shared::retry::Backoff;

const PAUSE_FIRST: Duration = Duration::from_secs(2);
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Whoever waits for a table's lock makes everybody wait who comes later. So a table that is in use, by a long
/// transaction mostly, is left alone for a while, and longer each time.
#[derive(Debug, Default)]
pub(crate) struct BusyTables {
    pauses: HashMap<Place, Pause>,
}

#[derive(Debug)]
struct Pause {
    backoff: Backoff,
    until: Instant,
    message: String,
}

impl BusyTables {
    /// Notes that the table was in use; `message` says so to the operator.
    pub(super) fn found(&mut self, table: &Place, message: &str, now: Instant) {
        let pause = self.pauses.entry(table.clone()).or_insert_with(|| Pause {
            backoff: Backoff::new(PAUSE_FIRST, PAUSE_MAX),
            until: now,
            message: String::new(),
        });
        pause.until = now + pause.backoff.next_pause();
        message.clone_into(&mut pause.message);
    }

    /// What was said when the table was found in use, as long as it is left alone.
    pub(super) fn pausing(&self, table: &Place, now: Instant) -> Option<&str> {
        let pause = self.pauses.get(table)?;
        (now < pause.until).then_some(pause.message.as_str())
    }

    /// Notes that nothing is left to be done at the table.
    pub(super) fn is_done(&mut self, table: &Place) {
        self.pauses.remove(table);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_table_is_left_alone_longer_each_time() {
        let place = |table: &str| Place {
            schema: None,
            table: table.to_owned(),
        };
        let (items, others) = (place("items"), place("others"));
        let mut busy = BusyTables::default();
        let now = Instant::now();
        assert_eq!(busy.pausing(&items, now), None);
        busy.found(&items, "in use", now);
        assert_eq!(busy.pausing(&items, now), Some("in use"));
        assert_eq!(busy.pausing(&others, now), None);
        assert_eq!(busy.pausing(&items, now + PAUSE_FIRST), None);
        for _ in 0..8 {
            busy.found(&items, "still in use", now);
        }
        assert_eq!(busy.pausing(&items, now + PAUSE_MAX / 2), Some("still in use"));
        assert_eq!(busy.pausing(&items, now + PAUSE_MAX), None);
        busy.is_done(&items);
        assert_eq!(busy.pausing(&items, now), None);
    }
}
