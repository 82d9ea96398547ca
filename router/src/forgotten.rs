//! Changes of triggers that nobody knows any more.

use crate::decide::Decision;
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use symstream_shared::wire::Part;

/// Triggers remembered, so that each is told of once, however many batches it captured.
const TRIGGERS_MAX: usize = 1000;

/// Says of each trigger whose row was deleted, once, that what it captured before goes to nobody.
#[derive(Default)]
pub(crate) struct ForgottenTriggers {
    told: Mutex<HashSet<String>>,
}

impl ForgottenTriggers {
    /// Tells what is news. `version` is the configuration's by which it was decided.
    pub(crate) fn warn(&self, part: &Part, version: i64, decision: &Decision) {
        for table in decision.forgotten.iter().map(|index| &part.rows.tables[*index]) {
            for trigger in table.trigger_ids.iter().filter(|trigger| self.is_news(trigger)) {
                tracing::warn!(
                    node_id = %part.source, trigger_id = %trigger, table = %table.source_table, version,
                    "the trigger was deleted from the configuration; what it captured before is for nobody"
                );
            }
        }
    }

    /// Whether nothing was said of this trigger yet.
    fn is_news(&self, trigger: &str) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() >= TRIGGERS_MAX {
            told.clear();
        }
        told.insert(trigger.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trigger_is_told_of_once() {
        let forgotten = ForgottenTriggers::default();
        assert!(forgotten.is_news("a"));
        assert!(forgotten.is_news("b"));
        assert!(!forgotten.is_news("a"));
    }
}
