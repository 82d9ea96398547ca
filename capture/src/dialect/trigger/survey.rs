//! What the database says about a table and its surroundings.

use super::event::Event;
use std::collections::HashMap;

/// Another trigger of the table, the application's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OtherTrigger {
    pub name: String,
    pub event: Event,
    /// Fires once a row, not once a statement.
    pub for_each_row: bool,
}

/// A trigger of the table as it is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Installed {
    /// Its text; with a [`Mark`](super::Mark) in it where it is one of ours.
    pub source: String,
    /// What it fires on, where that is known and one event only; for PostgreSQL's TRUNCATE the deletes.
    pub event: Option<Event>,
    pub for_each_row: bool,
    pub enabled: bool,
}

/// A trigger of another table, in a database where the names of triggers are unique in a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ForeignTrigger {
    pub name: String,
    pub table: String,
    /// Made by this instance.
    pub is_ours: bool,
}

/// Everything about a table and its surroundings that triggers depend on.
#[derive(Debug, Clone, Default)]
pub(crate) struct Survey {
    /// The catalog that the table is in: the database, where the dialect has several.
    pub catalog: Option<String>,
    /// The schema with the `sym_` tables.
    pub home: Option<String>,
    /// PostgreSQL: the schemas that conditions are read with.
    pub search_path: Vec<String>,
    /// PostgreSQL: the table's `oid`.
    pub oid: i64,
    /// PostgreSQL: the fingerprint of the table's columns. Never 0 there.
    pub shape: i64,
    /// PostgreSQL: a partitioned table, a partition, or part of an inheritance tree.
    pub in_hierarchy: bool,
    /// PostgreSQL: a partitioned table, whose partitions may have another order of columns.
    pub is_partitioned: bool,
    /// PostgreSQL: a foreign key on this table points to the table itself.
    pub refers_to_itself: bool,
    /// PostgreSQL: transactions may be prepared for a commit in two phases.
    pub two_phase_commit: bool,
    /// MySQL: `create or replace trigger` is there (MariaDB).
    pub can_replace: bool,
    /// The application's AFTER triggers.
    pub others: Vec<OtherTrigger>,
    /// All triggers of the table by name.
    pub installed: HashMap<String, Installed>,
    /// What the operator should know about this table.
    pub warnings: Vec<String>,
}

impl Survey {
    /// Whether the application has a row trigger on this event.
    pub(crate) fn has_row_trigger(&self, event: Event) -> bool {
        self.others
            .iter()
            .any(|other| other.event == event && other.for_each_row)
    }
}
