//! The expressions of rules, parsed when the configuration is read (the syntax is SymmetricDS 3's).

mod column;
mod evaluate;
mod lookup;
mod scanner;
mod subselect;

pub use column::{ColumnExpression, CompareWith, Comparison, Operator};
pub use evaluate::{BindError, BoundExpression, NodeAttribute, Selected};
pub use lookup::LookupRule;
pub use subselect::{Subselect, SubselectPiece};

/// Why an expression is not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ExpressionError(pub(super) String);

/// A column of the changed row. Names match whatever their case.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ColumnRef {
    /// The column's name as written, without `OLD_`.
    pub name: String,
    /// Whether the value before the change is meant.
    pub old: bool,
}

impl ColumnRef {
    /// Reads `COL` or `OLD_COL`.
    pub(super) fn new(text: &str) -> Self {
        match text.get(..4) {
            Some(prefix) if prefix.eq_ignore_ascii_case("old_") && text.len() > 4 => Self {
                name: text[4..].to_owned(),
                old: true,
            },
            _ => Self {
                name: text.to_owned(),
                old: false,
            },
        }
    }
}
