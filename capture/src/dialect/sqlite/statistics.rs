//! How many rows a table has, on SQLite.

use symstream_shared::db::{DatabaseKind, Param};

/// A query for the number of a table's rows, counted: SQLite keeps no statistics of it.
pub(crate) fn row_estimate(schema: Option<&str>, table: &str) -> (String, Vec<Param>) {
    (
        format!(
            "select count(*) from {}",
            DatabaseKind::Sqlite.quote_table(schema, table)
        ),
        Vec::new(),
    )
}
