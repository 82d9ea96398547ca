//! Which of a node's channels goes first (`sym_channel.processing_order`).
//!
//! A channel takes nothing while one of lower order has something to take; but one batch a second it takes in any
//! case, so that none starves. What a channel has is what its task says, and a claim to expect something ends by
//! itself: nobody waits for a channel that is in trouble. Pure but for [`Seat`], through which the tasks meet.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use symstream_shared::id::ChannelId;
use tokio::sync::watch;
use tokio::time::Instant;

/// How often a channel that waits for others takes a batch.
const TRICKLE: Duration = Duration::from_secs(1);
/// How long a channel's word counts that more is to come. The next message of a backlog comes within milliseconds.
const EXPECTED: Duration = Duration::from_secs(5);

/// What a channel has to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    Nothing,
    /// More is on its way.
    Expecting {
        until: Instant,
    },
    /// Something is in hand: it waits for its turn, or is being written.
    Busy,
}

#[derive(Debug)]
struct Place {
    order: i64,
    need: Need,
    /// When it began to wait, or took its last batch since.
    waiting_since: Option<Instant>,
}

/// The channels that are served in an order.
#[derive(Debug, Default)]
struct Order {
    places: HashMap<ChannelId, Place>,
}

impl Order {
    /// The channel takes part.
    fn join(&mut self, channel: &ChannelId, order: i64, expecting: bool, now: Instant) {
        let place = Place {
            order,
            need: Need::Nothing,
            waiting_since: None,
        };
        self.places.insert(channel.clone(), place);
        self.rest(channel, expecting, now);
    }

    fn leave(&mut self, channel: &ChannelId) {
        self.places.remove(channel);
    }

    /// The channel has nothing in hand any more.
    fn rest(&mut self, channel: &ChannelId, expecting: bool, now: Instant) {
        if let Some(place) = self.places.get_mut(channel) {
            place.need = if expecting {
                Need::Expecting {
                    until: now + EXPECTED,
                }
            } else {
                place.waiting_since = None;
                Need::Nothing
            };
        }
    }

    /// The channel has something in hand. `None` when it may go on with it, else when to ask again, unless something
    /// changes before.
    fn ask(&mut self, channel: &ChannelId, now: Instant) -> Option<Instant> {
        let place = self.places.get_mut(channel)?;
        place.need = Need::Busy;
        let since = *place.waiting_since.get_or_insert(now);
        let order = place.order;
        let lower = self.places.values().filter(|other| other.order < order);
        // Behind the last of those that only expect something there is nothing to wait for.
        let mut free = Some(now);
        for other in lower {
            free = match other.need {
                Need::Nothing => free,
                Need::Expecting { until } => free.map(|free| free.max(until)),
                Need::Busy => None,
            };
        }
        let trickle = since + TRICKLE;
        let go = free.map_or(trickle, |free| free.min(trickle));
        (go > now).then_some(go)
    }

    /// The channel took a whole batch.
    fn took(&mut self, channel: &ChannelId, now: Instant) {
        if let Some(place) = self.places.get_mut(channel) {
            place.waiting_since = Some(now);
        }
    }
}

/// The turns of one node's channels. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Turns {
    order: Arc<watch::Sender<Order>>,
}

impl Turns {
    /// A channel is about to begin: until it has looked, it counts as one that has something to take.
    pub(crate) fn announce(&self, channel: &ChannelId, order: i64) {
        self.join(channel, order, true);
    }

    /// Takes part as `channel` until the seat is dropped; without an order it waits for nobody. `expecting` says
    /// whether others wait until it has looked.
    pub(crate) fn seat(&self, channel: &ChannelId, order: Option<i64>, expecting: bool) -> Seat {
        match order {
            Some(order) => self.join(channel, order, expecting),
            None => self.order.send_modify(|all| all.leave(channel)),
        }
        Seat {
            order: self.order.clone(),
            channel: channel.clone(),
        }
    }

    fn join(&self, channel: &ChannelId, order: i64, expecting: bool) {
        self.order.send_if_modified(|all| {
            all.join(channel, order, expecting, Instant::now());
            !expecting
        });
    }
}

/// A channel's part in the turns.
#[derive(Debug)]
pub(crate) struct Seat {
    order: Arc<watch::Sender<Order>>,
    channel: ChannelId,
}

