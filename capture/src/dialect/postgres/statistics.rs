//! How many rows a table has, on PostgreSQL.

use symstream_shared::db::Param;

/// A query for the number of a table's rows, as its statistics say.
pub(crate) fn row_estimate(schema: Option<&str>, table: &str) -> (String, Vec<Param>) {
    (
        "select cast(greatest(c.reltuples, 0) as bigint) from pg_class c join pg_namespace n on n.oid = c.relnamespace \
         where n.nspname = coalesce(?, current_schema()) and c.relname = ?"
            .to_owned(),
        vec![schema.into(), table.into()],
    )
}
