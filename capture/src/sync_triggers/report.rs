//! What a trigger synchronisation did and found.

use std::fmt;

/// Why triggers were built (`sym_trigger_hist.last_trigger_build_reason`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BuildReason {
    /// Not created before.
    New,
    /// The table has changed.
    SchemaChanged,
    /// The configuration, or the table's other triggers, have changed.
    ConfigurationChanged,
    /// A trigger was missing.
    TriggerMissing,
}

impl BuildReason {
    /// The letter in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "N",
            Self::SchemaChanged => "S",
            Self::ConfigurationChanged => "C",
            Self::TriggerMissing => "T",
        }
    }
}

impl fmt::Display for BuildReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A `sym_trigger` row whose triggers were built, or would be in a dry run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// `sym_trigger.trigger_id`
    pub trigger_id: String,
    /// The table.
    pub table: String,
    /// Why.
    pub reason: BuildReason,
    /// The new row of `sym_trigger_hist`.
    pub hist_id: i64,
    /// Who asked for it, where the configuration has changed.
    pub updated: Option<Updated>,
    /// The statements. Those of triggers that share a table stand with the first one.
    pub statements: Vec<String>,
}

/// Who changed a `sym_trigger` row last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Updated {
    /// `last_updated_by`
    pub by: Option<String>,
    /// `last_updated_time`, in UTC.
    pub time: Option<String>,
}

/// A `sym_trigger` row that is captured no more, or would not be in a dry run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// `sym_trigger.trigger_id`
    pub trigger_id: String,
    /// The table.
    pub table: String,
    /// The statements. Those of triggers that share a table stand with the first one that was built or removed.
    pub statements: Vec<String>,
}

/// Something to tell the operator about a `sym_trigger` row, or several of one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// `sym_trigger.trigger_id`; several are separated by commas.
    pub trigger_id: String,
    /// The table.
    pub table: String,
    /// What is the matter.
    pub message: String,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "trigger {}, table {}: {}",
            self.trigger_id, self.table, self.message
        )
    }
}

/// What a synchronisation did and found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SyncReport {
    /// Triggers that were built.
    pub built: Vec<Built>,
    /// Triggers that were removed.
    pub removed: Vec<Removed>,
    /// How many `sym_trigger` rows were up to date.
    pub unchanged: usize,
    /// Why changes of a table are not captured, or not as the configuration says; the next synchronisation tries
    /// again.
    pub problems: Vec<Note>,
    /// What a captured table does not promise.
    pub warnings: Vec<Note>,
}
