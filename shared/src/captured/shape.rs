//! The shape of a table on PostgreSQL: a number that is another one once its columns are.

use crate::db::{DatabaseKind, DbError, Sql};

/// The select that gives a table's shape; the table's `oid` stands between the two pieces. Positive, and 1 for a
/// table that is not there, as after a restored dump.
pub const SHAPE_OF: (&str, &str) = (
    "select 1 + coalesce(hashtext(string_agg(attname || ' ' || atttypid || ' ' || atttypmod, ',' order by attnum)) \
     & 2147483646, 0)::bigint from pg_attribute where attrelid =",
    "and attnum > 0 and not attisdropped",
);

/// The shape that a table has now, where triggers tell shapes apart.
///
/// # Errors
/// [`DbError`] as the database says.
pub(super) async fn now(
    sql: &mut dyn Sql,
    schema: Option<&str>,
    table: &str,
) -> Result<Option<i64>, DbError> {
    match sql.kind() {
        DatabaseKind::Postgres => {}
        DatabaseKind::Mysql | DatabaseKind::Sqlite => return Ok(None),
    }
    let name = DatabaseKind::Postgres.quote_table(schema, table);
    let select = format!("{} to_regclass(?) {}", SHAPE_OF.0, SHAPE_OF.1);
    let row = sql.query_opt(&select, &[name.into()]).await?;
    row.map_or(Ok(Some(0)), |row| row.int(0).map(Some))
}
