//! Foreign keys, as far as the order of a load depends on them.
//!
//! A row can not go to a target before the row that it refers to. Tables are ordered by that; where they refer to each
//! other, or to themselves, the columns that may be null are null first and come as updates when all rows are there.
//! Where none may be null, the rows of a table that refers to itself go parents first, and the tables of a circle in one
//! batch.

use super::condition::name_in_t;
use crate::decode::Layout;
use crate::dialect::reading::foreign_keys_query;
use crate::error::Error;
use crate::load::order::{Reference, TableName};
use symstream_shared::catalog::TableDef;
use symstream_shared::db::{DatabaseKind, Row, Sql};

/// A foreign key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ForeignKey {
    id: String,
    /// The table that refers.
    pub child: TableName,
    columns: Vec<String>,
    /// The one referred to.
    pub parent: TableName,
    /// Empty: the parent's primary key.
    parent_columns: Vec<String>,
}

/// All foreign keys of the database.
pub(super) async fn foreign_keys(sql: &mut dyn Sql) -> Result<Vec<ForeignKey>, Error> {
    let rows = sql.query(foreign_keys_query(sql.kind()), &[]).await?;
    let name = |row: &Row, at: usize| {
        Ok::<_, Error>(TableName {
            schema: row.opt_text(at)?,
            name: row.text(at + 1)?,
        })
    };
    let mut keys: Vec<ForeignKey> = Vec::new();
    for row in &rows {
        let id = row.text(0)?;
        if keys.last().is_none_or(|key| key.id != id) {
            keys.push(ForeignKey {
                id,
                child: name(row, 1)?,
                columns: Vec::new(),
                parent: name(row, 4)?,
                parent_columns: Vec::new(),
            });
        }
        if let Some(key) = keys.last_mut() {
            key.columns.push(row.text(3)?);
            key.parent_columns.extend(row.opt_text(6)?);
        }
    }
    Ok(keys)
}

impl ForeignKey {
    /// Whether the table refers to itself.
    pub(super) fn is_to_itself(&self) -> bool {
        self.child == self.parent
    }

    /// Whether all columns of the table that refers are captured.
    pub(super) fn is_captured(&self, table: &TableDef, layout: &Layout) -> bool {
        self.columns.iter().all(|name| {
            let column = table.column_ignoring_case(name);
            column.is_some_and(|column| layout.table.columns.iter().any(|known| known.name == column.name))
        })
    }

    /// The columns that may be null for a while, as indexes into what is captured of the table. Without them the key can
    /// not come later.
    pub(super) fn can_be_null(&self, table: &TableDef, layout: &Layout) -> Vec<usize> {
        let info = &layout.table;
        let may_be_null = |name: &String| {
            let column = table.column_ignoring_case(name)?;
            let index = info.columns.iter().position(|known| known.name == column.name)?;
            let is_key = info.key.iter().any(|key| usize::from(*key) == index);
            (column.nullable && !column.generated && !is_key).then_some(index)
        };
        self.columns.iter().filter_map(may_be_null).collect()
    }

    /// What the order of tables needs to know of it.
    pub(super) fn reference(&self, can_come_later: bool) -> Reference {
        Reference {
            child: self.child.clone(),
            parent: self.parent.clone(),
            can_come_later,
        }
    }

    /// For a table that refers to itself: how its rows are selected parents first. Rows that refer to each other in a
    /// circle come last.
    pub(super) fn parents_first(&self, kind: DatabaseKind, table: &TableDef) -> ParentsFirst {
        let parent_columns = match self.parent_columns.is_empty() {
            true => &table.primary_key,
            false => &self.parent_columns,
        };
        let pairs: Vec<(String, String)> = self
            .columns
            .iter()
            .zip(parent_columns)
            .map(|(child, parent)| (kind.quote(child), kind.quote(parent)))
            .collect();
        let each = |text: &dyn Fn(usize, &(String, String)) -> String, between: &str| {
            let texts: Vec<String> = pairs
                .iter()
                .enumerate()
                .map(|(at, pair)| text(at, pair))
                .collect();
            texts.join(between)
        };
        let own_parent = |row: &str| {
            each(
                &|_, (child, parent)| format!("{row}.{child} = {row}.{parent}"),
                " and ",
            )
        };
        let from = kind.quote_table(table.schema.as_deref(), &table.name);
        let with = format!(
            "with recursive sym_tree ({names}, sym_depth) as (select {p_keys}, 0 from {from} p where ({p_own}) or {p_null} \
             union all select {c_keys}, sym_tree.sym_depth + 1 from {from} c join sym_tree on {c_parent} \
             where not ({c_own})) ",
            names = each(&|at, _| format!("sym_c{at}"), ", "),
            p_keys = each(&|_, (_, parent)| format!("p.{parent}"), ", "),
            p_own = own_parent("p"),
            p_null = each(&|_, (child, _)| format!("p.{child} is null"), " or "),
            c_keys = each(&|_, (_, parent)| format!("c.{parent}"), ", "),
            c_parent = each(
                &|at, (child, _)| format!("c.{child} = sym_tree.sym_c{at}"),
                " and "
            ),
            c_own = own_parent("c"),
        );
        ParentsFirst {
            with,
            join: format!(
                " left join sym_tree on {}",
                each(
                    &|at, (_, parent)| format!("t.{parent} = sym_tree.sym_c{at}"),
                    " and "
                )
            ),
        }
    }
}

/// The pieces of a query that give a table's rows parents first.
pub(super) struct ParentsFirst {
    /// Stands before `select`.
    pub with: String,
    /// Stands behind the table, aliased `t`.
    pub join: String,
}

impl ParentsFirst {
    /// Stands at the end.
    pub(super) const ORDER: &str =
        " order by case when sym_tree.sym_depth is null then 1 else 0 end, sym_tree.sym_depth";
}

/// The rows of the table aliased `t` that have a value in any of the columns.
pub(super) fn has_value(kind: DatabaseKind, layout: &Layout, columns: &[usize]) -> String {
    let names = columns.iter().map(|column| &layout.table.columns[*column].name);
    let conditions: Vec<String> = names
        .map(|name| format!("{} is not null", name_in_t(kind, name)))
        .collect();
    conditions.join(" or ")
}
