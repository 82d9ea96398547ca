//! What SQLite's catalog says beyond columns and types.

use super::default::{Default, Quoting};
use super::sqlite_definition::{Constraint, Definition};
use super::{Details, TypeReading, decimal, length};
use crate::catalog::{self, ColumnDef, TableDef};
use crate::db::{DbError, Sql};
use crate::ddl::column_type::ColumnType;
use crate::ddl::model::{ForeignKey, Index, ReferenceAction};
use crate::logical::LogicalType;

pub(super) async fn details(sql: &mut dyn Sql, table: &TableDef) -> Result<Details, DbError> {
    let mut details = Details::default();
    let name = table.name.as_str();
    let row = sql
        .query_opt(
            "select sql from sqlite_master where type = 'table' and name = ?",
            &[name.into()],
        )
        .await?;
    let definition = row
        .map(|row| row.opt_text(0))
        .transpose()?
        .flatten()
        .unwrap_or_default();
    let definition = Definition::parse(&definition);
    let defaults =
        "select name, dflt_value from pragma_table_xinfo(?) where dflt_value is not null and hidden = 0";
    for row in sql.query(defaults, &[name.into()]).await? {
        details
            .defaults
            .insert(row.text(0)?, Default::parse(&row.text(1)?, Quoting::Standard));
    }
    if definition.is_numbered {
        let numbered = table.columns.iter().filter(|column| column.auto_increment);
        details.auto_increment = numbered.map(|column| column.name.clone()).collect();
    }
    if definition.has_checks {
        details.lost.push("its checks are left out".to_owned());
    }
    foreign_keys(sql, table, &definition, &mut details).await?;
    indexes(sql, name, &definition, &mut details).await?;
    Ok(details)
}

async fn foreign_keys(
    sql: &mut dyn Sql,
    table: &TableDef,
    definition: &Definition,
    details: &mut Details,
) -> Result<(), DbError> {
    let query = "select id, \"table\", on_delete, on_update, \"from\", \"to\" from pragma_foreign_key_list(?) \
                 order by id desc, seq";
    let mut last = None;
    for row in sql.query(query, &[table.name.as_str().into()]).await? {
        let id = row.int(0)?;
        if last != Some(id) {
            details.foreign_keys.push(ForeignKey {
                name: None,
                foreign_schema: None,
                foreign_table: row.text(1)?,
                references: Vec::new(),
                on_delete: action(&row.text(2)?),
                on_update: action(&row.text(3)?),
            });
            last = Some(id);
        }
        if let Some(key) = details.foreign_keys.last_mut() {
            key.references
                .push((row.text(4)?, row.opt_text(5)?.unwrap_or_default()));
        }
    }
    for key in &mut details.foreign_keys {
        exact_names(sql, table, key).await?;
    }
    // The catalog does not tell the names; the list is in the order of the definition.
    let names = definition.names(Constraint::ForeignKey);
    if names.len() == details.foreign_keys.len() {
        for (key, name) in details.foreign_keys.iter_mut().zip(names) {
            key.name = name;
        }
    }
    Ok(())
}

/// The names as their tables have them; without names of columns, a reference is to the primary key.
async fn exact_names(sql: &mut dyn Sql, table: &TableDef, key: &mut ForeignKey) -> Result<(), DbError> {
    let Some(foreign) = catalog::read_table(sql, None, &key.foreign_table).await? else {
        return Ok(());
    };
    key.foreign_table.clone_from(&foreign.name);
    for (index, (own, other)) in key.references.iter_mut().enumerate() {
        if let Some(column) = table.column_ignoring_case(own) {
            own.clone_from(&column.name);
        }
        if other.is_empty() {
            *other = foreign.primary_key.get(index).cloned().unwrap_or_default();
        } else if let Some(column) = foreign.column_ignoring_case(other) {
            other.clone_from(&column.name);
        }
    }
    Ok(())
}

fn action(rule: &str) -> Option<ReferenceAction> {
    match rule.to_ascii_uppercase().as_str() {
        "CASCADE" => Some(ReferenceAction::Cascade),
        "SET NULL" => Some(ReferenceAction::SetNull),
        "SET DEFAULT" => Some(ReferenceAction::SetDefault),
        "RESTRICT" => Some(ReferenceAction::Restrict),
        _ => None,
    }
}

