//! `lookuptable` routers: a table of the source's database says who gets a row.

use super::ExpressionError;

/// `LOOKUP_TABLE=… KEY_COLUMN=… LOOKUP_KEY_COLUMN=… EXTERNAL_ID_COLUMN=… [ALL_NODES_VALUE=…]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookupRule {
    /// `LOOKUP_TABLE`'s schema, where the table is written as `schema.table`.
    pub lookup_schema: Option<String>,
    /// `LOOKUP_TABLE`
    pub lookup_table: String,
    /// `KEY_COLUMN`: the changed row's column that is looked up.
    pub key_column: String,
    /// `LOOKUP_KEY_COLUMN`: the lookup table's column that it is looked up in.
    pub lookup_key_column: String,
    /// `EXTERNAL_ID_COLUMN`: the lookup table's column with the external ids of the nodes.
    pub external_id_column: String,
    /// `ALL_NODES_VALUE`: in place of an external id it stands for every node of the group.
    pub all_nodes_value: Option<String>,
}

impl LookupRule {
    /// Reads an expression.
    ///
    /// # Errors
    /// [`ExpressionError`] that says which key is missing, unknown or given twice.
    pub fn parse(_text: &str) -> Result<Self, ExpressionError> {
        unimplemented!()
    }
}
