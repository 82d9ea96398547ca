//! What a lane does with a part that arrives. Pure: storage and bus are told by [`crate::channel`].
//!
//! A batch is applied only on top of the batch that its chain names. Whatever can not be applied yet (the rest
//! of its batch or its predecessor is missing, the lane is held) waits in the spool, in the target's database,
//! and so can be acknowledged without being lost or holding up the lanes of other sources. So does what comes after
//! an initial load that is not complete.

use crate::hole::Hole;
use crate::initial_load::Load;
use std::collections::BTreeMap;
use symstream_shared::id::ChannelId;
use tokio::time::Instant;

/// One message of a batch, as its headers and, for a last part, its body say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Arrival {
    /// The batch.
    pub batch_id: i64,
    /// The batch before it in this lane; 0 for the first.
    pub previous: i64,
    /// Whether this is the batch's last message.
    pub last: bool,
    /// Whether this message is the whole batch.
    pub whole: bool,
    /// What it has to do with an initial load.
    pub tie: LoadTie,
}

/// What a batch has to do with an initial load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LoadTie {
    /// Nothing, or it is one of its rows.
    None,
    /// A load begins with it, wherever the lane is.
    Begins,
    /// It is not applied before this load is over.
    After(i64),
}

impl LoadTie {
    /// What it means that a batch of this channel names a load.
    pub(crate) fn new(channel: &ChannelId, batch_id: i64, load_id: Option<i64>) -> Self {
        match load_id {
            Some(load_id) if *channel != ChannelId::reload() => Self::After(load_id),
            Some(load_id) if load_id == batch_id => Self::Begins,
            _ => Self::None,
        }
    }

    fn after(self) -> Option<i64> {
        match self {
            Self::After(load_id) => Some(load_id),
            Self::None | Self::Begins => None,
        }
    }
}

/// What to do with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Its batch was applied before: acknowledge it.
    Skip,
    /// Apply it now, then acknowledge it.
    Apply,
    /// Store it in the spool, then acknowledge it.
    Spool,
}

/// A batch that failed and everything behind it waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hold {
    /// The batch.
    pub batch_id: i64,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is tried again.
    pub next_attempt: Instant,
    /// What it failed with; empty after a restart. A repetition of the same is not told again.
    pub message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Waiting {
    previous: i64,
    /// How many of its messages came.
    messages: u32,
    /// Whether the last part is there.
    ended: bool,
    /// Whether a part was found to be missing, and nothing of the batch has come since.
    lacking: bool,
    tie: LoadTie,
}

impl Waiting {
    fn is_complete(&self) -> bool {
        self.ended && !self.lacking
    }
}

/// One lane of this node: a source's batches of one channel.
#[derive(Debug, Clone)]
pub(crate) struct Lane {
    position: i64,
    load: Load,
    waiting: BTreeMap<i64, Waiting>,
    /// The newest batch that waits with which a load begins.
    begin: Option<i64>,
    hold: Option<Hold>,
}

impl Lane {
    /// A lane whose highest applied batch is `position`, 0 before the first; `load` is the newest load of its source, or
    /// [`Load::NONE`] where the lane is that of the loads themselves.
    pub(crate) fn new(position: i64, load: Load) -> Self {
        Self {
            position,
            load,
            waiting: BTreeMap::new(),
            begin: None,
            hold: None,
        }
    }

    /// The highest batch applied.
    pub(crate) fn position(&self) -> i64 {
        self.position
    }

    /// The newest initial load of the lane's source, as far as the lane knows.
    pub(crate) fn load(&self) -> Load {
        self.load
    }

    /// The failed batch that holds the lane.
    pub(crate) fn hold(&self) -> Option<&Hold> {
        self.hold.as_ref()
    }

    /// What to do with a message. The state changes only when [`Self::spooled`] or [`Self::applied`] says that
    /// it was done.
    pub(crate) fn arrive(&self, arrival: Arrival) -> Step {
        if arrival.batch_id <= self.position {
            Step::Skip
        } else if arrival.whole && !self.waiting.contains_key(&arrival.batch_id) && self.may_follow(&arrival)
        {
            Step::Apply
        } else {
            Step::Spool
        }
    }

