//! What a channel knows of its held lanes beyond what their rows say.
//!
//! A round ends whenever the loader follows something new. What holds a lane is neither tried nor told again because
//! of that: [`Holds`] outlive the rounds. After a restart it is tried and told once more.

use crate::lane::Hold;
use std::collections::HashMap;
use symstream_shared::id::NodeId;
use tokio::time::Instant;

/// The holds of one channel's lanes.
#[derive(Debug, Default)]
pub(crate) struct Holds {
    known: HashMap<NodeId, Hold>,
}

impl Holds {
    /// The hold of a lane whose row says that this batch was tried so often.
    pub(crate) fn begin(&self, source: &NodeId, batch_id: i64, attempts: u32, now: Instant) -> Hold {
        let known = self.known.get(source);
        let same = known.filter(|hold| (hold.batch_id, hold.attempts) == (batch_id, attempts));
        same.cloned().unwrap_or_else(|| Hold {
            batch_id,
            attempts,
            next_attempt: now,
            message: String::new(),
        })
    }

    /// A lane is held since now.
    pub(crate) fn held(&mut self, source: &NodeId, hold: &Hold) {
        self.known.insert(source.clone(), hold.clone());
    }

    /// A lane goes on.
    pub(crate) fn applied(&mut self, source: &NodeId) {
        self.known.remove(source);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_hold_is_remembered_while_its_row_says_the_same() {
        let source = NodeId::new("cloud").expect("id");
        let now = Instant::now();
        let mut holds = Holds::default();
        let unknown = holds.begin(&source, 5, 3, now);
        assert_eq!((unknown.next_attempt, unknown.message.as_str()), (now, ""));

        let hold = Hold {
            next_attempt: now + Duration::from_secs(8),
            message: "it is taken".into(),
            ..unknown
        };
        holds.held(&source, &hold);
        assert_eq!(holds.begin(&source, 5, 3, now), hold);
        // Another loader was at work meanwhile.
        assert_eq!(holds.begin(&source, 5, 4, now).next_attempt, now);
        assert_eq!(holds.begin(&source, 6, 3, now).next_attempt, now);

        holds.applied(&source);
        assert_eq!(holds.begin(&source, 5, 3, now).message, "");
    }
}
