//! The catalog of MySQL and MariaDB.

use super::{ColumnDef, TableDef, pick};
use crate::db::{DbError, Param, Row, Sql};
use crate::logical::LogicalType;
use std::collections::HashSet;

const NAMES: &str = "select table_name from information_schema.tables \
     where table_schema = coalesce(?, database()) and lower(table_name) = lower(?) and table_type = 'BASE TABLE'";

/// `binary` on the names, because `information_schema` compares them without regard to case.
const COLUMNS: &str = "select column_name, data_type, column_type, is_nullable, character_maximum_length, \
     numeric_precision, numeric_scale, datetime_precision, extra, table_schema \
     from information_schema.columns where table_schema = coalesce(?, database()) \
     and table_name = ? and binary table_name = binary ? order by ordinal_position";

const KEY: &str = "select column_name from information_schema.statistics \
     where table_schema = coalesce(?, database()) and table_name = ? and binary table_name = binary ? \
     and index_name = 'PRIMARY' order by seq_in_index";

/// MariaDB's JSON is a longtext with this check, which bears the column's name.
const JSON_CHECKS: &str = "select constraint_name from information_schema.check_constraints \
     where constraint_schema = coalesce(?, database()) and table_name = ? \
     and replace(lower(check_clause), '`', '') = concat('json_valid(', lower(constraint_name), ')')";

pub(super) const TABLE_NAMES: &str = "select table_name from information_schema.tables where table_schema = database() and table_type = 'BASE TABLE'";

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
    let params = [wanted.clone(), name.as_str().into(), name.as_str().into()];
    let rows = sql.query(COLUMNS, &params).await?;
    let Some(first) = rows.first() else {
        return Ok(None);
    };
    let schema = first.text(9)?;
    let json = json_columns(sql, wanted, &name).await?;
    let columns = rows
        .iter()
        .map(|row| column(row, &json))
        .collect::<Result<_, _>>()?;
    let key = sql.query(KEY, &params).await?;
    let primary_key = key.iter().map(|row| row.text(0)).collect::<Result<_, _>>()?;
    Ok(Some(TableDef {
        schema: Some(schema),
        name,
        columns,
        primary_key,
    }))
}

async fn json_columns(sql: &mut dyn Sql, schema: Param, table: &str) -> Result<HashSet<String>, DbError> {
    let version = sql.query("select version()", &[]).await?;
    let mariadb = version
        .first()
        .map(|row| row.text(0))
        .transpose()?
        .is_some_and(|text| text.contains("MariaDB"));
    if !mariadb {
        return Ok(HashSet::new());
    }
    sql.query(JSON_CHECKS, &[schema, table.into()])
        .await?
        .iter()
        .map(|row| row.text(0))
        .collect()
}

fn column(row: &Row, json: &HashSet<String>) -> Result<ColumnDef, DbError> {
    let name = row.text(0)?;
    let type_name = row.text(1)?.to_lowercase();
    let sql_type = row.text(2)?;
    let extra = row.text(8)?.to_lowercase();
    let logical = if json.contains(&name) {
        LogicalType::Json
    } else {
        logical(&type_name)
    };
    let bits = type_name == "bit";
    Ok(ColumnDef {
        name,
        logical,
        nullable: row.text(3)? == "YES",
        length: if bits { row.opt_int(5)? } else { row.opt_int(4)? },
        precision: match row.opt_int(7)? {
            Some(digits) => Some(digits),
            None if bits => None,
            None => row.opt_int(5)?,
        },
        scale: row.opt_int(6)?,
        unsigned: sql_type.contains("unsigned"),
        generated: ["virtual generated", "stored generated", "persistent", "virtual"]
            .iter()
            .any(|word| extra.contains(word)),
        identity_always: false,
        auto_increment: extra.contains("auto_increment"),
        type_name,
        sql_type,
    })
}

/// `tinyint(1)` is an integer here: it may hold 5, and would not come back from a boolean.
fn logical(name: &str) -> LogicalType {
    match name {
        "tinyint" | "smallint" | "mediumint" | "int" | "bigint" | "year" => LogicalType::Int,
        "float" => LogicalType::Float32,
        "double" => LogicalType::Float64,
        "decimal" => LogicalType::Decimal,
        "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" => LogicalType::Text,
        "enum" | "set" => LogicalType::Enum,
        "json" => LogicalType::Json,
        "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => LogicalType::Bytes,
        // Geometries travel in the database's own binary form, which it reads back.
        "geometry" | "point" | "linestring" | "polygon" | "multipoint" | "multilinestring"
        | "multipolygon" | "geometrycollection" | "geomcollection" => LogicalType::Bytes,
        "bit" => LogicalType::Bits,
        "date" => LogicalType::Date,
        "time" => LogicalType::Time,
        "datetime" => LogicalType::Timestamp,
        "timestamp" => LogicalType::TimestampTz,
        "uuid" => LogicalType::Uuid,
        _ => LogicalType::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_have_their_meaning() {
        for (name, want) in [
            ("tinyint", LogicalType::Int),
            ("timestamp", LogicalType::TimestampTz),
            ("datetime", LogicalType::Timestamp),
            ("set", LogicalType::Enum),
            ("bit", LogicalType::Bits),
            ("inet6", LogicalType::Other),
        ] {
            assert_eq!(logical(name), want, "{name}");
        }
    }
}
