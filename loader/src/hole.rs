//! Lanes that wait for a message which does not come.
//!
//! What a lane misses may be in the database already: another loader was active and went on after this one had
//! read the lanes. So a hole is looked at again from the database on, with growing pauses. [`Holes`] outlive
//! the rounds that these looks end.

use std::collections::HashMap;
use std::time::Duration;
use symstream_shared::id::NodeId;
use symstream_shared::retry::Backoff;
use tokio::time::Instant;

const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// A large batch may be on its way; that something of it is missing is said later than that all of it is.
const LOOKS_FOR_A_REST: u32 = 5;

/// What a lane waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hole {
    /// The batch.
    pub batch_id: i64,
    /// How many of its messages have come; 0 when nothing of it has.
    pub messages: u32,
}

/// The holes of one channel's lanes.
#[derive(Debug, Default)]
pub(crate) struct Holes {
    known: HashMap<NodeId, Known>,
}

#[derive(Debug)]
struct Known {
    hole: Hole,
    /// How many rounds have begun with it.
    looks: u32,
    next_look: Instant,
}

impl Known {
    fn new(hole: Hole, looks: u32, now: Instant) -> Self {
        Self {
            hole,
            looks,
            next_look: now + Backoff::pause_after(PAUSE, PAUSE_MAX, looks),
        }
    }
}

impl Holes {
    /// A round begins, with these holes by what the database says. Returns those that are to be told now.
    pub(crate) fn begin<'a>(
        &mut self,
        holes: impl Iterator<Item = (&'a NodeId, Hole)>,
        now: Instant,
    ) -> Vec<(&'a NodeId, Hole)> {
        let before = std::mem::take(&mut self.known);
        let mut told = Vec::new();
        for (source, hole) in holes {
            let looks = before
                .get(source)
                .filter(|known| known.hole == hole)
                .map_or(0, |known| known.looks.saturating_add(1));
            let tell_at = if hole.messages == 0 { 1 } else { LOOKS_FOR_A_REST };
            if looks == tell_at {
                told.push((source, hole));
            }
            self.known.insert(source.clone(), Known::new(hole, looks, now));
        }
        told
    }

    /// A lane has this hole now, or none.
    pub(crate) fn see(&mut self, source: &NodeId, hole: Option<Hole>, now: Instant) {
        match hole {
            Some(hole) if self.known.get(source).is_some_and(|known| known.hole == hole) => {}
            Some(hole) => {
                self.known.insert(source.clone(), Known::new(hole, 0, now));
            }
            None => {
                self.known.remove(source);
            }
        }
    }

    /// When the database is to be asked again.
    pub(crate) fn next_look(&self) -> Option<Instant> {
        self.known.values().map(|known| known.next_look).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hole(batch_id: i64) -> Hole {
        Hole {
            batch_id,
            messages: 0,
        }
    }

    #[test]
    fn a_hole_is_told_once_and_looked_at_with_growing_pauses() {
        let source = NodeId::new("cloud").expect("id");
        let start = Instant::now();
        let mut holes = Holes::default();
        assert_eq!(holes.next_look(), None);

        holes.see(&source, Some(hole(5)), start);
        let mut told = 0;
        for seconds in [1, 2, 4, 8, 16, 30, 30] {
            let pause = holes.next_look().expect("a look") - start;
            assert!(pause <= Duration::from_secs(seconds), "{pause:?} of {seconds}");
            assert!(
                pause >= Duration::from_secs(seconds) * 3 / 4,
                "{pause:?} of {seconds}"
            );
            // What arrives behind it changes nothing.
            holes.see(&source, Some(hole(5)), start + pause);
            told += holes.begin([(&source, hole(5))].into_iter(), start).len();
        }
        assert_eq!(told, 1);

        holes.see(&source, Some(hole(7)), start);
        assert!(holes.next_look().is_some_and(|look| look <= start + PAUSE));
        holes.see(&source, None, start);
        assert_eq!(holes.next_look(), None);
    }

    #[test]
    fn a_new_round_forgets_holes_that_are_filled() {
        let source = NodeId::new("cloud").expect("id");
        let mut holes = Holes::default();
        holes.see(&source, Some(hole(5)), Instant::now());
        assert!(holes.begin(std::iter::empty(), Instant::now()).is_empty());
        assert_eq!(holes.next_look(), None);
    }
}
