//! Problems and warnings, said once each as long as they stay.

use crate::sync_triggers::{Note, SyncReport};

/// What was said already.
#[derive(Debug, Default)]
pub(super) struct Notes {
    said: Vec<String>,
}

impl Notes {
    /// Logs what is new in a report, and returns it. What is gone from it is forgotten, and said again when it comes
    /// back.
    pub(super) fn say(&mut self, report: &SyncReport) -> Vec<String> {
        let problems: Vec<String> = report.problems.iter().map(Note::to_string).collect();
        let warnings: Vec<String> = report.warnings.iter().map(Note::to_string).collect();
        let new = |notes: &[String]| -> Vec<String> {
            let is_new = |note: &&String| !self.said.contains(note);
            notes.iter().filter(is_new).cloned().collect()
        };
        let (mut said, new_warnings) = (new(&problems), new(&warnings));
        for problem in &said {
            tracing::error!("{problem}");
        }
        for warning in &new_warnings {
            tracing::warn!("{warning}");
        }
        said.extend(new_warnings);
        self.said = problems.into_iter().chain(warnings).collect();
        said
    }
}
