mod loads;

use super::*;
use std::time::Duration;

fn whole(batch_id: i64, previous: i64) -> Arrival {
    Arrival {
        batch_id,
        previous,
        last: true,
        whole: true,
        tie: LoadTie::None,
    }
}

fn part(batch_id: i64, previous: i64, last: bool) -> Arrival {
    Arrival {
        last,
        whole: false,
        ..whole(batch_id, previous)
    }
}

fn hold(batch_id: i64, next_attempt: Instant) -> Hold {
    Hold {
        batch_id,
        attempts: 1,
        next_attempt,
        message: String::new(),
    }
}

#[test]
fn a_batch_is_applied_on_its_predecessor_only() {
    let mut lane = Lane::new(3, Load::NONE);
    assert_eq!(lane.arrive(whole(3, 1)), Step::Skip);
    assert_eq!(lane.arrive(whole(7, 5)), Step::Spool);
    lane.spooled(whole(7, 5));
    assert_eq!(lane.ready(Instant::now()), None);
    let missing = Hole {
        batch_id: 5,
        messages: 0,
    };
    assert_eq!(lane.hole(), Some(missing));

    assert_eq!(lane.arrive(whole(5, 3)), Step::Apply);
    lane.applied(5);
    assert_eq!(lane.hole(), None);
    assert_eq!(lane.ready(Instant::now()), Some(7));
    lane.applied(7);
    assert_eq!(lane.ready(Instant::now()), None);
    assert_eq!(lane.position(), 7);
}

#[test]
fn a_batch_of_several_parts_waits_for_the_last() {
    let mut lane = Lane::new(0, Load::NONE);
    assert_eq!(lane.arrive(part(2, 0, false)), Step::Spool);
    lane.spooled(part(2, 0, false));
    assert_eq!(lane.ready(Instant::now()), None);
    lane.spooled(part(2, 0, true));
    assert_eq!(lane.ready(Instant::now()), Some(2));

    assert_eq!(lane.hole(), None);

    lane.incomplete(2);
    assert_eq!(lane.ready(Instant::now()), None);
    let rest = Hole {
        batch_id: 2,
        messages: 2,
    };
    assert_eq!(lane.hole(), Some(rest));
    lane.spooled(part(2, 0, false));
    assert_eq!(lane.ready(Instant::now()), Some(2));
}

#[test]
fn a_held_lane_keeps_what_follows_and_tries_again_when_it_is_time() {
    let now = Instant::now();
    let later = now + Duration::from_secs(1);
    let mut lane = Lane::new(1, Load::NONE);
    lane.spooled(whole(2, 1));
    lane.held(hold(2, later));
    assert_eq!(lane.arrive(whole(4, 2)), Step::Spool);
    lane.spooled(whole(4, 2));
    assert_eq!(lane.ready(now), None);
    assert_eq!(lane.next_attempt(), Some(later));
    assert_eq!(lane.hole(), None);
    assert_eq!(lane.ready(later), Some(2));
    lane.applied(2);
    assert_eq!((lane.ready(now), lane.hold()), (Some(4), None));
}

#[test]
fn a_message_that_comes_again_changes_nothing() {
    let mut lane = Lane::new(0, Load::NONE);
    for _ in 0..2 {
        assert_eq!(lane.arrive(part(1, 0, true)), Step::Spool);
        lane.spooled(part(1, 0, true));
    }
    lane.applied(1);
    assert_eq!(lane.arrive(part(1, 0, true)), Step::Skip);
    assert_eq!(lane.arrive(whole(1, 0)), Step::Skip);
}
