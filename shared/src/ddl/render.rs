//! The SQL that makes tables.

mod names;

use super::DdlError;
use super::column_type::ColumnType;
use super::dialect::{self, AutoIncrement, Dialect};
use super::model::{Column, ForeignKey, Index, ReferenceAction, Table};
use crate::db::DatabaseKind;

/// Statements that make tables, in the order in which they have to run.
#[derive(Debug, PartialEq, Eq)]
pub struct Statements {
    /// One for each table, in its place, with its name.
    pub tables: Vec<(String, String)>,
    /// What can only be made when all tables are there, with the table it belongs to.
    pub after: Vec<(String, String)>,
    /// What becomes something else here, with its table and column.
    pub warnings: Vec<String>,
}

/// The statements that make `tables`, which nothing else refers to, in a database of this kind.
///
/// # Errors
/// [`DdlError::Unsupported`], with the table's and the column's names.
pub fn statements(kind: DatabaseKind, tables: &[Table]) -> Result<Statements, DdlError> {
    let wanted: Vec<&Table> = tables.iter().collect();
    create(dialect::of(kind), &wanted, tables).map_err(DdlError::Unsupported)
}

/// The statements for `tables`.
///
/// # Errors
/// What the database has no equivalent for, with the table's and the column's names.
pub(super) fn create(dialect: &dyn Dialect, tables: &[&Table], all: &[Table]) -> Result<Statements, String> {
    let mut statements = Statements {
        tables: Vec::new(),
        after: Vec::new(),
        warnings: Vec::new(),
    };
    let named = names::unique(dialect, tables, &mut statements.warnings);
    for table in &named {
        check_names(dialect, table)?;
        statements.warnings.extend(warnings(dialect, table, all));
        statements
            .tables
            .push((table.name.clone(), create_table(dialect, table, all)?));
        if !dialect.inline_indexes() {
            let indexes = table.indexes.iter().filter(|index| !index.unique);
            let indexes = indexes.map(|index| (table.name.clone(), create_index(dialect, table, index)));
            statements.after.extend(indexes);
        }
        if !dialect.inline_foreign_keys() {
            let name = quote_table(dialect, table);
            let keys = table.foreign_keys.iter();
            let keys = keys.map(|key| format!("alter table {name} add {}", foreign_key(dialect, key)));
            statements
                .after
                .extend(keys.map(|statement| (table.name.clone(), statement)));
        }
    }
    Ok(statements)
}

/// What becomes something else than it was where the description comes from.
fn warnings(dialect: &dyn Dialect, table: &Table, all: &[Table]) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut warn = |column: &Column, was: &str, is: &str| {
        warnings.push(format!(
            "column {} of table {}: {was} becomes {is}",
            column.name, table.name
        ));
    };
    for column in &table.columns {
        let in_key = is_in_key(table, column, all);
        let (Ok(here), Ok(plain)) = (
            dialect.type_name(column.column_type, in_key),
            dialect.type_name(column.column_type, false),
        ) else {
            continue;
        };
        match &column.native {
            Some(native) if native.kind() == dialect.kind() => {}
            Some(native) if native.sql().is_empty() => warn(column, "a column without a type", &here),
            Some(native) => warn(column, &format!("{}'s {}", native.kind(), native.sql()), &here),
            None if here != plain => warn(
                column,
                column.column_type.name(),
                &format!("{here}, because a key needs a length"),
            ),
            None => {}
        }
    }
    warnings
}

fn check_names(dialect: &dyn Dialect, table: &Table) -> Result<(), String> {
    let keys = table.foreign_keys.iter().filter_map(|key| key.name.as_ref());
    let indexes = table.indexes.iter().filter_map(|index| index.name.as_ref());
    let columns = table.columns.iter().map(|column| &column.name);
    [&table.name]
        .into_iter()
        .chain(columns)
        .chain(keys)
        .chain(indexes)
        .try_for_each(|name| dialect.check_name(name))
        .map_err(|why| format!("table {}: {why}", table.name))
}

fn create_table(dialect: &dyn Dialect, table: &Table, all: &[Table]) -> Result<String, String> {
    let mut parts = Vec::new();
    let mut key_is_defined = false;
    for column in &table.columns {
        let (definition, is_key) =
            column_definition(dialect, table, column, is_in_key(table, column, all))
                .map_err(|why| format!("column {} of table {}: {why}", column.name, table.name))?;
        parts.push(definition);
        key_is_defined |= is_key;
    }
    let key: Vec<_> = table.primary_key().map(|column| column.name.as_str()).collect();
    if !key.is_empty() && !key_is_defined {
        parts.push(format!("primary key ({})", names(dialect, key)));
    }
    for index in table.indexes.iter().filter(|index| index.unique) {
        let name = index.name.as_ref().map_or(String::new(), |name| {
            format!("constraint {} ", quote(dialect, name))
        });
        parts.push(format!(
            "{name}unique ({})",
            names(dialect, index.columns.iter().map(String::as_str))
        ));
    }
    if dialect.inline_indexes() {
        let indexes = table.indexes.iter().filter(|index| !index.unique);
        parts.extend(indexes.map(|index| {
            format!(
                "index {} ({})",
                quote(dialect, &index_name(table, index)),
                index_columns(dialect, table, index)
            )
        }));
    }
    if dialect.inline_foreign_keys() {
        parts.extend(table.foreign_keys.iter().map(|key| foreign_key(dialect, key)));
    }
    let name = quote_table(dialect, table);
    Ok(format!(
        "create table {name} (\n  {}\n){}",
        parts.join(",\n  "),
        dialect.table_options()
    ))
}

