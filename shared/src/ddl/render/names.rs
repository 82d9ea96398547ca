//! Names that are one table's own in one database, and all tables' in another.

use crate::ddl::dialect::Dialect;
use crate::ddl::model::Table;
use std::collections::HashSet;

/// The tables with names of indexes and references that no other of them has, where the database wants that. Who loses a
/// name gets the table's in front of it, with a warning.
pub(super) fn unique(dialect: &dyn Dialect, tables: &[&Table], warnings: &mut Vec<String>) -> Vec<Table> {
    let scope = dialect.name_scope();
    let mut taken: HashSet<String> = HashSet::new();
    if scope.indexes {
        taken.extend(tables.iter().map(|table| table.name.clone()));
    }
    let mut unique = |table: &str, name: &mut Option<String>| {
        let Some(was) = name.as_mut() else { return };
        if !taken.insert(was.clone()) {
            let mut is = format!("{table}_{was}");
            while !taken.insert(is.clone()) {
                is.push('_');
            }
            warnings.push(format!(
                "table {table}: the name {was} is taken by another table; it becomes {is}"
            ));
            *was = is;
        }
    };
    let mut named: Vec<Table> = tables.iter().map(|table| (*table).clone()).collect();
    for table in &mut named {
        if scope.indexes {
            table
                .indexes
                .iter_mut()
                .for_each(|index| unique(&table.name, &mut index.name));
        }
        if scope.references {
            table
                .foreign_keys
                .iter_mut()
                .for_each(|key| unique(&table.name, &mut key.name));
        }
    }
    named
}
