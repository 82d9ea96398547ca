//! The tables that a part's rows go to, as the nodes get them.

use crate::decide::Routed;
use std::collections::HashMap;
use symstream_shared::model::Rule;
use symstream_shared::wire::TableInfo;

/// A source's table with the names that it has at targets, each once.
#[derive(Default)]
pub(crate) struct TargetTables {
    tables: Vec<TableInfo>,
    /// For each of them the first that is the same table at the target: rules may differ in `sync_column_level`.
    same: Vec<usize>,
    /// By source table, schema and name at the target.
    by_name: HashMap<(usize, Option<String>, String), ByLevel>,
}

/// One table at the target, for whole rows and for changed columns only.
#[derive(Default)]
struct ByLevel {
    rows: Option<usize>,
    columns: Option<usize>,
}

impl TargetTables {
    /// The index of the table that a rule sends the rows of `source` to.
    pub(crate) fn index(&mut self, source_index: usize, source: &TableInfo, rule: &Rule) -> usize {
        let name = (
            source_index,
            rule.target_schema.clone(),
            rule.target_table.clone(),
        );
        let by_level = self.by_name.entry(name).or_default();
        let first = by_level.rows.or(by_level.columns);
        let known = if rule.column_level {
            &mut by_level.columns
        } else {
            &mut by_level.rows
        };
        *known.get_or_insert_with(|| {
            self.tables.push(TableInfo {
                target_schema: rule.target_schema.clone(),
                target_table: rule.target_table.clone(),
                column_level: rule.column_level,
                ..source.clone()
            });
            let index = self.tables.len() - 1;
            self.same.push(first.unwrap_or(index));
            index
        })
    }

    /// Puts a node's rows, which were gone through rule by rule and table by table, back into the order of the changes.
    /// What several rules send to the same table stays there once: whole where one of them says so.
    pub(crate) fn in_order_and_once(&self, rows: &mut Vec<Routed>) {
        let place = |row: &Routed| (row.change, self.same[row.table]);
        rows.sort_unstable_by_key(|row| (place(row), self.tables[row.table].column_level));
        rows.dedup_by_key(|row| place(row));
    }

    pub(crate) fn len(&self) -> usize {
        self.tables.len()
    }

    pub(crate) fn into_tables(self) -> Vec<TableInfo> {
        self.tables
    }
}
