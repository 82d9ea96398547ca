//! Triggers as SQL.

use super::event::Event;
use super::mark::Mark;
use super::survey::Survey;
use symstream_shared::schema::Tables;

/// One trigger, ready to be installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RenderedTrigger {
    pub name: String,
    /// What it captures; PostgreSQL's trigger for TRUNCATE belongs to the deletes.
    pub event: Event,
    /// PostgreSQL's trigger for TRUNCATE.
    pub is_truncate: bool,
    pub for_each_row: bool,
    /// Creates it, or replaces the one of the same name.
    pub create: Vec<String>,
    /// PostgreSQL: attaches the function, which is all that `create` makes there, to the table. Not needed where the
    /// trigger is attached already, and it waits for everybody who writes the table.
    pub attach: Option<String>,
}

impl RenderedTrigger {
    /// Whether a trigger of this name, event and kind is attached to the table, whatever it does.
    pub(crate) fn is_attached(&self, survey: &Survey) -> bool {
        survey.installed.get(&self.name).is_some_and(|installed| {
            installed.enabled
                && installed.event == Some(self.event)
                && installed.for_each_row == self.for_each_row
        })
    }

    /// Whether one of this name is there that fires on something else, and stops doing so when this one is made.
    pub(crate) fn displaces_another(&self, survey: &Survey) -> bool {
        survey
            .installed
            .get(&self.name)
            .is_some_and(|installed| installed.event != Some(self.event))
    }

    /// The mark of the trigger that is attached in its place, where that is one of ours.
    pub(crate) fn installed_mark(&self, survey: &Survey, tables: &Tables) -> Option<Mark> {
        let installed = survey.installed.get(&self.name)?;
        self.is_attached(survey)
            .then(|| Mark::find(&installed.source, tables))
            .flatten()
    }
}
