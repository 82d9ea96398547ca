//! Initial loads from another node, as their target sees them ([`symstream_shared::wire::LoadStep`]).
//!
//! Owns `sym_incoming_load`. A load's number is a batch id: what its source sent with lower ids is in it, so the lanes
//! jump to it when it begins ([`steps`]); what has higher ids waits in the spool until it is complete ([`Load::holds_back`]).
//! Both are read from the database; tasks of other channels hear in memory that there is something to read ([`news`]).

mod news;
mod records;
mod steps;
mod waits;

pub(crate) use news::{Listener, LoadNews};
pub(crate) use records::LoadRecords;
pub(crate) use steps::{LoadSteps, Stepped};
pub(crate) use waits::{LoadWaits, WaitNews};

/// The newest load of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Load {
    /// Its number; 0 when there never was one.
    pub load_id: i64,
    /// Whether it is over: complete or cancelled.
    pub is_over: bool,
    /// The newest one that began here: the source's lanes are at it or behind it.
    pub floor: i64,
}

impl Load {
    /// No load was heard of.
    pub(crate) const NONE: Self = Self {
        load_id: 0,
        is_over: true,
        floor: 0,
    };

    /// The load that keeps a batch waiting; `after` is the one that the batch itself names.
    ///
    /// A batch that comes after the load in hand waits for it also where it names none, or one that was interrupted.
    pub(crate) fn holds_back(&self, batch_id: i64, after: Option<i64>) -> Option<i64> {
        let over_through = if self.is_over {
            self.load_id
        } else {
            self.load_id - 1
        };
        let own = (!self.is_over && batch_id > self.load_id).then_some(self.load_id);
        after.filter(|load_id| *load_id > over_through).or(own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_waits_for_the_load_that_it_names_and_for_the_one_in_hand() {
        let mut load = Load::NONE;
        assert_eq!(load.holds_back(5, None), None);
        // Its first batch has not come yet.
        assert_eq!(load.holds_back(15, Some(10)), Some(10));

        load = Load {
            load_id: 10,
            is_over: false,
            floor: 10,
        };
        assert_eq!(load.holds_back(15, Some(10)), Some(10));
        assert_eq!(load.holds_back(15, None), Some(10));
        // It took the place of load 8.
        assert_eq!(load.holds_back(15, Some(8)), Some(10));
        assert_eq!(load.holds_back(25, Some(20)), Some(20));

        load.is_over = true;
        assert_eq!(load.holds_back(15, Some(10)), None);
        assert_eq!(load.holds_back(25, Some(20)), Some(20));
    }
}
