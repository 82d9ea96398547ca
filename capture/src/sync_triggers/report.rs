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

/// Triggers of one table that were built, or would be in a dry run.
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
    /// The statements.
    pub statements: Vec<String>,
}

/// Triggers that were removed, or would be in a dry run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// `sym_trigger.trigger_id`
    pub trigger_id: String,
    /// The table.
    pub table: String,
    /// The statements.
    pub statements: Vec<String>,
}

/// Something to tell the operator about one `sym_trigger` row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// `sym_trigger.trigger_id`
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
