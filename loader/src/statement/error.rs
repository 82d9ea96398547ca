//! Why a statement holds its lane, and what an operator can do.

use symstream_shared::db::DbError;

/// A statement that was not run, or failed.
#[derive(Debug, thiserror::Error)]
#[error("{reason}; {}to pass over it: {pass_over}", .reason.not_again())]
pub(crate) struct StatementError {
    reason: Reason,
    /// The statement by which an operator passes over it.
    pass_over: String,
}

/// Why.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Reason {
    /// No code comes from elsewhere (`spec/hard-cases.md`, 31).
    #[error(
        "a statement from node {0} is not run: it may come only from the registration server's node, and where a \
         link leads from that node's group to this one's"
    )]
    NotAllowed(String),
    /// Nobody can tell whether it comes from the right one.
    #[error(
        "a statement from node {source_node} is not run: it may come only from the registration server's node, and \
         which that is is not known here, because created_at_node_id is null in this node's own row of {node_table}"
    )]
    ServerUnknown { source_node: String, node_table: String },
    /// It was begun before.
    #[error("the statement was begun before, and may have had its effect in part or as a whole")]
    Begun,
    /// It failed, and left nothing behind.
    #[error("the statement failed: {0}")]
    Failed(DbError),
    /// It failed when it had committed something.
    #[error("the statement failed, and part of it may be committed: {0}")]
    FailedInPart(DbError),
    /// It ended a transaction that it must not end.
    #[error(
        "the statement ended the transaction in which it runs (leave begin, commit and rollback out of it)"
    )]
    EndedTransaction,
}

impl StatementError {
    pub(crate) fn new(reason: Reason, pass_over: String) -> Self {
        Self { reason, pass_over }
    }

    /// The database's answer; `None` where it was not asked, or did not refuse.
    pub(crate) fn database(&self) -> Option<&DbError> {
        match &self.reason {
            Reason::Failed(err) | Reason::FailedInPart(err) => Some(err),
            Reason::NotAllowed(_)
            | Reason::ServerUnknown { .. }
            | Reason::Begun
            | Reason::EndedTransaction => None,
        }
    }
}

impl Reason {
    /// For what may have left something behind.
    fn not_again(&self) -> &'static str {
        match self {
            Self::NotAllowed(_) | Self::ServerUnknown { .. } | Self::Failed(_) => "",
            Self::Begun | Self::FailedInPart(_) | Self::EndedTransaction => {
                "it is not run again by itself: see what it did, and set statement_batch_id to null to have it run again; "
            }
        }
    }
}
