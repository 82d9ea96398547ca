//! Reading a table from a live database.

mod default;
mod mysql;
mod postgres;
mod sqlite;
mod sqlite_definition;

use super::DdlError;
use super::column_type::ColumnType;
use super::model::{Column, ForeignKey, Index, Table};
use super::native::NativeType;
use crate::catalog::{self, ColumnDef, TableDef};
use crate::db::{DatabaseKind, DbError, Sql};
use default::Default;
use std::collections::HashMap;

/// A table, and what of it has no place in the model.
#[derive(Debug)]
pub struct Described {
    /// The table.
    pub table: Table,
    /// What is left out or said otherwise, each with the table and the column.
    pub warnings: Vec<String>,
}

/// What the catalogs know beyond [`TableDef`].
#[derive(Debug, std::default::Default)]
struct Details {
    /// The columns' defaults.
    defaults: HashMap<String, Default>,
    /// The column that is numbered where a row brings no number.
    auto_increment: Vec<String>,
    foreign_keys: Vec<ForeignKey>,
    indexes: Vec<Index>,
    /// What the model has no words for.
    lost: Vec<String>,
}

/// The format's type, and the database's own where that one says more.
type TypeReading = (ColumnType, Option<String>);

/// Reads a table; `None` where there is none. `schema` `None` means the connection's own.
///
/// # Errors
/// [`DdlError`] as the database says.
pub async fn read(
    sql: &mut dyn Sql,
    schema: Option<&str>,
    name: &str,
) -> Result<Option<Described>, DdlError> {
    let failed = |err: DbError| DdlError::Table {
        table: name.to_owned(),
        why: err.to_string(),
    };
    let Some(found) = catalog::read_table(sql, schema, name).await.map_err(failed)? else {
        return Ok(None);
    };
    let details = match sql.kind() {
        DatabaseKind::Postgres => postgres::details(sql, &found).await,
        DatabaseKind::Mysql => mysql::details(sql, &found).await,
        DatabaseKind::Sqlite => sqlite::details(sql, &found).await,
    };
    Ok(Some(describe(
        sql.kind(),
        schema,
        &found,
        details.map_err(failed)?,
    )))
}

fn describe(kind: DatabaseKind, schema: Option<&str>, found: &TableDef, details: Details) -> Described {
    let name = &found.name;
    let mut warnings: Vec<String> = details
        .lost
        .iter()
        .map(|what| format!("table {name}: {what}"))
        .collect();
    let mut columns = Vec::new();
    for column in &found.columns {
        let mut warn =
            |what: String| warnings.push(format!("column {} of table {name}: {what}", column.name));
        let (column_type, own) = type_of(kind, column);
        let native = own.as_ref().and_then(|own| NativeType::new(kind, own));
        if let Some(own) = own.filter(|_| native.is_none()) {
            warn(format!("its type {own} becomes {}", column_type.name_and_size()));
        }
        if column.generated {
            warn("it is computed; it becomes an ordinary column".to_owned());
        }
        let auto_increment = details.auto_increment.contains(&column.name);
        let default = details.defaults.get(&column.name).filter(|_| !auto_increment);
        let default = default.and_then(|default| match default.in_format(column_type) {
            Ok(text) => text,
            Err(what) => {
                warn(format!("its default {what} has no equivalent and is left out"));
                None
            }
        });
        columns.push(Column {
            name: column.name.clone(),
            column_type,
            native,
            required: !column.nullable || found.is_key(&column.name),
            primary_key: found.is_key(&column.name),
            auto_increment,
            default,
        });
    }
    let mut table = Table {
        schema: schema.map(str::to_owned),
        name: name.clone(),
        columns,
        foreign_keys: details.foreign_keys,
        indexes: details.indexes,
    };
    // By name, so that a description says the same whatever database it comes from.
    table
        .foreign_keys
        .sort_by(|a, b| (&a.name, &a.references).cmp(&(&b.name, &b.references)));
    table
        .indexes
        .sort_by(|a, b| (&a.name, &a.columns).cmp(&(&b.name, &b.columns)));
    Described { table, warnings }
}

fn type_of(kind: DatabaseKind, column: &ColumnDef) -> TypeReading {
    match kind {
        DatabaseKind::Postgres => postgres::column_type(column),
        DatabaseKind::Mysql => mysql::column_type(column),
        DatabaseKind::Sqlite => sqlite::column_type(column),
    }
}

/// A length as the format writes it.
fn length(of: Option<i64>) -> Option<u32> {
    of.and_then(|length| u32::try_from(length).ok())
        .filter(|length| *length > 0)
}

/// Precision and scale, where both are what the format can say.
fn decimal(column: &ColumnDef) -> Option<(u32, u32)> {
    let precision = length(column.precision)?;
    let scale = u32::try_from(column.scale.unwrap_or(0)).ok()?;
    (scale <= precision).then_some((precision, scale))
}