impl Seat {
    /// Waits until the channel may take what it has in hand. May be dropped.
    pub(crate) async fn turn(&self) {
        let mut changes = self.order.subscribe();
        loop {
            changes.mark_unchanged();
            let mut wait = None;
            self.order.send_if_modified(|all| {
                wait = all.ask(&self.channel, Instant::now());
                false
            });
            let Some(until) = wait else { return };
            tokio::select! {
                _ = changes.changed() => {}
                () = tokio::time::sleep_until(until) => {}
            }
        }
    }

    /// A whole batch was taken.
    pub(crate) fn took(&self) {
        self.order.send_if_modified(|all| {
            all.took(&self.channel, Instant::now());
            false
        });
    }

    /// Nothing is in hand any more; `expecting` says whether more is known to come.
    pub(crate) fn rest(&self, expecting: bool) {
        self.order.send_if_modified(|all| {
            all.rest(&self.channel, expecting, Instant::now());
            !expecting
        });
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.order.send_modify(|all| all.leave(&self.channel));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel(id: &str) -> ChannelId {
        ChannelId::new(id).expect("id")
    }

    fn second(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    /// `first`, `second` and `twin` of orders 1, 2 and 2, of which nobody has anything.
    fn order(now: Instant) -> Order {
        let mut order = Order::default();
        for (id, number) in [("first", 1), ("second", 2), ("twin", 2)] {
            order.join(&channel(id), number, false, now);
        }
        order
    }

    #[test]
    fn a_channel_waits_while_a_lower_one_has_something_and_takes_one_batch_a_second() {
        let now = Instant::now();
        let mut order = order(now);
        assert_eq!(order.ask(&channel("first"), now), None);
        assert_eq!(order.ask(&channel("second"), now), Some(now + second(1)));
        assert_eq!(order.ask(&channel("second"), now + second(1)), None);
        order.took(&channel("second"), now + second(1));
        order.rest(&channel("second"), true, now + second(1));
        assert_eq!(
            order.ask(&channel("second"), now + second(1)),
            Some(now + second(2))
        );

        order.rest(&channel("first"), false, now + second(1));
        assert_eq!(order.ask(&channel("second"), now + second(1)), None);
    }

    #[test]
    fn a_lower_one_waits_for_none_and_equal_ones_not_for_each_other() {
        let now = Instant::now();
        let mut order = order(now);
        assert_eq!(order.ask(&channel("second"), now), None);
        assert_eq!(order.ask(&channel("twin"), now), None);
        assert_eq!(order.ask(&channel("first"), now), None);
        assert_eq!(order.ask(&channel("nobody"), now), None);
    }

    #[test]
    fn nobody_waits_long_for_one_that_only_expects_or_is_gone() {
        let now = Instant::now();
        let mut order = order(now);
        order.rest(&channel("first"), true, now);
        let shortly_before = now + EXPECTED - Duration::from_millis(100);
        order.took(&channel("second"), shortly_before);
        assert_eq!(
            order.ask(&channel("second"), shortly_before),
            Some(now + EXPECTED)
        );
        assert_eq!(order.ask(&channel("second"), now + EXPECTED), None);

        order.ask(&channel("first"), now);
        assert!(order.ask(&channel("twin"), now).is_some());
        order.leave(&channel("first"));
        assert_eq!(order.ask(&channel("twin"), now), None);
    }

    #[test]
    fn the_parts_of_a_batch_go_together() {
        let now = Instant::now();
        let mut order = order(now);
        order.ask(&channel("first"), now);
        order.ask(&channel("second"), now);
        let later = now + second(1);
        for _ in 0..3 {
            assert_eq!(order.ask(&channel("second"), later), None);
            order.rest(&channel("second"), true, later);
        }
        order.took(&channel("second"), later);
        assert!(order.ask(&channel("second"), later).is_some());
    }

    #[tokio::test]
    async fn a_seat_that_is_dropped_lets_others_go() {
        let turns = Turns::default();
        turns.announce(&channel("first"), 1);
        let first = turns.seat(&channel("first"), Some(1), true);
        let second = turns.seat(&channel("second"), Some(2), true);
        first.turn().await;
        let waiting = tokio::spawn(async move {
            let began = Instant::now();
            second.turn().await;
            began.elapsed()
        });
        tokio::task::yield_now().await;
        // As a task that panics does.
        drop(first);
        let waited = waiting.await.expect("no panic");
        assert!(waited < TRICKLE, "{waited:?}");
    }
}