/// The column's definition, and whether it makes the column the primary key.
fn column_definition(
    dialect: &dyn Dialect,
    table: &Table,
    column: &Column,
    in_key: bool,
) -> Result<(String, bool), String> {
    let name = quote(dialect, &column.name);
    let mut suffix = "";
    if column.auto_increment {
        match dialect.auto_increment(table)? {
            AutoIncrement::Definition(definition) => return Ok((format!("{name}{definition}"), true)),
            AutoIncrement::Suffix(text) => suffix = text,
        }
    }
    let native = column
        .native
        .as_ref()
        .filter(|native| native.kind() == dialect.kind());
    let type_name = match native {
        Some(native) => native.sql().to_owned(),
        None => dialect.type_name(column.column_type, in_key)?,
    };
    let default = match &column.default {
        Some(default) => format!(
            " default {}",
            default_value(dialect, column.column_type, default)?
        ),
        None => String::new(),
    };
    let not_null = if column.required || column.primary_key {
        " not null"
    } else {
        ""
    };
    Ok((format!("{name} {type_name}{default}{not_null}{suffix}"), false))
}

/// A default, which the format writes without quotes, as SQL.
fn default_value(dialect: &dyn Dialect, column_type: ColumnType, text: &str) -> Result<String, String> {
    if column_type == ColumnType::Boolean {
        return boolean(text)
            .map(|value| dialect.boolean(value).to_owned())
            .ok_or_else(|| format!("the default {text:?} is neither true nor false"));
    }
    if column_type.is_number() {
        return match text.trim().parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(text.trim().to_owned()),
            _ => Err(format!("the default {text:?} is no number")),
        };
    }
    let is_time = matches!(
        column_type,
        ColumnType::Date | ColumnType::Time | ColumnType::Timestamp
    );
    let word = text.trim().trim_end_matches("()").to_ascii_lowercase();
    if is_time
        && matches!(
            word.as_str(),
            "current_timestamp" | "current_date" | "current_time" | "now"
        )
    {
        return Ok(dialect.default_now(column_type).to_owned());
    }
    let literal = match column_type {
        ColumnType::Binary(_) | ColumnType::LongBinary => dialect.bytes(text.as_bytes()),
        _ => dialect.kind().literal(text),
    };
    Ok(dialect.default_literal(column_type, literal))
}

/// Reads a boolean as the format and its exporters write it.
pub fn boolean(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "1" | "true" | "t" => Some(true),
        "0" | "false" | "f" => Some(false),
        _ => None,
    }
}

/// Whether a key, a unique index or a foreign key of any table uses the column: the types at both ends of a
/// reference have to be the same.
fn is_in_key(table: &Table, column: &Column, all: &[Table]) -> bool {
    let name = &column.name;
    column.primary_key
        || table
            .indexes
            .iter()
            .any(|index| index.unique && index.columns.contains(name))
        || table
            .foreign_keys
            .iter()
            .any(|key| key.references.iter().any(|(local, _)| local == name))
        || all.iter().flat_map(|other| &other.foreign_keys).any(|key| {
            key.foreign_table == table.name && key.references.iter().any(|(_, foreign)| foreign == name)
        })
}

fn foreign_key(dialect: &dyn Dialect, key: &ForeignKey) -> String {
    let name = key.name.as_ref().map_or(String::new(), |name| {
        format!("constraint {} ", quote(dialect, name))
    });
    let local = names(dialect, key.references.iter().map(|(local, _)| local.as_str()));
    let foreign = names(
        dialect,
        key.references.iter().map(|(_, foreign)| foreign.as_str()),
    );
    let action = |when: &str, action: Option<ReferenceAction>| {
        action.map_or(String::new(), |action| format!(" on {when} {}", action.sql()))
    };
    format!(
        "{name}foreign key ({local}) references {} ({foreign}){}{}",
        dialect
            .kind()
            .quote_table(key.foreign_schema.as_deref(), &key.foreign_table),
        action("delete", key.on_delete),
        action("update", key.on_update),
    )
}

fn create_index(dialect: &dyn Dialect, table: &Table, index: &Index) -> String {
    format!(
        "create index {} on {} ({})",
        quote(dialect, &index_name(table, index)),
        quote_table(dialect, table),
        index_columns(dialect, table, index)
    )
}

fn index_columns(dialect: &dyn Dialect, table: &Table, index: &Index) -> String {
    let columns = index.columns.iter().filter_map(|name| table.column(name));
    columns
        .map(|column| dialect.index_column(column))
        .collect::<Vec<_>>()
        .join(", ")
}

fn index_name(table: &Table, index: &Index) -> String {
    index
        .name
        .clone()
        .unwrap_or_else(|| format!("{}_{}_idx", table.name, index.columns.join("_")))
}

fn quote_table(dialect: &dyn Dialect, table: &Table) -> String {
    dialect.kind().quote_table(table.schema.as_deref(), &table.name)
}

fn quote(dialect: &dyn Dialect, name: &str) -> String {
    dialect.kind().quote(name)
}

fn names<'a>(dialect: &dyn Dialect, names: impl IntoIterator<Item = &'a str>) -> String {
    names
        .into_iter()
        .map(|name| quote(dialect, name))
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests;
