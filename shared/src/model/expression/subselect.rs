//! `subselect` routers and `node_select`: a condition over the node table.

use super::{ColumnRef, ExpressionError};

/// A condition over `sym_node`, aliased `c`, that may name columns of the changed row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subselect {
    /// The condition in pieces: SQL as it stands, and columns whose values belong in between.
    pub pieces: Vec<SubselectPiece>,
}

/// One piece of a [`Subselect`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubselectPiece {
    /// SQL text.
    Sql(String),
    /// `:COL`, `:OLD_COL`: the value of a column of the changed row.
    Column(ColumnRef),
    /// `:NODE_GROUP_ID`: the rule's target group.
    TargetGroup,
}

impl Subselect {
    /// Reads a condition; a leading `where` is left out.
    ///
    /// # Errors
    /// [`ExpressionError`] when it is empty, or quotes or parentheses are not balanced.
    pub fn parse(_text: &str) -> Result<Self, ExpressionError> {
        unimplemented!()
    }
}
