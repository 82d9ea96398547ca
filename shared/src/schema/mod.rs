//! The `sym_` tables: names, definitions, creation.
//!
//! Owns what the tables look like on each dialect (seed 002, `spec/design.md` and SymStream's own ones).
//! Refuses to know what is written into them, but for the registration server's own first rows.

mod configuration_tables;
mod create;
mod definition;
mod dialect;
mod identity;
mod own_tables;
mod render;
mod runtime_tables;
mod tables;

pub use create::{create, drop_all};
pub use dialect::version_query;
pub use identity::ensure_identity;
pub use tables::{InvalidPrefix, Tables};

pub(crate) use definition::{ColumnSpec, ColumnType, TableSpec};

/// Every `sym_` table.
fn all_tables() -> impl Iterator<Item = &'static TableSpec> {
    configuration_tables::TABLES
        .iter()
        .chain(runtime_tables::TABLES)
        .chain(own_tables::TABLES)
}

/// Every table, without the prefix, and each of its columns, whatever dialect has it: what a description of the tables has
/// to name.
pub fn columns() -> impl Iterator<Item = (&'static str, &'static str)> {
    all_tables().flat_map(|table| table.columns.iter().map(|column| (table.name, column.name)))
}

/// The tables that the user edits.
pub(crate) fn configuration_tables() -> &'static [TableSpec] {
    configuration_tables::TABLES
}

#[cfg(test)]
mod tests;
