//! Lanes while their source is loaded: whatever comes in whatever order.

use super::super::*;
use super::{part, whole};
use proptest::prelude::*;
use std::collections::BTreeSet;

fn begun(load_id: i64) -> Load {
    Load {
        load_id,
        is_over: false,
        floor: load_id,
    }
}

fn over(load_id: i64) -> Load {
    Load {
        is_over: true,
        ..begun(load_id)
    }
}

fn after(load_id: i64, arrival: Arrival) -> Arrival {
    Arrival {
        tie: LoadTie::After(load_id),
        ..arrival
    }
}

#[test]
fn what_comes_after_a_load_waits_and_is_no_hole() {
    let now = Instant::now();
    let mut lane = Lane::new(5, Load::NONE);
    let first = after(10, whole(12, 7));
    assert_eq!(lane.arrive(first), Step::Spool);
    lane.spooled(first);
    assert_eq!(
        (lane.waits_for(), lane.hole(), lane.ready(now)),
        (Some(10), None, None)
    );

    // What the load holds too may still come before it begins.
    assert_eq!(lane.arrive(whole(7, 5)), Step::Apply);

    // It names the batch before the load.
    let mut lane = Lane::new(10, begun(10));
    assert_eq!(lane.arrive(whole(9, 7)), Step::Skip);
    lane.spooled(first);
    assert_eq!((lane.waits_for(), lane.ready(now)), (Some(10), None));
    let mut lane = Lane::new(10, over(10));
    assert_eq!(lane.arrive(first), Step::Apply);
    assert_eq!(lane.arrive(after(10, whole(14, 12))), Step::Spool);
    lane.spooled(first);
    assert_eq!((lane.waits_for(), lane.ready(now)), (None, Some(12)));
    lane.applied(12);
    // Now the chain is as ever.
    assert_eq!(lane.arrive(whole(16, 7)), Step::Spool);
    assert_eq!(lane.arrive(whole(14, 12)), Step::Apply);
}

#[test]
fn a_load_begins_wherever_its_lane_is() {
    let now = Instant::now();
    let begins = |arrival: Arrival| Arrival {
        tie: LoadTie::Begins,
        ..arrival
    };
    let mut lane = Lane::new(3, Load::NONE);
    lane.spooled(whole(4, 3));
    lane.held(super::hold(4, now + std::time::Duration::from_secs(60)));
    assert_eq!(lane.arrive(begins(whole(10, 8))), Step::Apply);
    assert_eq!(lane.arrive(begins(whole(3, 1))), Step::Skip);

    // In several messages, and then one that is newer still.
    for last in [false, true] {
        assert_eq!(lane.ready(now), None);
        lane.spooled(begins(part(10, 8, last)));
    }
    assert_eq!(lane.ready(now), Some(10));
    lane.spooled(begins(part(20, 19, true)));
    assert_eq!(lane.ready(now), Some(20));
    lane.applied(20);
    assert_eq!((lane.ready(now), lane.hold(), lane.position()), (None, None, 20));
}

/// What a source sends to one lane, and what its loads do meanwhile.
#[derive(Debug, Clone, Default)]
struct History {
    batches: Vec<Arrival>,
    /// In their order: the loads that begin and, with `true`, those that are complete.
    loads: Vec<(i64, bool)>,
}

/// `steps`: 0 a load begins, 1 it is complete, anything else is a batch; 2 names no load.
fn history(steps: &[u8]) -> History {
    let mut history = History::default();
    let mut previous = 0;
    let mut open = None;
    for (id, step) in (1..).zip(steps) {
        match (step, open) {
            (0, _) => {
                open = Some(id);
                history.loads.push((id, false));
            }
            (1, Some(load_id)) => {
                open = None;
                history.loads.push((load_id, true));
            }
            (step, _) => {
                let named = open.filter(|_| *step != 2);
                let arrival = whole(id, previous);
                history
                    .batches
                    .push(named.map_or(arrival, |load_id| after(load_id, arrival)));
                previous = id;
            }
        }
    }
    if let Some(load_id) = open {
        history.loads.push((load_id, true));
    }
    history
}

