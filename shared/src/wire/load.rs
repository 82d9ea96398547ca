//! Initial loads.
//!
//! A load reads one snapshot of its source. Its number is a batch id that the source gave out when it took the snapshot:
//! batches with lower ids hold changes that the snapshot holds too, batches with higher ids those that came after it.
//! So the target needs no mark in its lanes: a load that begins lets every lane from its source jump to the load's
//! number ([`LoadBegin`]), what comes behind names the load ([`Loading`]) and waits until it is complete.

use crate::id::{ChannelId, NodeId};
use serde::{Deserialize, Serialize};

/// A batch of an initial load.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadPart {
    /// The load.
    pub load_id: i64,
    /// What the batch is in it.
    pub step: LoadStep,
}

/// The batches of a load, in their order: one `Begin`, any number of `Early` and `Rows`, one `End` or `Cancelled`. A load that was
/// interrupted has no end; the next one of the same source takes its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum LoadStep {
    /// The lanes jump, what is asked for is cleared and created.
    Begin(LoadBegin),
    /// Rows: inserts of what the snapshot holds, updates that close circles of foreign keys, and last the deletes of
    /// rows that the target may still have and the snapshot does not.
    Rows,
    /// Deletes that make place for rows which come behind them and have a unique value of theirs. One that a foreign key
    /// refuses is left out: it comes again among the last `Rows`.
    Early,
    /// The load is complete; the lanes go on.
    End,
    /// An operator ended it: the lanes go on with what is there.
    Cancelled,
}

/// How a load begins at its target. Applied in one transaction.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadBegin {
    /// Tables that are created where the target lacks them, as a DdlUtils XML document (`spec/contract.md`, the clinic);
    /// `None`: none (`initial.load.create.first`).
    pub create: Option<String>,
    /// The tables whose rows are deleted first, in this order: children before parents (`initial.load.delete.first`,
    /// and every load after lanes were dropped).
    pub clear: Vec<ClearTable>,
    /// How far the snapshot knows what each target itself has changed: rows that a target changed later are newer than
    /// the load's, and stay.
    pub seen: Vec<Seen>,
}

/// A table that is emptied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClearTable {
    /// Its schema at the target; `None` for the default one.
    pub schema: Option<String>,
    /// Its name there.
    pub table: String,
}

/// The last batch of one of a target's channels that the load's source had applied in the snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The load's target, which is that batch's source.
    pub node: NodeId,
    /// Its channel.
    pub channel: ChannelId,
    /// Its batch.
    pub batch_id: i64,
}

/// Nodes that are being loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loading {
    /// The load.
    pub load_id: i64,
    /// Its targets.
    pub nodes: Vec<NodeId>,
}