async fn indexes(
    sql: &mut dyn Sql,
    table: &str,
    definition: &Definition,
    details: &mut Details,
) -> Result<(), DbError> {
    let list = "select name, \"unique\", origin, partial from pragma_index_list(?) where origin <> 'pk' order by seq desc";
    let rows = sql.query(list, &[table.into()]).await?;
    let constraints = rows
        .iter()
        .filter(|row| row.text(2).is_ok_and(|origin| origin == "u"));
    let names = definition.names(Constraint::Unique);
    // A constraint that says the same as another one has no index of its own: nobody knows whose name is whose then.
    let names = if constraints.count() == names.len() {
        names
    } else {
        Vec::new()
    };
    let mut names = names.into_iter();
    for row in rows {
        let name = row.text(0)?;
        let columns = sql
            .query(
                "select name from pragma_index_info(?) order by seqno",
                &[name.as_str().into()],
            )
            .await?;
        let columns: Vec<Option<String>> = columns
            .iter()
            .map(|row| row.opt_text(0))
            .collect::<Result<_, _>>()?;
        let reason = if row.int(3)? != 0 {
            Some("is of some rows only")
        } else if columns.contains(&None) {
            Some("is of an expression")
        } else {
            None
        };
        if let Some(reason) = reason {
            details
                .lost
                .push(format!("the index {name} is left out, because it {reason}"));
            continue;
        }
        let is_constraint = row.text(2)? == "u";
        details.indexes.push(Index {
            name: if is_constraint {
                names.next().flatten()
            } else {
                Some(name)
            },
            unique: row.int(1)? != 0,
            columns: columns.into_iter().flatten().collect(),
        });
    }
    Ok(())
}

/// Declarations that are what our own statements write for a type of the format have no words of their own.
pub(super) fn column_type(column: &ColumnDef) -> TypeReading {
    let own = || Some(column.sql_type.clone());
    let declared = column.sql_type.to_lowercase().replace(", ", ",");
    let size = length(column.length);
    let plain = match column.type_name.as_str() {
        "boolean" => Some(ColumnType::Boolean),
        "tinyint" => Some(ColumnType::Tinyint),
        "smallint" => Some(ColumnType::Smallint),
        "integer" => Some(ColumnType::Integer),
        "bigint" => Some(ColumnType::Bigint),
        "decimal" => Some(ColumnType::Decimal(decimal(column))),
        "real" => Some(ColumnType::Real),
        "double" => Some(ColumnType::Double),
        "char" => size.map(ColumnType::Char),
        "varchar" => size.map(ColumnType::Varchar),
        "text" => Some(ColumnType::LongText),
        "blob" => Some(ColumnType::LongBinary),
        "date" => Some(ColumnType::Date),
        "time" => Some(ColumnType::Time),
        "timestamp" => Some(ColumnType::Timestamp),
        _ => None,
    };
    // What a declaration has beyond the format's type, as in `integer(5)`, keeps it.
    if let Some(plain) = plain
        && plain.name_and_size().to_lowercase() == in_formats_words(&declared)
    {
        return (plain, None);
    }
    let meant = match column.logical {
        LogicalType::Bool => ColumnType::Boolean,
        // An integer of SQLite has 64 bits whatever its declaration.
        LogicalType::Int => ColumnType::Bigint,
        LogicalType::Float32 | LogicalType::Float64 => ColumnType::Double,
        LogicalType::Decimal => ColumnType::Decimal(decimal(column)),
        LogicalType::Bytes => ColumnType::LongBinary,
        LogicalType::Date => ColumnType::Date,
        LogicalType::Time | LogicalType::TimeTz => ColumnType::Time,
        LogicalType::Timestamp | LogicalType::TimestampTz => ColumnType::Timestamp,
        LogicalType::Uuid => ColumnType::Char(36),
        LogicalType::Text => size.map_or(ColumnType::LongText, ColumnType::Varchar),
        _ => ColumnType::LongText,
    };
    (plain.unwrap_or(meant), own())
}

/// The format's name of a type that we declare otherwise.
fn in_formats_words(declared: &str) -> String {
    match declared {
        "text" => "longvarchar".to_owned(),
        declared => declared.to_owned(),
    }
}