    fn may_follow(&self, arrival: &Arrival) -> bool {
        match arrival.tie {
            LoadTie::Begins => true,
            LoadTie::None | LoadTie::After(_) => {
                self.hold.is_none()
                    && self.follows(arrival.previous, arrival.batch_id)
                    && !self.holds_back(arrival)
            }
        }
    }

    /// Whether a message's batch waits for an initial load.
    pub(crate) fn holds_back(&self, arrival: &Arrival) -> bool {
        let held = self.load.holds_back(arrival.batch_id, arrival.tie.after());
        arrival.batch_id > self.position && held.is_some()
    }

    /// Whether the batch comes next. The first one behind a load that the lane jumped to names one before the load.
    fn follows(&self, previous: i64, batch_id: i64) -> bool {
        let floor = self.load.floor;
        previous == self.position || (self.position == floor && previous < floor && floor < batch_id)
    }

    /// The message is in the spool. It may have been there before.
    pub(crate) fn spooled(&mut self, arrival: Arrival) {
        let waiting = self.waiting.entry(arrival.batch_id).or_insert(Waiting {
            previous: arrival.previous,
            messages: 0,
            ended: false,
            lacking: false,
            tie: arrival.tie,
        });
        // Of a message for a group, only the last part says for whom a load comes first.
        if waiting.tie == LoadTie::None {
            waiting.tie = arrival.tie;
        }
        if arrival.tie == LoadTie::Begins {
            self.begin = self.begin.max(Some(arrival.batch_id));
        }
        waiting.messages = waiting.messages.saturating_add(1);
        waiting.ended |= arrival.last;
        waiting.lacking = false;
    }

    /// A batch that seemed complete lacks a part; it is looked at again when more of it comes.
    pub(crate) fn incomplete(&mut self, batch_id: i64) {
        if let Some(waiting) = self.waiting.get_mut(&batch_id) {
            waiting.lacking = true;
        }
    }

    /// The batch is committed.
    pub(crate) fn applied(&mut self, batch_id: i64) {
        self.position = batch_id;
        self.hold = None;
        self.waiting = self.waiting.split_off(&(batch_id + 1));
        self.begin = self.begin.filter(|begin| *begin > batch_id);
    }

    /// The lane waits for a person, or for another attempt.
    pub(crate) fn held(&mut self, hold: Hold) {
        self.hold = Some(hold);
    }

    /// The batch in the spool that is to be applied now.
    pub(crate) fn ready(&self, now: Instant) -> Option<i64> {
        let next = self.next()?;
        match &self.hold {
            Some(hold) if hold.batch_id == next && hold.next_attempt > now => None,
            _ => Some(next),
        }
    }

    /// When [`Self::ready`] will have something without anything arriving.
    pub(crate) fn next_attempt(&self) -> Option<Instant> {
        let next = self.next()?;
        self.hold
            .as_ref()
            .filter(|hold| hold.batch_id == next)
            .map(|hold| hold.next_attempt)
    }

    /// What has to come before anything that waits can be applied: a batch, or the rest of one.
    pub(crate) fn hole(&self) -> Option<Hole> {
        if self.next().is_some() || self.waits_for().is_some() {
            return None;
        }
        let (&batch_id, first) = self.waiting.first_key_value()?;
        Some(if self.follows(first.previous, batch_id) {
            Hole {
                batch_id,
                messages: first.messages,
            }
        } else {
            Hole {
                batch_id: first.previous,
                messages: 0,
            }
        })
    }

    /// The initial load that everything that waits here comes after. What is missing before it is in the load, and
    /// what is missing behind it may still come.
    pub(crate) fn waits_for(&self) -> Option<i64> {
        let (&batch_id, first) = self.waiting.first_key_value()?;
        self.load.holds_back(batch_id, first.tie.after())
    }

    fn next(&self) -> Option<i64> {
        if self.waits_for().is_some() {
            return None;
        }
        let is_complete = |batch_id: &i64| self.waiting.get(batch_id).is_some_and(Waiting::is_complete);
        if let Some(begin) = self.begin.filter(is_complete) {
            return Some(begin);
        }
        self.waiting
            .iter()
            .find(|(batch_id, waiting)| waiting.is_complete() && self.follows(waiting.previous, **batch_id))
            .map(|(&batch_id, _)| batch_id)
    }
}

#[cfg(test)]
mod tests;
