//! What happens: writes in transactions, in phases with quiet between them, and what disturbs them.

use super::write::Write;

/// What happens, in order.
#[derive(Debug)]
pub struct History {
    /// What the registration server has before any node is there.
    pub before: Vec<Transaction>,
    /// Everything is quiet after each.
    pub phases: Vec<Phase>,
}

/// What the nodes write at the same time.
#[derive(Debug)]
pub struct Phase {
    /// One after the other on each connection; the connections at the same time.
    pub connections: Vec<Connection>,
    /// What else happens meanwhile.
    pub disturbances: Vec<Disturbance>,
    /// What is reloaded when everything is quiet again.
    pub reloads: Vec<Reload>,
    /// The first and the last step of the writes.
    pub steps: (i64, i64),
    /// The last step of all.
    pub last: i64,
}

/// What happens beside the writes of a phase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disturbance {
    /// The node takes nothing of the channel until the writes are over.
    Suspend {
        /// The node's index.
        node: usize,
        /// The channel.
        channel: String,
    },
    /// No node sends anything on the channel until the writes are over.
    Close {
        /// The channel.
        channel: String,
    },
    /// The node gets none of what is written on the channel.
    Ignore {
        /// The node's index.
        node: usize,
        /// The channel.
        channel: String,
    },
    /// The node gets nothing of what is written.
    Disable {
        /// The node's index.
        node: usize,
    },
    /// The node's services end and start again.
    Restart {
        /// The node's index.
        node: usize,
    },
    /// The node's services are killed and start again.
    Kill {
        /// The node's index.
        node: usize,
    },
    /// A table is reloaded while it is written.
    Reload(Reload),
}

impl Disturbance {
    /// Whether services end.
    pub fn ends_services(&self) -> bool {
        matches!(self, Self::Restart { .. } | Self::Kill { .. })
    }
}

/// A table is reloaded at a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reload {
    /// The step.
    pub step: i64,
    /// From there; the node's index.
    pub from: usize,
    /// To there.
    pub to: usize,
    /// The table's index.
    pub table: usize,
}

/// One writer at one node.
#[derive(Debug)]
pub struct Connection {
    /// The node's index.
    pub node: usize,
    /// What it writes.
    pub transactions: Vec<Transaction>,
}

/// One transaction.
#[derive(Debug, Clone)]
pub struct Transaction {
    /// What it does.
    pub pieces: Vec<Piece>,
    /// Whether it commits.
    pub commits: bool,
}

/// A part of a transaction.
#[derive(Debug, Clone)]
pub enum Piece {
    /// Statements.
    Plain(Vec<Write>),
    /// Statements behind a savepoint.
    Savepoint {
        /// The statements.
        writes: Vec<Write>,
        /// Whether the savepoint is released; else it is rolled back to.
        released: bool,
    },
}
