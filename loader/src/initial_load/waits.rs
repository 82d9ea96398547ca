//! Which lanes wait for an initial load, so that each wait is told once.

use std::collections::HashMap;
use symstream_shared::id::NodeId;

/// The waits of one channel's lanes. Outlives its rounds.
#[derive(Debug, Default)]
pub(crate) struct LoadWaits {
    known: HashMap<NodeId, i64>,
}

/// What there is to tell of a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WaitNews {
    /// It waits for this load.
    Begins(i64),
    /// It waits no more.
    Ends(i64),
}

impl LoadWaits {
    /// A lane waits for this load, or for none.
    pub(crate) fn see(&mut self, source: &NodeId, load_id: Option<i64>) -> Option<WaitNews> {
        match load_id {
            Some(load_id) => {
                let before = self.known.insert(source.clone(), load_id);
                before.is_none().then_some(WaitNews::Begins(load_id))
            }
            None => self.known.remove(source).map(WaitNews::Ends),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_told_when_it_begins_and_when_it_ends() {
        let source = NodeId::new("cloud").expect("id");
        let mut waits = LoadWaits::default();
        assert_eq!(waits.see(&source, None), None);
        assert_eq!(waits.see(&source, Some(10)), Some(WaitNews::Begins(10)));
        assert_eq!(waits.see(&source, Some(10)), None);
        // A newer load took its place.
        assert_eq!(waits.see(&source, Some(20)), None);
        assert_eq!(waits.see(&source, None), Some(WaitNews::Ends(20)));
        assert_eq!(waits.see(&source, None), None);
    }
}
