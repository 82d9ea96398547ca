//! PostgreSQL's catalog.

use super::{ColumnDef, TableDef, pick};
use crate::db::{DbError, Param, Row, Sql};
use crate::logical::LogicalType;

/// Tables, partitioned tables and foreign tables; a view has no rows of its own.
const NAMES: &str = "select c.relname::text from pg_class c join pg_namespace n on n.oid = c.relnamespace \
     where n.nspname = coalesce(cast(? as text), current_schema()) and lower(c.relname) = lower(?) \
     and c.relkind in ('r', 'p')";

/// One row a column; a domain is followed down to the type that its values have.
const COLUMNS: &str = "with recursive base(attnum, type, typmod) as (\
     select a.attnum, a.atttypid, a.atttypmod from pg_attribute a \
     where a.attrelid = cast(? as bigint)::oid and a.attnum > 0 and not a.attisdropped \
     union all select b.attnum, t.typbasetype, t.typtypmod from base b join pg_type t on t.oid = b.type \
     where t.typtype = 'd') \
     select a.attname::text, t.typname::text, format_type(a.atttypid, a.atttypmod), t.typtype::text, \
     t.typcategory::text, b.typmod, a.attnotnull, a.attgenerated::text, a.attidentity::text, \
     coalesce(pg_get_expr(d.adbin, d.adrelid), '') \
     from base b join pg_type t on t.oid = b.type and t.typtype <> 'd' \
     join pg_attribute a on a.attrelid = cast(? as bigint)::oid and a.attnum = b.attnum \
     left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum \
     order by a.attnum";

const KEY: &str = "select a.attname::text from pg_index i \
     cross join lateral unnest(i.indkey::int2[]) with ordinality as k(attnum, place) \
     join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum \
     where i.indrelid = cast(? as bigint)::oid and i.indisprimary and k.place <= i.indnkeyatts order by k.place";

pub(super) const TABLE_NAMES: &str = "select c.relname::text from pg_class c join pg_namespace n \
     on n.oid = c.relnamespace where n.nspname = current_schema() and c.relkind in ('r', 'p') and not c.relispartition";

pub(super) async fn read_table(
    sql: &mut dyn Sql,
    schema: Option<&str>,
    name: &str,
) -> Result<Option<TableDef>, DbError> {
    let wanted = Param::from(schema.map(str::to_owned));
    let rows = sql.query(NAMES, &[wanted.clone(), name.into()]).await?;
    let names = rows
        .iter()
        .map(|row| row.text(0))
        .collect::<Result<Vec<_>, _>>()?;
    let Some(name) = pick(name, names)? else {
        return Ok(None);
    };
    let place = "select c.oid::bigint, n.nspname::text from pg_class c join pg_namespace n on n.oid = c.relnamespace \
                 where n.nspname = coalesce(cast(? as text), current_schema()) and c.relname = ?";
    let Some(row) = sql.query_opt(place, &[wanted, name.as_str().into()]).await? else {
        return Ok(None);
    };
    let (oid, schema) = (row.int(0)?, row.text(1)?);
    let columns = sql.query(COLUMNS, &[oid.into(), oid.into()]).await?;
    let key = sql.query(KEY, &[oid.into()]).await?;
    Ok(Some(TableDef {
        schema: Some(schema),
        name,
        columns: columns.iter().map(column).collect::<Result<_, _>>()?,
        primary_key: key.iter().map(|row| row.text(0)).collect::<Result<_, _>>()?,
    }))
}

/// One row for the type that a type's values have, with the columns of [`COLUMNS`].
const TYPE: &str = "with recursive base(type, typmod) as (\
     select cast(? as bigint)::oid, -1 \
     union all select t.typbasetype, t.typtypmod from base b join pg_type t on t.oid = b.type \
     where t.typtype = 'd') \
     select ''::text, t.typname::text, format_type(t.oid, b.typmod), t.typtype::text, t.typcategory::text, b.typmod, \
     false, ''::text, ''::text, ''::text from base b join pg_type t on t.oid = b.type and t.typtype <> 'd'";

