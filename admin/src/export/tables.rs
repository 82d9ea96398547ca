//! Which tables are exported, and in which order.

use super::ExportError;
use std::collections::HashSet;
use symstream_shared::catalog::{self, TableDef};
use symstream_shared::db::Sql;
use symstream_shared::ddl::{self, DdlError, Table};
use symstream_shared::schema::{self, Tables};

/// A table to export.
pub(super) struct Described {
    /// Its structure.
    pub table: Table,
    /// Its columns as the catalog has them.
    pub found: TableDef,
}

/// Describes the tables with these names, or all but the `sym_` tables of whatever prefix; those that others refer to
/// come first, as far as they are in no circle.
pub(super) async fn read(
    sql: &mut dyn Sql,
    own: &Tables,
    names: &[String],
    warnings: &mut Vec<String>,
) -> Result<Vec<Described>, ExportError> {
    let names = match names {
        [] => application_tables(catalog::table_names(sql).await?, own),
        names => names.to_vec(),
    };
    let mut described: Vec<Described> = Vec::new();
    for name in names {
        let found = catalog::read_table(sql, None, &name).await?;
        let read = ddl::read(sql, None, &name).await?;
        let (Some(found), Some(read)) = (found, read) else {
            return Err(ExportError::Tables(DdlError::Table {
                table: name,
                why: "the database has no such table".to_owned(),
            }));
        };
        if described.iter().any(|before| before.found.name == found.name) {
            return Err(ExportError::Wanted(format!(
                "table {} is named twice",
                found.name
            )));
        }
        warnings.extend(read.warnings);
        described.push(Described {
            table: read.table,
            found,
        });
    }
    Ok(parents_first(described))
}

/// Other engines in the same database have tables of their own: a prefix is known by two of them.
fn application_tables(names: Vec<String>, own: &Tables) -> Vec<String> {
    let prefixes = names
        .iter()
        .filter_map(|name| name.strip_suffix("_node_identity"));
    let engines: Vec<Tables> = prefixes
        .filter_map(|prefix| Tables::new(prefix).ok())
        .filter(|tables| names.contains(&tables.name("trigger_hist")))
        .chain([own.clone()])
        .collect();
    let kinds: HashSet<&str> = schema::columns().map(|(table, _)| table).collect();
    let taken: HashSet<String> = engines
        .iter()
        .flat_map(|tables| kinds.iter().map(|table| tables.name(table)))
        .collect();
    names.into_iter().filter(|name| !taken.contains(name)).collect()
}

/// Stays in the order of the names where references say nothing else.
fn parents_first(mut tables: Vec<Described>) -> Vec<Described> {
    let mut ordered: Vec<Described> = Vec::new();
    while !tables.is_empty() {
        let is_free = |table: &Described| {
            !table.table.foreign_keys.iter().any(|key| {
                key.foreign_table != table.table.name
                    && tables.iter().any(|other| other.table.name == key.foreign_table)
            })
        };
        // In a circle none is free, and the first one is as good as any.
        let next = tables.iter().position(is_free).unwrap_or(0);
        ordered.push(tables.remove(next));
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_of_engines_are_no_application_tables() {
        let names = [
            "a",
            "sym_data",
            "sym_mine",
            "east_node_identity",
            "east_trigger_hist",
            "east_data",
            "west_data",
        ];
        let names = names.map(str::to_owned).to_vec();
        assert_eq!(
            application_tables(names, &Tables::default()),
            ["a", "sym_mine", "west_data"]
        );
    }
}
