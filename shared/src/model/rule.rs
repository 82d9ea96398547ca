//! Rules: which nodes a trigger's changes are for.

use super::expression::{ColumnExpression, LookupRule, Subselect};
use crate::id::GroupId;
use crate::wire::{Operation, RuleId};

/// One way for a trigger's changes from one group to nodes of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Where the rule stands.
    pub id: RuleId,
    /// The group that the nodes have to be of.
    pub target_group: GroupId,
    /// How the nodes are selected.
    pub kind: RuleKind,
    /// Whether it applies to inserts: its trigger's flag and its own.
    pub on_insert: bool,
    /// Whether it applies to updates.
    pub on_update: bool,
    /// Whether it applies to deletes.
    pub on_delete: bool,
    /// `sym_trigger.sync_column_level`
    pub column_level: bool,
    /// The schema at the target; `None` for its default one.
    pub target_schema: Option<String>,
    /// The table at the target.
    pub target_table: String,
    /// Whether changes go back to the node that they came from.
    pub ping_back: bool,
    /// When the table's turn is in an initial load by this rule.
    pub initial_load_order: i64,
    /// The condition on the source table, aliased `t`, for initial loads by this rule.
    pub initial_load_select: Option<String>,
}

/// How a rule selects nodes of its target group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RuleKind {
    /// All of them.
    Default,
    /// By comparing columns of the row.
    Column(ColumnExpression),
    /// By a lookup table in the source's database; capture asks it.
    Lookup(LookupRule),
    /// By a condition over the source's `sym_node`, aliased `c`; capture asks it.
    Subselect(Subselect),
}

impl Rule {
    /// Whether the rule applies to changes of this kind.
    pub fn applies_to(&self, operation: Operation) -> bool {
        match operation {
            Operation::Insert => self.on_insert,
            Operation::Update => self.on_update,
            Operation::Delete => self.on_delete,
        }
    }
}

impl RuleKind {
    /// Whether the source's database has to be asked for each row, so that answers travel with the batch.
    pub fn asks_database(&self) -> bool {
        matches!(self, Self::Lookup(_) | Self::Subselect(_))
    }
}
