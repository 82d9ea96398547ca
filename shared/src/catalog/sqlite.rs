//! SQLite's catalog. A column's declaration is a hint only: values have types of their own.

use super::{ColumnDef, TableDef, pick};
use crate::db::{DatabaseKind, DbError, Row, Sql};
use crate::logical::LogicalType;

pub(super) const TABLE_NAMES: &str = "select name from pragma_table_list where schema = 'main' and type = 'table' \
     and name not like 'sqlite\\_%' escape '\\'";

pub(super) async fn read_table(
    sql: &mut dyn Sql,
    schema: Option<&str>,
    name: &str,
) -> Result<Option<TableDef>, DbError> {
    // A trigger sees its own database file only, so another schema than `main` is none of ours.
    let schema = schema.unwrap_or("main");
    let from = DatabaseKind::Sqlite.quote_table(Some(schema), "sqlite_master");
    let names = sql
        .query(
            &format!("select name from {from} where type = 'table' and lower(name) = lower(?)"),
            &[name.into()],
        )
        .await?;
    let names = names
        .iter()
        .map(|row| row.text(0))
        .collect::<Result<Vec<_>, _>>()?;
    let Some(name) = pick(name, names)? else {
        return Ok(None);
    };
    let rows = sql
        .query(
            "select name, type, \"notnull\", pk, hidden from pragma_table_xinfo(?, ?) where hidden <> 1 order by cid",
            &[name.as_str().into(), schema.into()],
        )
        .await?;
    let mut key = Vec::new();
    for row in &rows {
        let place = row.int(3)?;
        if place > 0 {
            key.push((place, row.text(0)?));
        }
    }
    key.sort();
    let single_key = key.len() == 1;
    Ok(Some(TableDef {
        schema: None,
        name,
        columns: rows
            .iter()
            .map(|row| column(row, single_key))
            .collect::<Result<_, _>>()?,
        primary_key: key.into_iter().map(|(_, name)| name).collect(),
    }))
}

fn column(row: &Row, single_key: bool) -> Result<ColumnDef, DbError> {
    let sql_type = row.text(1)?;
    let (type_name, limits) = split(&sql_type);
    let logical = logical(&type_name);
    let decimal = logical == LogicalType::Decimal;
    Ok(ColumnDef {
        name: row.text(0)?,
        nullable: row.int(2)? == 0,
        length: limits.0.filter(|_| !decimal),
        precision: limits.0.filter(|_| decimal),
        scale: limits.1.filter(|_| decimal),
        unsigned: false,
        generated: row.int(4)? > 1,
        identity_always: false,
        auto_increment: single_key && row.int(3)? > 0 && type_name == "integer",
        type_name,
        sql_type,
        logical,
    })
}

/// `VARCHAR(50)` is `varchar` and 50, `decimal(10, 2)` is `decimal`, 10 and 2.
fn split(declared: &str) -> (String, (Option<i64>, Option<i64>)) {
    let lower = declared.trim().to_lowercase();
    let Some((name, rest)) = lower.split_once('(') else {
        return (lower, (None, None));
    };
    let mut numbers = rest
        .split(')')
        .next()
        .unwrap_or("")
        .split(',')
        .map(|number| number.trim().parse().ok());
    (
        name.trim().to_owned(),
        (numbers.next().flatten(), numbers.next().flatten()),
    )
}

/// Names of types as people write them in SQLite, the more special first. `name` is in lower case.
fn logical(name: &str) -> LogicalType {
    let has = |part: &str| name.contains(part);
    if name.is_empty() {
        LogicalType::Any
    } else if has("bool") {
        LogicalType::Bool
    } else if has("interval") {
        LogicalType::Other
    } else if has("datetime") || has("timestamp") {
        LogicalType::Timestamp
    } else if has("date") {
        LogicalType::Date
    } else if has("time") {
        LogicalType::Time
    } else if has("uuid") || has("guid") {
        LogicalType::Uuid
    } else if has("json") {
        LogicalType::Json
    } else if has("int") || has("serial") {
        LogicalType::Int
    } else if has("char") || has("clob") || has("text") {
        LogicalType::Text
    } else if has("blob") || has("binary") || has("bytea") {
        LogicalType::Bytes
    } else if has("real") || has("floa") || has("doub") {
        LogicalType::Float64
    } else if has("dec") || has("numeric") || has("number") {
        LogicalType::Decimal
    } else {
        LogicalType::Any
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_declaration_is_read_as_people_mean_it() {
        for (declared, want) in [
            ("", LogicalType::Any),
            ("BIGINT", LogicalType::Int),
            ("VARCHAR(50)", LogicalType::Text),
            ("double precision", LogicalType::Float64),
            ("DECIMAL(10, 2)", LogicalType::Decimal),
            ("datetime", LogicalType::Timestamp),
            ("TIME", LogicalType::Time),
            ("LONGVARBINARY", LogicalType::Bytes),
            ("Boolean", LogicalType::Bool),
            ("thing", LogicalType::Any),
        ] {
            assert_eq!(logical(&split(declared).0), want, "{declared}");
        }
        assert_eq!(
            split("DECIMAL(10, 2)"),
            ("decimal".to_owned(), (Some(10), Some(2)))
        );
        assert_eq!(split("VARCHAR( 50 )"), ("varchar".to_owned(), (Some(50), None)));
    }
}
