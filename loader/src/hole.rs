//! Lanes that wait for a message which does not come.
//!
//! What a lane misses may be in the database already: another loader was active and went on after this one had
//! read the lanes. So a hole is looked at again from the database on, with growing pauses. [`Holes`] outlive
//! the rounds that these looks end.

use crate::intake::Supply;
use std::collections::HashMap;
use std::time::Duration;
use symstream_shared::id::NodeId;
use symstream_shared::retry::Backoff;
use tokio::time::Instant;

const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// A large batch may be on its way; that something of it is missing is said later than that all of it is.
const LOOKS_FOR_A_REST: u32 = 5;
/// What is missing may stand far behind in what is still to be taken, when a link was changed from one kind to the
/// other; a minute is long enough even where there is always more.
const LOOKS_WHILE_FLOWING: u32 = 6;
/// What does not come for so long, while the stream has nothing more, never comes.
const LASTS_AFTER: Duration = Duration::from_secs(60);

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
    seen: Instant,
    /// How many rounds have begun with it.
    looks: u32,
    told: bool,
    /// Whether nothing fills it any more.
    lasts: bool,
    next_look: Instant,
}

impl Known {
    fn new(hole: Hole, now: Instant) -> Self {
        Self {
            hole,
            seen: now,
            looks: 0,
            told: false,
            lasts: false,
            next_look: now + Backoff::pause_after(PAUSE, PAUSE_MAX, 0),
        }
    }

    /// A round begins with it. Returns whether it is to be told now.
    fn look(&mut self, supply: Supply, now: Instant) -> bool {
        self.looks = self.looks.saturating_add(1);
        self.lasts = supply == Supply::Exhausted && now.duration_since(self.seen) > LASTS_AFTER;
        self.next_look = now + Backoff::pause_after(PAUSE, PAUSE_MAX, self.looks);
        let patience = if self.hole.messages == 0 {
            1
        } else {
            LOOKS_FOR_A_REST
        };
        let long = match supply {
            Supply::Exhausted => self.looks >= patience,
            Supply::Flowing => self.looks >= LOOKS_WHILE_FLOWING,
            Supply::Resting => false,
        };
        let tell = long && !self.told;
        self.told |= tell;
        tell
    }
}

impl Holes {
    /// A round begins, with these holes by what the database says. Returns those that are to be told now; `supply` says
    /// of a hole that was seen first at a moment whether it may still be filled.
    pub(crate) fn begin<'a>(
        &mut self,
        holes: impl Iterator<Item = (&'a NodeId, Hole)>,
        supply: impl Fn(Instant) -> Supply,
        now: Instant,
    ) -> Vec<(&'a NodeId, Hole)> {
        let mut before = std::mem::take(&mut self.known);
        let mut told = Vec::new();
        for (source, hole) in holes {
            let known = match before.remove(source).filter(|known| known.hole == hole) {
                Some(mut known) => {
                    if known.look(supply(known.seen), now) {
                        told.push((source, hole));
                    }
                    known
                }
                None => Known::new(hole, now),
            };
            self.known.insert(source.clone(), known);
        }
        told
    }

    /// Those that nothing fills any more: only a load helps.
    pub(crate) fn lasting(&self) -> impl Iterator<Item = (NodeId, i64)> + '_ {
        let lasting = self.known.iter().filter(|(_, known)| known.lasts);
        lasting.map(|(source, known)| (source.clone(), known.hole.batch_id))
    }

    /// A lane has this hole now, or none.
    pub(crate) fn see(&mut self, source: &NodeId, hole: Option<Hole>, now: Instant) {
        match hole {
            Some(hole) if self.known.get(source).is_some_and(|known| known.hole == hole) => {}
            Some(hole) => {
                self.known.insert(source.clone(), Known::new(hole, now));
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

    fn look(holes: &mut Holes, source: &NodeId, supply: Supply, now: Instant) -> bool {
        !holes
            .begin([(source, hole(5))].into_iter(), |_| supply, now)
            .is_empty()
    }

    #[test]
    fn a_hole_that_may_still_be_filled_is_not_told_at_once() {
        let source = NodeId::new("cloud").expect("id");
        let now = Instant::now();
        let mut holes = Holes::default();
        holes.see(&source, Some(hole(5)), now);
        for _ in 0..20 {
            assert!(!look(&mut holes, &source, Supply::Resting, now));
        }
        assert!(look(&mut holes, &source, Supply::Exhausted, now));

        let mut holes = Holes::default();
        holes.see(&source, Some(hole(5)), now);
        let told = (0..20).position(|_| look(&mut holes, &source, Supply::Flowing, now));
        assert_eq!(told, Some(5));
    }

    #[test]
    fn only_what_is_missing_for_long_while_nothing_more_comes_lasts() {
        let source = NodeId::new("cloud").expect("id");
        let start = Instant::now();
        let mut holes = Holes::default();
        holes.see(&source, Some(hole(5)), start);
        for (supply, seconds, lasts) in [
            (Supply::Exhausted, 59, false),
            (Supply::Flowing, 100, false),
            (Supply::Exhausted, 101, true),
        ] {
            look(&mut holes, &source, supply, start + Duration::from_secs(seconds));
            assert_eq!(holes.lasting().next().is_some(), lasts, "{seconds} s");
        }
        holes.see(&source, None, start);
        assert_eq!(holes.lasting().next(), None);
    }

    #[test]
    fn a_hole_is_told_once_and_looked_at_with_growing_pauses() {
        let source = NodeId::new("cloud").expect("id");
        let start = Instant::now();
        let mut holes = Holes::default();
        assert_eq!(holes.next_look(), None);

        holes.see(&source, Some(hole(5)), start);
        let mut told = Vec::new();
        for seconds in [1, 2, 4, 8, 16, 30, 30] {
            let pause = holes.next_look().expect("a look") - start;
            assert!(pause <= Duration::from_secs(seconds), "{pause:?} of {seconds}");
            assert!(
                pause >= Duration::from_secs(seconds) * 3 / 4,
                "{pause:?} of {seconds}"
            );
            // What arrives behind it changes nothing.
            holes.see(&source, Some(hole(5)), start + pause);
            told.push(look(&mut holes, &source, Supply::Exhausted, start));
        }
        assert_eq!(told, [true, false, false, false, false, false, false]);

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
        let told = holes.begin(std::iter::empty(), |_| Supply::Exhausted, Instant::now());
        assert!(told.is_empty());
        assert_eq!(holes.next_look(), None);
    }
}
