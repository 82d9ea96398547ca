//! What can be wrong with a configuration.

use super::expression::ExpressionError;
use crate::db::DbError;

/// Why a configuration can not be used.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A value is not what its column may hold.
    #[error("table {table}, row {key}, column {column}: {why}")]
    Value {
        /// The table, without the prefix.
        table: String,
        /// The row's key, e.g. `trigger_id=patients`.
        key: String,
        /// The column.
        column: String,
        /// What is wrong.
        why: String,
    },
    /// A router's or a trigger's expression is not understood.
    #[error("table {table}, row {key}, column {column}: {source}")]
    Expression {
        /// `router` or `trigger`.
        table: String,
        /// The row's key, e.g. `router_id=select_local`.
        key: String,
        /// `router_expression` or `node_select`.
        column: &'static str,
        /// What is wrong.
        source: ExpressionError,
    },
    /// The database could not be read.
    #[error(transparent)]
    Database(#[from] DbError),
}
