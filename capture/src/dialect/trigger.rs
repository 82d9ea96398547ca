//! What a database has to be told so that it captures the changes of one table.
//!
//! The SQL is made by pure functions of a [`TriggerSpec`]; everything that has to be asked of the database for it
//! is in a [`Survey`].

use std::collections::HashMap;
use symstream_shared::catalog::{ColumnDef, TableDef};
use symstream_shared::db::DatabaseKind;
use symstream_shared::model::Trigger;
use symstream_shared::schema::Tables;

/// The most bytes of a name that we make (`spec/design.md`).
const NAME_BYTES_MAX: usize = 50;

/// What a trigger fires on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Event {
    Insert,
    Update,
    Delete,
}

impl Event {
    pub(crate) const ALL: [Self; 3] = [Self::Insert, Self::Update, Self::Delete];

    /// `insert`, `update`, `delete`.
    pub(crate) fn verb(self) -> &'static str {
        match self {
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }

    /// The letter in `sym_data.event_type`.
    pub(crate) fn letter(self) -> &'static str {
        match self {
            Self::Insert => "I",
            Self::Update => "U",
            Self::Delete => "D",
        }
    }

    pub(crate) fn is_captured(self, trigger: &Trigger) -> bool {
        match self {
            Self::Insert => trigger.on_insert,
            Self::Update => trigger.on_update,
            Self::Delete => trigger.on_delete,
        }
    }

    /// The condition in the dialect's SQL over `old` and `new`, if there is one.
    pub(crate) fn condition(self, trigger: &Trigger) -> Option<&str> {
        let condition = match self {
            Self::Insert => &trigger.insert_condition,
            Self::Update => &trigger.update_condition,
            Self::Delete => &trigger.delete_condition,
        };
        condition
            .as_deref()
            .map(str::trim)
            .filter(|text| !text.is_empty())
    }

    /// The name that the user wants, if any.
    pub(crate) fn given_name(self, trigger: &Trigger) -> Option<&str> {
        let name = match self {
            Self::Insert => &trigger.name_for_insert,
            Self::Update => &trigger.name_for_update,
            Self::Delete => &trigger.name_for_delete,
        };
        name.as_deref().map(str::trim).filter(|text| !text.is_empty())
    }
}

/// Another trigger of the table, the application's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OtherTrigger {
    pub name: String,
    pub event: Event,
    /// Fires once a row, not once a statement.
    pub for_each_row: bool,
}

/// One of our triggers as it is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Installed {
    /// The text with our [`Mark`] in it.
    pub source: String,
    pub for_each_row: bool,
    pub enabled: bool,
}

/// What the database says about a table and its surroundings, as far as triggers depend on it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Survey {
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

/// What an installed trigger says about itself, in a comment: the history that its rows belong to, and what it was
/// made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub hist_id: i64,
    pub build: u32,
}

impl Mark {
    /// The comment's text. The prefix tells the triggers of several instances in one database apart.
    pub(crate) fn text(self, tables: &Tables) -> String {
        format!(
            "symstream {} history {} build {:08x}",
            tables.prefix(),
            self.hist_id,
            self.build
        )
    }

    /// Finds the mark of this instance in an installed trigger.
    pub(crate) fn find(source: &str, tables: &Tables) -> Option<Self> {
        let mut words = source
            .split(&format!("symstream {} history ", tables.prefix()))
            .nth(1)?
            .split_whitespace();
        let hist_id = words.next()?.parse().ok()?;
        if words.next()? != "build" {
            return None;
        }
        let build = u32::from_str_radix(words.next()?, 16).ok()?;
        Some(Self { hist_id, build })
    }

    /// Whether an installed trigger is one of any instance, and so none of the application's.
    pub(crate) fn is_in(source: &str) -> bool {
        source.contains("symstream ") && source.contains(" history ")
    }
}

/// Everything that the triggers of one table depend on.
#[derive(Debug, Clone)]
pub(crate) struct TriggerSpec<'a> {
    pub kind: DatabaseKind,
    pub tables: &'a Tables,
    pub trigger: &'a Trigger,
    pub table: &'a TableDef,
    /// The captured columns in the table's order.
    pub columns: Vec<&'a ColumnDef>,
    /// The key's columns; all captured ones where the table has no primary key.
    pub key: Vec<&'a ColumnDef>,
    pub survey: &'a Survey,
    pub mark: Mark,
}