/// The target's database and the lane that a round made of it.
struct World {
    position: i64,
    load: Load,
    spool: BTreeSet<usize>,
    lane: Lane,
    applied: Vec<i64>,
    history: History,
}

impl World {
    fn new(history: History) -> Self {
        Self {
            position: 0,
            load: Load::NONE,
            spool: BTreeSet::new(),
            lane: Lane::new(0, Load::NONE),
            applied: Vec::new(),
            history,
        }
    }

    fn restart(&mut self) {
        self.lane = Lane::new(self.position, self.load);
        for &index in &self.spool {
            let arrival = self.history.batches[index];
            if self.lane.arrive(arrival) != Step::Skip {
                self.lane.spooled(arrival);
            }
        }
        self.drain();
    }

    fn load(&mut self, (load_id, is_complete): (i64, bool)) {
        if is_complete {
            self.load.is_over |= self.load.load_id == load_id;
        } else {
            self.load = begun(load_id);
            self.position = self.position.max(load_id);
            self.forget();
        }
        self.restart();
    }

    fn deliver(&mut self, index: usize) {
        let arrival = self.history.batches[index];
        match self.lane.arrive(arrival) {
            Step::Skip => {}
            Step::Apply => self.apply(arrival.batch_id),
            Step::Spool => {
                self.spool.insert(index);
                self.lane.spooled(arrival);
            }
        }
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(batch_id) = self.lane.ready(Instant::now()) {
            self.apply(batch_id);
        }
    }

    fn apply(&mut self, batch_id: i64) {
        assert!(batch_id > self.position, "{batch_id} again, or behind its turn");
        let begun_before = self
            .history
            .loads
            .iter()
            .filter(|(load_id, _)| *load_id < batch_id);
        if let Some(newest) = begun_before.map(|(load_id, _)| *load_id).max() {
            let is_there = self.load.load_id > newest || self.load.load_id == newest && self.load.is_over;
            let named = self
                .history
                .batches
                .iter()
                .find(|batch| batch.batch_id == batch_id);
            let names = named.is_some_and(|batch| batch.tie != LoadTie::None);
            assert!(is_there || !names, "{batch_id} before its load is complete");
            // Without a name it waits for a load that has begun here, too.
            assert!(is_there || self.load.load_id < newest);
        }
        self.position = batch_id;
        self.applied.push(batch_id);
        self.lane.applied(batch_id);
        self.forget();
    }

    fn forget(&mut self) {
        let position = self.position;
        let batches = &self.history.batches;
        self.spool.retain(|&index| batches[index].batch_id > position);
    }
}

proptest! {
    #[test]
    fn nothing_is_lost_or_repeated_or_too_early(
        steps in prop::collection::vec(0_u8..8, 1..40),
        schedule in prop::collection::vec((0_u8..10, any::<prop::sample::Index>()), 0..120),
    ) {
        let mut world = World::new(history(&steps));
        let loads = world.history.loads.clone();
        let (mut loads, count) = (loads.into_iter(), world.history.batches.len());
        for (what, index) in schedule {
            match what {
                0 => world.restart(),
                1 | 2 => {
                    if let Some(load) = loads.next() {
                        world.load(load);
                    }
                }
                _ if count > 0 => world.deliver(index.index(count)),
                _ => {}
            }
        }
        // In the end everything has come, in its order.
        for index in 0..count {
            world.deliver(index);
        }
        for load in loads {
            world.load(load);
        }
        prop_assert!(world.applied.is_sorted());
        let floor = world.history.loads.iter().map(|(load_id, _)| *load_id).max().unwrap_or(0);
        for batch in &world.history.batches {
            if batch.batch_id > floor {
                prop_assert!(world.applied.contains(&batch.batch_id), "{} is lost", batch.batch_id);
            }
        }
        prop_assert!(world.spool.is_empty());
        prop_assert_eq!(world.lane.waits_for(), None);
    }
}
