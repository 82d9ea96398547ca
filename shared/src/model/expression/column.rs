//! `column` routers: comparisons of columns.

use super::{ColumnRef, ExpressionError};

/// Comparisons; a node is selected when any of them holds for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnExpression {
    /// At least one.
    pub any_of: Vec<Comparison>,
}

/// One comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// The left side.
    pub column: ColumnRef,
    /// What has to hold.
    pub operator: Operator,
    /// The right side.
    pub value: CompareWith,
}

/// How the two sides are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `=`
    Equals,
    /// `!=`
    NotEquals,
    /// `contains`: the column's text has the value among its comma-separated parts.
    Contains,
    /// `not contains`
    NotContains,
}

/// What a column is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CompareWith {
    /// `:NODE_ID`: the target node's id.
    NodeId,
    /// `:EXTERNAL_ID`: the target node's external id.
    ExternalId,
    /// `:NODE_GROUP_ID`: the target node's group.
    NodeGroupId,
    /// `:COL`, `:OLD_COL`: another column of the row.
    Column(ColumnRef),
    /// `NULL`
    Null,
    /// Any other text, in single quotes or bare.
    Literal(String),
}

impl ColumnExpression {
    /// Reads an expression.
    ///
    /// # Errors
    /// [`ExpressionError`] that says which piece is not understood.
    pub fn parse(_text: &str) -> Result<Self, ExpressionError> {
        unimplemented!()
    }
}