impl TriggerSpec<'_> {
    /// A `sym_` table's name for the trigger's body.
    pub(crate) fn home_table(&self, table: &str) -> String {
        let name = self.tables.name(table);
        match &self.survey.home {
            Some(home) => format!("{}.{name}", self.kind.quote(home)),
            None => name,
        }
    }

    /// The captured table's name, quoted.
    pub(crate) fn table_name(&self) -> String {
        self.kind
            .quote_table(self.table.schema.as_deref(), &self.table.name)
    }

    /// The expression for `sym_data.transaction_id`, if there is one.
    pub(crate) fn transaction(&self) -> Option<&str> {
        self.trigger
            .tx_id_expression
            .as_deref()
            .map(str::trim)
            .filter(|text| !text.is_empty())
    }

    /// Whether some of the table's columns are not captured.
    pub(crate) fn leaves_out_columns(&self) -> bool {
        self.columns.len() != self.table.columns.len()
    }

    /// A name of our own that says what it is for. The hash keeps names apart whose parts are shortened, or which
    /// would only differ in where the trigger's id ends and the table's name begins.
    pub(crate) fn generated_name(&self, what: &str) -> String {
        let (trigger, table) = (self.trigger.trigger_id.as_str(), self.table.name.as_str());
        let mut hasher = crc32fast::Hasher::new();
        for part in [what, trigger, self.table.schema.as_deref().unwrap_or(""), table] {
            hasher.update(part.as_bytes());
            hasher.update(&[0]);
        }
        let hash = format!("_{:08x}", hasher.finalize());
        let mut name = format!("{}_on_{what}_for_{trigger}_{table}", self.tables.prefix());
        // One byte is left for the sign that makes PostgreSQL's triggers sort first.
        let room = NAME_BYTES_MAX - 1 - hash.len();
        let end = (0..=room.min(name.len()))
            .rev()
            .find(|end| name.is_char_boundary(*end))
            .unwrap_or(0);
        name.truncate(end);
        name + &hash
    }
}

/// One trigger, ready to be installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RenderedTrigger {
    pub name: String,
    /// `None`: PostgreSQL's trigger for TRUNCATE, which belongs to the deletes.
    pub event: Option<Event>,
    pub for_each_row: bool,
    /// The function that it calls, where the dialect has functions.
    pub function: Option<String>,
    /// Creates it, or replaces the one of the same name.
    pub create: Vec<String>,
    /// PostgreSQL: attaches the function, which is all that `create` makes there, to the table. Not needed where the
    /// trigger is attached already, and it waits for everybody who writes the table.
    pub attach: Option<String>,
}

impl RenderedTrigger {
    /// Whether a trigger of this name and kind is attached to the table, whatever it does.
    pub(crate) fn is_attached(&self, survey: &Survey) -> bool {
        survey
            .installed
            .get(&self.name)
            .is_some_and(|installed| installed.enabled && installed.for_each_row == self.for_each_row)
    }

    /// Whether exactly this trigger is installed.
    pub(crate) fn is_installed(&self, survey: &Survey, tables: &Tables, mark: Mark) -> bool {
        self.is_attached(survey)
            && survey
                .installed
                .get(&self.name)
                .is_some_and(|installed| Mark::find(&installed.source, tables) == Some(mark))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_found_in_the_text_of_a_trigger() {
        let tables = Tables::default();
        let mark = Mark {
            hist_id: 17,
            build: 0x00ab_cdef,
        };
        let source = format!("begin /* {} */ end", mark.text(&tables));
        assert_eq!(Mark::find(&source, &tables), Some(mark));
        assert!(Mark::is_in(&source));
        assert_eq!(Mark::find(&source, &Tables::new("other").expect("prefix")), None);
        assert_eq!(Mark::find("begin end", &tables), None);
        assert_eq!(Mark::find("symstream sym history x", &tables), None);
    }
}
