//! Why a part of the capture agent gave up, and what is done about it.

use crate::decode::{DecodeError, HistError};
use symstream_nats::BusError;
use symstream_shared::db::DbError;
use symstream_shared::id::{EngineName, NodeId};
use symstream_shared::model::ModelError;
use symstream_shared::retry::Disposition;
use symstream_shared::wire::{RuleId, WireError};

/// Why the capture agent, or one of its loops, could not go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The source's database refused, or can not be reached.
    #[error(transparent)]
    Database(#[from] DbError),
    /// NATS refused, or can not be reached.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// The configuration can not be used.
    #[error("configuration: {0}")]
    Configuration(#[from] ModelError),
    /// A body can not be written or read.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// A rule that asks the database failed. Its channel waits: a row is never sent to nobody because of an error.
    #[error("{} for table {table}: {reason}", rule_name(.rule))]
    Rule {
        /// The rule.
        rule: RuleId,
        /// The table whose changes it was asked about.
        table: String,
        /// What the database said, or which name it does not know.
        reason: String,
        /// What to do about it.
        disposition: Disposition,
    },
    /// It is not known how captured rows are laid out.
    #[error(transparent)]
    History(#[from] HistError),
    /// A captured row is not what its history describes.
    #[error(
        "captured row {data_id} of table {table}: {source}. Its columns and their types are those of trigger history \
         {hist_id}; if the table was altered before it was captured, write row_data and old_data in sym_data as these \
         types are written"
    )]
    Row {
        /// `data_id`
        data_id: i64,
        /// Its table.
        table: String,
        /// The history that says what it is.
        hist_id: i64,
        /// What is wrong with it.
        source: DecodeError,
    },
    /// A `sym_` table holds what no version of this program writes.
    #[error("table {table}: {why}")]
    Damaged {
        /// The table.
        table: String,
        /// What is wrong with it.
        why: String,
    },
    /// The batch's file of encoded messages can not be written or read.
    #[error("temporary file for a large batch")]
    Spool(#[source] std::io::Error),
    /// Another capture agent moved the node's position.
    #[error("another capture agent works on this node")]
    Displaced,
    /// An initial load needs a table whose triggers are not there, or not as the table is now.
    #[error("table {table} has no triggers that fit it yet")]
    NotCaptured {
        /// The table.
        table: String,
    },
    /// Nobody wants an initial load any more, or its snapshot does not count any more.
    #[error("initial load {0} is over")]
    LoadOver(i64),
    /// A task ended in a way that it never should.
    #[error("a task of the agent ended unexpectedly: {0}")]
    Task(String),
    /// Another capture agent is at work on this node.
    #[error("another capture agent has it")]
    Locked,
    /// The connection that held the node's lock is gone.
    #[error("the node's lock was lost with its connection")]
    LockLost,
    /// The registration server said no.
    #[error("registration refused: {0}")]
    Refused(String),
    /// Nobody said anything where the registration server sent the node to.
    #[error("registration: {0}")]
    Unanswered(String),
    /// The node takes no part any more.
    #[error(
        "node {node} was removed at {server}: it sends and takes nothing any more, and waits to be registered again; \
         if that is not to happen, stop it and remove its triggers with symadmin uninstall"
    )]
    Removed {
        /// The node.
        node: NodeId,
        /// The registration server's engine.
        server: EngineName,
    },
    /// The engine's settings can not work.
    #[error("{0}")]
    Settings(String),
    /// The database is older than what was already published from it; a new epoch begins ([`crate::restored`]).
    #[error("{0}")]
    Restored(String),
}

impl Error {
    /// What is done about it.
    pub fn disposition(&self) -> Disposition {
        match self {
            Self::Database(err) => err.disposition,
            Self::Bus(err) if err.is_fatal() => Disposition::Fatal,
            Self::Bus(_)
            | Self::Spool(_)
            | Self::Displaced
            | Self::NotCaptured { .. }
            | Self::LoadOver(_)
            | Self::Task(_)
            | Self::Locked
            | Self::LockLost
            | Self::Refused(_)
            | Self::Restored(_)
            | Self::Unanswered(_) => Disposition::Retry,
            Self::Configuration(ModelError::Database(err)) | Self::History(HistError::Db(err)) => {
                err.disposition
            }
            // Goes away by itself: triggers are synchronised again every few seconds.
            Self::History(HistError::Altered { .. }) => Disposition::Retry,
            Self::Configuration(_)
            | Self::Wire(_)
            | Self::History(
                HistError::Missing(_) | HistError::KeyLost { .. } | HistError::Unreadable { .. },
            )
            | Self::Row { .. }
            | Self::Damaged { .. } => Disposition::Hold,
            Self::Rule { disposition, .. } => *disposition,
            // It ends the agent's loops, and the agent begins anew.
            Self::Removed { .. } => Disposition::Fatal,
            Self::Settings(_) => Disposition::Fatal,
        }
    }
}

/// How messages name a rule.
pub(crate) fn rule_name(rule: &RuleId) -> String {
    match rule {
        RuleId::Router(id) => format!("router {id}"),
        RuleId::NodeSelect(trigger) => format!("node_select of trigger {trigger}"),
    }
}
