//! Why a batch can not be routed, and the one answer to each reason.

use symstream_nats::BusError;
use symstream_shared::db::DbError;
use symstream_shared::id::{GroupId, NodeId};
use symstream_shared::model::{BindError, ModelError};
use symstream_shared::wire::WireError;

/// What the service ends with: only what a person has to change.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The settings for NATS can not work, or its server is too old.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// The registration server's database refuses.
    #[error(transparent)]
    Database(#[from] DbError),
    /// A setting is not valid.
    #[error("{0}")]
    Settings(String),
    /// A part of the service ended for a reason that nobody thought of.
    #[error("the router's {0} ended unexpectedly")]
    Crashed(String),
}

/// Why a part can not be routed. Nothing of its batch goes out then, and its source's lanes of this channel
/// wait: a row is never sent to nobody because of an error.
#[derive(Debug, thiserror::Error)]
pub enum DecideError {
    /// A rule names a column that the table does not have.
    #[error("rule {rule}: {source}")]
    Column {
        /// The rule.
        rule: String,
        /// Which column.
        source: BindError,
    },
    /// The source did not say what its database answers for a rule that asks it.
    #[error(
        "rule {rule}: the source sent no answer for data_id {data_id} of table {table}; if the rule was another one \
         when this was captured, put that one back until it is routed"
    )]
    NoAnswer {
        /// The rule.
        rule: String,
        /// The table.
        table: String,
        /// The change.
        data_id: i64,
    },
    /// The part contradicts itself.
    #[error("change {change} of the part belongs to table {table}, of which the part has {count}")]
    NoTable {
        /// The change's index.
        change: usize,
        /// Its table's index.
        table: u16,
        /// How many tables there are.
        count: usize,
    },
    /// More tables than a part can count.
    #[error("the part's rows go to {0} tables; a part can have 65,535")]
    TooManyTables(usize),
    /// The source says that it belongs to a group that it does not belong to.
    #[error(
        "node {node} sends as one of group {group}, but version {version} of the configuration says otherwise"
    )]
    ForeignGroup {
        /// The source.
        node: NodeId,
        /// What it says.
        group: GroupId,
        /// The version.
        version: i64,
    },
}

/// Why a batch is not routed now.
#[derive(Debug, thiserror::Error)]
pub enum RouteError {
    /// Another router wrote what this one was about to write.
    #[error("another router took over: {0}")]
    TakenOver(String),
    /// NATS is away, or refuses.
    #[error(transparent)]
    Bus(BusError),
    /// A rule can not be applied.
    #[error(transparent)]
    Decide(#[from] DecideError),
    /// NATS does not have the configuration that the source used.
    #[error("version {0} of the configuration, by which the batch was captured, is not in nats")]
    NoConfiguration(i64),
    /// That configuration can not be used.
    #[error("version {version} of the configuration: {source}")]
    Configuration {
        /// The version.
        version: i64,
        /// What is wrong with it.
        source: ModelError,
    },
    /// A body is not what capture writes.
    #[error("part {part}: {source}")]
    Wire {
        /// The message's part.
        part: u32,
        /// What is wrong with it.
        source: WireError,
    },
    /// A body and its headers, or the parts of one batch, do not belong together.
    #[error("part {part}: {why}")]
    Part {
        /// The message's part.
        part: u32,
        /// What is wrong with it.
        why: String,
    },
    /// NATS does not have all parts of the batch any more.
    #[error("the stream does not have part {0} any more")]
    PartGone(u32),
    /// NATS does not have all held batches any more.
    #[error(
        "batches that waited from {from} to {through} in the stream are gone from it (older than its max_age, or \
         deleted) before they were routed: their changes are lost to the nodes that should get them"
    )]
    HeldGone {
        /// The sequence from which on nothing is routed.
        from: u64,
        /// The sequence of the last message that waits.
        through: u64,
    },
}

impl From<BusError> for RouteError {
    fn from(err: BusError) -> Self {
        match err {
            BusError::Fenced { .. } => Self::TakenOver(err.to_string()),
            err => Self::Bus(err),
        }
    }
}

/// What is done with a batch that was not routed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Try again after a pause: it works without anybody's help.
    Retry,
    /// Leave it to the router that took over.
    Leave,
    /// Let it and what follows it in its source and channel wait; all others go on.
    Hold,
}

impl RouteError {
    /// Whether another version of the configuration may help.
    pub fn is_of_configuration(&self) -> bool {
        matches!(
            self,
            Self::Decide(_) | Self::NoConfiguration(_) | Self::Configuration { .. }
        )
    }

    /// The one answer to this error.
    pub fn answer(&self) -> Answer {
        match self {
            Self::TakenOver(_) => Answer::Leave,
            Self::Bus(BusError::Malformed { .. }) => Answer::Hold,
            Self::Bus(_) => Answer::Retry,
            Self::Decide(_)
            | Self::NoConfiguration(_)
            | Self::Configuration { .. }
            | Self::Wire { .. }
            | Self::Part { .. }
            | Self::PartGone(_)
            | Self::HeldGone { .. } => Answer::Hold,
        }
    }
}