pub(super) async fn column_of_type(sql: &mut dyn Sql, oid: i64) -> Result<Option<ColumnDef>, DbError> {
    let row = sql.query_opt(TYPE, &[oid.into()]).await?;
    row.as_ref().map(column).transpose()
}

fn column(row: &Row) -> Result<ColumnDef, DbError> {
    let type_name = row.text(1)?;
    let logical = logical(&type_name, &row.text(3)?, &row.text(4)?);
    let (length, precision, scale) = limits(&type_name, row.int(5)?);
    let identity = row.text(8)?;
    Ok(ColumnDef {
        name: row.text(0)?,
        sql_type: row.text(2)?,
        logical,
        nullable: row.int(6)? == 0,
        length,
        precision,
        scale,
        unsigned: false,
        generated: !row.text(7)?.is_empty(),
        identity_always: identity == "a",
        auto_increment: !identity.is_empty() || row.text(9)?.starts_with("nextval("),
        type_name,
    })
}

/// `kind` is `pg_type.typtype`, `category` is `pg_type.typcategory`.
fn logical(name: &str, kind: &str, category: &str) -> LogicalType {
    match (kind, category) {
        ("e", _) => return LogicalType::Enum,
        (_, "A") => return LogicalType::Array,
        _ => {}
    }
    match name {
        "bool" => LogicalType::Bool,
        "int2" | "int4" | "int8" | "oid" => LogicalType::Int,
        "float4" => LogicalType::Float32,
        "float8" => LogicalType::Float64,
        "numeric" => LogicalType::Decimal,
        "text" | "varchar" | "bpchar" | "name" | "citext" => LogicalType::Text,
        "json" | "jsonb" => LogicalType::Json,
        "bytea" => LogicalType::Bytes,
        "bit" | "varbit" => LogicalType::Bits,
        "date" => LogicalType::Date,
        "time" => LogicalType::Time,
        "timetz" => LogicalType::TimeTz,
        "timestamp" => LogicalType::Timestamp,
        "timestamptz" => LogicalType::TimestampTz,
        "interval" => LogicalType::Interval,
        "uuid" => LogicalType::Uuid,
        _ => LogicalType::Other,
    }
}

/// Length, precision and scale out of `atttypmod`, which packs them in a way of its own for each type.
fn limits(name: &str, typmod: i64) -> (Option<i64>, Option<i64>, Option<i64>) {
    if typmod < 0 {
        return (None, None, None);
    }
    match name {
        "varchar" | "bpchar" => (Some(typmod - 4), None, None),
        "bit" | "varbit" => (Some(typmod), None, None),
        "numeric" => {
            let packed = typmod - 4;
            // The scale is an 11-bit signed number since PostgreSQL 15.
            let scale = ((packed & 0x7ff) ^ 1024) - 1024;
            (None, Some((packed >> 16) & 0xffff), Some(scale))
        }
        "time" | "timetz" | "timestamp" | "timestamptz" => (None, Some(typmod), None),
        _ => (None, None, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_have_their_meaning() {
        for (name, kind, category, want) in [
            ("int4", "b", "N", LogicalType::Int),
            ("_int4", "b", "A", LogicalType::Array),
            ("mood", "e", "E", LogicalType::Enum),
            ("money", "b", "N", LogicalType::Other),
            ("inet", "b", "I", LogicalType::Other),
            ("timetz", "b", "D", LogicalType::TimeTz),
            ("varbit", "b", "V", LogicalType::Bits),
            ("address", "c", "C", LogicalType::Other),
        ] {
            assert_eq!(logical(name, kind, category), want, "{name}");
        }
    }

    #[test]
    fn typmods_are_unpacked() {
        assert_eq!(limits("varchar", 54), (Some(50), None, None));
        assert_eq!(limits("numeric", ((12 << 16) | 2) + 4), (None, Some(12), Some(2)));
        assert_eq!(
            limits("numeric", ((3 << 16) | (-2 & 0x7ff)) + 4),
            (None, Some(3), Some(-2))
        );
        assert_eq!(limits("numeric", -1), (None, None, None));
        assert_eq!(limits("timestamp", 3), (None, Some(3), None));
    }
}
