//! The statements that make tables.

use super::definition::{ColumnSpec, ColumnType, IndexSpec, TableSpec};
use super::dialect::{can_be_added, default_expression, is_inline_key, table_options, type_name, widen};
use super::tables::Tables;
use crate::db::DatabaseKind;

/// What a database has already of one table.
#[derive(Debug, Default)]
pub(super) struct Existing<'a> {
    /// The table's columns; empty where it does not exist.
    pub columns: &'a [ExistingColumn],
    /// The indexes of all tables.
    pub indexes: &'a [String],
}

/// A column that is there.
#[derive(Debug)]
pub(super) struct ExistingColumn {
    pub name: String,
    /// It holds text up to a limit, which the database checks.
    pub is_limited: bool,
}

/// The statements that are missing to make a table what it should be; none where it is that already.
pub(super) fn missing(
    kind: DatabaseKind,
    tables: &Tables,
    table: &TableSpec,
    existing: &Existing<'_>,
) -> Vec<String> {
    let name = tables.name(table.name);
    let missing_columns: Vec<&ColumnSpec> = table
        .columns(kind)
        .filter(|column| {
            !existing
                .columns
                .iter()
                .any(|existing| existing.name == column.name)
        })
        .collect();
    let mut rebuilt = false;
    let mut statements = Vec::new();
    if existing.columns.is_empty() {
        statements.push(create_table(kind, table, &name));
    } else if missing_columns
        .iter()
        .all(|column| can_be_added(kind, column.default))
    {
        statements.extend(missing_columns.iter().map(|column| {
            format!(
                "alter table {name} add column {}",
                column_definition(kind, column)
            )
        }));
    } else {
        statements.extend(rebuild(kind, table, &name, existing.columns));
        rebuilt = true;
    }
    statements.extend(
        table
            .columns(kind)
            .filter(|column| column.column_type == ColumnType::LongVarchar)
            .filter(|column| {
                let mut existing = existing.columns.iter();
                existing.any(|existing| existing.name == column.name && existing.is_limited)
            })
            .filter_map(|column| widen(kind, &name, column.name, &column_definition(kind, column))),
    );
    statements.extend(
        table
            .indexes(kind)
            .map(|index| (index_name(&name, index), index))
            .filter(|(index_name, _)| rebuilt || !existing.indexes.contains(index_name))
            .map(|(index_name, index)| {
                let filter = index
                    .filter
                    .map(|filter| format!(" where {filter}"))
                    .unwrap_or_default();
                format!(
                    "create index {index_name} on {name} ({}){filter}",
                    index.columns.join(", ")
                )
            }),
    );
    statements
}

fn create_table(kind: DatabaseKind, table: &TableSpec, name: &str) -> String {
    let mut lines: Vec<String> = table
        .columns(kind)
        .map(|column| column_definition(kind, column))
        .collect();
    let inline_key = table
        .columns(kind)
        .any(|column| is_inline_key(kind, column.column_type));
    if !table.key.is_empty() && !inline_key {
        lines.push(format!("primary key ({})", table.key.join(", ")));
    }
    format!(
        "create table {name} (\n  {}\n){}",
        lines.join(",\n  "),
        table_options(kind)
    )
}

/// A new table in the old one's place, for a dialect that can not add a column in place. The triggers of the
/// user's tables name the old one: `legacy_alter_table` leaves them as they are.
fn rebuild(kind: DatabaseKind, table: &TableSpec, name: &str, columns: &[ExistingColumn]) -> Vec<String> {
    let new_name = format!("{name}_new");
    let kept: Vec<&str> = table
        .columns(kind)
        .map(|column| column.name)
        .filter(|column| columns.iter().any(|existing| existing.name == *column))
        .collect();
    let kept = kept.join(", ");
    vec![
        create_table(kind, table, &new_name),
        format!("insert into {new_name} ({kept}) select {kept} from {name}"),
        format!("drop table {name}"),
        "pragma legacy_alter_table = on".to_owned(),
        format!("alter table {new_name} rename to {name}"),
        "pragma legacy_alter_table = off".to_owned(),
    ]
}

fn column_definition(kind: DatabaseKind, column: &ColumnSpec) -> String {
    let mut definition = format!("{} {}", column.name, type_name(kind, column.column_type));
    if !column.nullable && !is_inline_key(kind, column.column_type) {
        definition.push_str(" not null");
    }
    match default_expression(kind, column.column_type, column.default) {
        Some(expression) => {
            definition.push_str(" default ");
            definition.push_str(&expression);
        }
        // MySQL's first timestamp column would else get a default of its own.
        None if column.nullable => definition.push_str(" null"),
        None => {}
    }
    definition
}

/// Index names are unique in a schema on PostgreSQL and SQLite, so they begin with the table's.
fn index_name(table: &str, index: &IndexSpec) -> String {
    format!("{table}_{}_idx", index.columns[0])
}
