//! Tables of a live database as XML.

use super::DdlError;
use super::model::Table;
use super::read;
use super::xml;
use crate::db::Sql;

/// A table to describe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportTable {
    /// The schema that it is in; `None` for the connection's own.
    pub schema: Option<String>,
    /// Its name.
    pub table: String,
    /// The schema that the description says; `None`: that of whoever makes the table.
    pub as_schema: Option<String>,
    /// The name that the description says.
    pub as_table: String,
}

impl ExportTable {
    /// A table that keeps its name.
    pub fn new(schema: Option<String>, table: impl Into<String>) -> Self {
        let table = table.into();
        Self {
            schema,
            as_table: table.clone(),
            table,
            as_schema: None,
        }
    }
}

/// Describes tables, without their rows. References between them follow the new names; those to other tables keep the
/// names that they have. What the format can not say is a warning in the log.
///
/// # Errors
/// [`DdlError`] when a table is not there, or as the database says.
pub async fn export(sql: &mut dyn Sql, tables: &[ExportTable]) -> Result<String, DdlError> {
    let mut described = Vec::new();
    for table in tables {
        let found = read(sql, table.schema.as_deref(), &table.table).await?;
        let found = found.ok_or_else(|| DdlError::Table {
            table: table.table.clone(),
            why: "there is no such table".to_owned(),
        })?;
        for warning in &found.warnings {
            tracing::warn!("{warning}");
        }
        described.push((table, found.table));
    }
    // As the database spells them: a reference names its table that way.
    let names: Vec<(Option<String>, String)> = described
        .iter()
        .map(|(_, found)| (found.schema.clone(), found.name.clone()))
        .collect();
    let mut text = xml::document_start().to_owned();
    for (table, found) in described {
        let renamed = rename(found, table, tables, &names);
        text.push_str(&xml::write_table(&renamed));
    }
    text.push_str(xml::document_end());
    Ok(text)
}

fn rename(
    mut found: Table,
    to: &ExportTable,
    all: &[ExportTable],
    names: &[(Option<String>, String)],
) -> Table {
    let own_schema = found.schema.take();
    for key in &mut found.foreign_keys {
        let schema = key.foreign_schema.clone().or_else(|| own_schema.clone());
        let place = names
            .iter()
            .position(|(other, name)| *name == key.foreign_table && *other == schema);
        if let Some(other) = place.and_then(|place| all.get(place)) {
            key.foreign_table.clone_from(&other.as_table);
            key.foreign_schema.clone_from(&other.as_schema);
        }
    }
    found.name.clone_from(&to.as_table);
    found.schema.clone_from(&to.as_schema);
    found
}
