//! How many rows a table has, on MySQL and MariaDB.

use symstream_shared::db::Param;

/// A query for the number of a table's rows, as its statistics say.
pub(crate) fn row_estimate(schema: Option<&str>, table: &str) -> (String, Vec<Param>) {
    (
        "select cast(coalesce(table_rows, 0) as signed) from information_schema.tables \
         where table_schema = coalesce(?, database()) and table_name = ?"
            .to_owned(),
        vec![schema.into(), table.into()],
    )
}
