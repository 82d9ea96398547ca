//! What the router tells the source, and what the target tells it.

use crate::batch_status::BatchStatus;
use crate::id::{ChannelId, GroupId, NodeId};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// `data_id`s from the first to the second, both included, all of them in the batch.
pub type DataRange = (i64, i64);

/// Which rows of a captured batch a node gets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TargetRows {
    /// The node.
    pub node: NodeId,
    /// Its rows in this report.
    pub ranges: Vec<DataRange>,
    /// How many changes of the whole batch it gets; 0 but in the last report.
    pub change_count: u64,
    /// The channel is ignored for this node (`sym_node_channel_ctl.ignore_enabled`): nothing was sent, and the batch
    /// counts as `OK`.
    #[serde(default)]
    pub ignored: bool,
}

/// Which nodes get which rows of a captured batch. Sent once for each of the batch's parts that has rows, and
/// for its last part when the rows are in the nodes' lanes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RoutedReport {
    /// The source.
    pub source: NodeId,
    /// The channel.
    pub channel: ChannelId,
    /// The batch.
    pub batch_id: i64,
    /// When the source cut it, in milliseconds since 1970.
    pub created_ms: i64,
    /// When the router began with it, by the router's clock.
    pub started_ms: i64,
    /// When the last of it was stored in the lanes, by the router's clock.
    pub sent_ms: i64,
    /// The router's host.
    pub hostname: String,
    /// The nodes and their rows.
    pub targets: Vec<TargetRows>,
    /// The rows for nobody.
    pub unrouted: Vec<DataRange>,
    /// Whether this is the batch's last report.
    pub last: bool,
    /// The groups that get rows as a whole; their nodes are not in `targets`.
    #[serde(default)]
    pub groups: Vec<GroupRows>,
}

/// Which rows of a captured batch all nodes of a group get that it is for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupRows {
    /// The group.
    pub group: GroupId,
    /// Its nodes that the batch is for.
    pub nodes: Vec<NodeId>,
    /// Their rows in this report. A node does not get those that have been at it.
    pub ranges: Vec<DataRange>,
    /// How many changes the whole batch has for the group; 0 but in the last report.
    pub change_count: u64,
}

/// What became of one batch at its target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BatchResult {
    /// The batch.
    pub batch_id: i64,
    /// `OK`, `ER` or `SK`.
    #[serde(serialize_with = "status_out", deserialize_with = "status_in")]
    pub status: BatchStatus,
    /// When the loader began with it, in milliseconds since 1970 by the target's clock.
    pub start_ms: i64,
    /// When it was done or had failed.
    pub end_ms: i64,
    /// From the router's publishing to the loader's start, by both clocks; never below 0.
    pub network_ms: i64,
    /// Converting values between dialects.
    pub filter_ms: i64,
    /// In the target's database.
    pub database_ms: i64,
    /// How many changes the batch has at this node.
    pub change_count: i64,
    /// The target's host.
    pub hostname: String,
    /// What went wrong; `None` unless the status is `ER`, or an operator has passed over the batch.
    pub failure: Option<BatchFailure>,
}

/// Why a batch failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BatchFailure {
    /// The failed row's number in the batch, from 1; 0 where no single row is to blame.
    pub row_number: i64,
    /// The failed row's `data_id` at the source; 0 where there is none.
    pub data_id: i64,
    /// The SQL state, empty where the database has none.
    pub sql_state: String,
    /// The vendor's code; 0 where it has none.
    pub sql_code: i64,
    /// The message, with the table's name.
    pub message: String,
}

/// What became of batches of one lane, oldest first. `OK` for a batch says `OK` for all before it in its lane.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StatusReport {
    /// The source.
    pub source: NodeId,
    /// The target, which reports.
    pub target: NodeId,
    /// The channel.
    pub channel: ChannelId,
    /// The batches.
    pub results: Vec<BatchResult>,
    /// What the target says of itself.
    #[serde(default)]
    pub contact: Option<Contact>,
}

/// What a target tells its source beside what became of batches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// How many of its own changes this source has not applied yet, or 1 for an unknown number; 0 for none.
    pub unsent: i64,
    /// Why it wants to be loaded anew: its database was restored, or its lane has a hole that nobody fills.
    pub reload_wanted: Option<String>,
}

fn status_out<S: Serializer>(status: &BatchStatus, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(status.as_str())
}

fn status_in<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BatchStatus, D::Error> {
    String::deserialize(deserializer)?
        .parse()
        .map_err(serde::de::Error::custom)
}
