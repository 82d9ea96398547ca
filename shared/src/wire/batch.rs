//! Batches: as captured, and for one node.

use super::load::{LoadPart, Loading};
use super::older::{load_or_flag, nodes, trigger_ids};
use crate::cell::Cell;
use crate::id::{ChannelId, GroupId, NodeId};
use crate::logical::LogicalType;
use serde::{Deserialize, Serialize};

/// What happened to a row (`sym_data.event_type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Operation {
    /// `I`
    Insert,
    /// `U`
    Update,
    /// `D`
    Delete,
}

impl Operation {
    /// The letter in `sym_data.event_type`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Insert => "I",
            Self::Update => "U",
            Self::Delete => "D",
        }
    }

    /// Reads the letter; `None` for an event that is no change of a row.
    pub fn from_letter(letter: &str) -> Option<Self> {
        [Self::Insert, Self::Update, Self::Delete]
            .into_iter()
            .find(|operation| operation.as_str() == letter)
    }
}

/// A column as its changes were captured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnInfo {
    /// The name at the source.
    pub name: String,
    /// What its values mean.
    pub logical: LogicalType,
}

/// The table that changes belong to, as it was when they were captured (`sym_trigger_hist`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableInfo {
    /// `sym_trigger_hist.trigger_hist_id` at the source.
    pub hist_id: i64,
    /// The triggers (`sym_trigger.trigger_id`) that share this captured row: their rules say who gets it. Ascending,
    /// never empty (`sym_trigger_hist.trigger_ids`).
    #[serde(deserialize_with = "trigger_ids")]
    pub trigger_ids: Vec<String>,
    /// The schema at the source; `None` for the default one.
    pub source_schema: Option<String>,
    /// The table at the source.
    pub source_table: String,
    /// The schema at the target; `None` for its default one.
    pub target_schema: Option<String>,
    /// The table at the target.
    pub target_table: String,
    /// The captured columns, in the order of the rows' cells.
    pub columns: Vec<ColumnInfo>,
    /// The key's columns, as indexes into `columns`; all of them where the table has no primary key.
    pub key: Vec<u16>,
    /// `sym_trigger.sync_column_level`: an update touches only the columns that changed.
    pub column_level: bool,
}

/// One captured row event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// `sym_data.data_id` at the source; 0 in an initial load.
    pub data_id: i64,
    /// Index into the part's tables.
    pub table: u16,
    /// What happened.
    pub operation: Operation,
    /// The row after it; `None` for a delete.
    pub new: Option<Vec<Cell>>,
    /// The row before it; `None` for an insert.
    pub old: Option<Vec<Cell>>,
    /// The nodes that the change has been at before it came into the source, the one where it was made first, the one
    /// whose batch brought it last; empty where it was made at the source itself. It is never sent to any of them
    /// again, so that it ends in a ring (`sym_data.source_node_id`).
    #[serde(deserialize_with = "nodes")]
    pub path: Vec<NodeId>,
}

impl Change {
    /// About how many bytes the change takes on the wire.
    pub fn size(&self) -> usize {
        let cells = |row: &Option<Vec<Cell>>| row.iter().flatten().map(Cell::size).sum::<usize>();
        24 + cells(&self.new) + cells(&self.old)
    }
}

/// Changes with the tables they belong to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Rows {
    /// The tables that `changes` point into.
    pub tables: Vec<TableInfo>,
    /// In the order in which they have to be applied.
    pub changes: Vec<Change>,
}

/// The rule that a set of answers belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum RuleId {
    /// `sym_router.router_id`.
    Router(String),
    /// `sym_trigger.trigger_id`, for the trigger's own `node_select`.
    NodeSelect(String),
}

/// What the source's database answered for a rule that asks one (`spec/design.md`, capture): a `lookuptable`
/// gives external ids (or the rule's `ALL_NODES_VALUE`), a `subselect` and `node_select` give node ids.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RuleAnswers {
    /// The rule.
    pub rule: RuleId,
    /// The distinct sets of ids.
    pub sets: Vec<Vec<String>>,
    /// (index into the part's changes, index into `sets`), ascending; every change that the rule applies to
    /// has one, an empty set included.
    pub changes: Vec<(u32, u32)>,
}

/// A part of a batch as captured. A batch's parts follow each other on its subject; only the last one makes
/// the router act.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// The source.
    pub source: NodeId,
    /// The source's group.
    pub source_group: GroupId,
    /// The channel; `reload` for an initial load.
    pub channel: ChannelId,
    /// The batch, unique at the source for ever.
    pub batch_id: i64,
    /// The configuration that the source used, and that the router has to decide by.
    pub configuration_version: i64,
    /// When the batch was cut, in milliseconds since 1970 by the source's clock.
    pub created_ms: i64,
    /// The nodes that an initial load or a [`Request`] is for; empty for changes, whose nodes the rules find.
    #[serde(deserialize_with = "nodes")]
    pub targets: Vec<NodeId>,
    /// The changes.
    pub rows: Rows,
    /// What the rules that ask the source's database answered.
    pub answers: Vec<RuleAnswers>,
    /// What this batch is in an initial load; `None` for changes and requests.
    #[serde(deserialize_with = "load_or_flag")]
    pub load: Option<LoadPart>,
    /// The `S` or `R` event that this batch is; `None` for changes and initial loads.
    #[serde(default)]
    pub request: Option<Request>,
    /// Nodes that need a reload: the source sends them nothing until their next initial load, so they are nobody's
    /// targets.
    #[serde(default)]
    pub absent: Vec<NodeId>,
    /// The initial loads that these changes come after, each with the nodes that may not apply the batch before that
    /// load is complete.
    #[serde(default)]
    pub loading: Vec<Loading>,
}

/// An event of `sym_data` that is no change of a row. It is a batch of its own, for one node ([`Part::target`]).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// `S`: a statement to be run at the node. The part has no rows.
    Statement {
        /// `sym_data.data_id`
        data_id: i64,
        /// The SQL.
        sql: String,
    },
    /// `R`: a table, or a subset of it, to be sent again. The part's rows are what the table held when the batch was
    /// published, as inserts that all have this event's `data_id`.
    Reload {
        /// `sym_data.data_id`
        data_id: i64,
    },
}

impl Request {
    /// The event's `sym_data.data_id`.
    pub fn data_id(&self) -> i64 {
        match self {
            Self::Statement { data_id, .. } | Self::Reload { data_id } => *data_id,
        }
    }
}

/// A part of a batch for one node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LanePart {
    /// The source.
    pub source: NodeId,
    /// The node it is for.
    pub target: NodeId,
    /// The channel; `reload` for an initial load.
    pub channel: ChannelId,
    /// The batch.
    pub batch_id: i64,
    /// The batch before it in this lane; 0 for the first.
    pub previous_batch_id: i64,
    /// The source's part in which this one's rows stood; fragments of one message share the last's number.
    pub part: u32,
    /// The number of the source's last part, which every node that gets any part gets too.
    pub part_last: u32,
    /// In the last part: the parts that this node gets, ascending.
    pub parts: Vec<u32>,
    /// In the last part: how many changes this node gets in all.
    pub change_count: u64,
    /// The changes.
    pub rows: Rows,
    /// An `S` event: the statement to be run instead of rows. Such a batch has one part.
    #[serde(default)]
    pub statement: Option<String>,
    /// What this batch is in an initial load; `None` for changes and requests.
    #[serde(default)]
    pub load: Option<LoadPart>,
    /// The initial load from the same source that has to be complete before this batch is applied.
    #[serde(default)]
    pub after_load: Option<i64>,
    /// The batch was sent to a whole group: changes that have been at the node itself are not for it.
    #[serde(default)]
    pub broadcast: bool,
}
