//! What an initial load of one node, or of several that get the same, reads.

mod begin;
mod circles;
mod condition;
mod estimate;
mod tombstones;

pub(super) use self::begin::{Options, begin};
pub(super) use self::estimate::estimate;
pub(super) use self::tombstones::{Tombstones, tombstones};

use self::circles::{ForeignKey, ParentsFirst, foreign_keys, has_value};
use self::condition::{LooksAt, Wanted, in_parentheses};
use super::order::{TableName, order};
use crate::decode::{HistCache, Layout};
use crate::dialect::reading::selected_row;
use crate::error::Error;
use crate::source::Source;
use std::collections::HashSet;
use std::sync::Arc;
use symstream_shared::catalog::{self, TableDef};
use symstream_shared::cell::Cell;
use symstream_shared::db::{DatabaseKind, Row, Sql};
use symstream_shared::id::GroupId;
use symstream_shared::model::{Config, Node, Rule, Trigger};
use symstream_shared::wire::{Change, Operation, TableInfo};

/// Rows of a table that go into one table at the target.
pub(super) struct LoadTable {
    /// How the rows are laid out, with the names that the table has at the target.
    pub layout: Arc<Layout>,
    /// Gives each row as its triggers would write it, and what [`Wanted`] asks for beside it.
    pub select: String,
    wanted: Wanted,
    /// The columns that are null at first, and come with an update.
    later: Vec<usize>,
}

impl LoadTable {
    /// A row of the result as an insert, or as the update of a row that was inserted without some of its values; `None`
    /// where it is not for the node.
    pub(super) fn change(
        &self,
        row: &Row,
        data_id: i64,
        operation: Operation,
    ) -> Result<Option<Change>, Error> {
        let table = &self.layout.table;
        let whole = self.layout.decode(&row.text(0)?).map_err(|source| Error::Row {
            data_id,
            table: table.source_table.clone(),
            hist_id: table.hist_id,
            source,
        })?;
        let mut change = Change {
            data_id,
            table: 0,
            operation: Operation::Insert,
            new: Some(whole),
            old: None,
            path: Vec::new(),
        };
        if !self.wanted.wants(row, 1, &change)? {
            return Ok(None);
        }
        if operation == Operation::Update {
            change.operation = operation;
            change.old = change.new.clone();
        }
        let first = match operation {
            Operation::Update => &mut change.old,
            _ => &mut change.new,
        };
        for cell in first.iter_mut() {
            for index in &self.later {
                cell[*index] = Cell::Null;
            }
        }
        Ok(Some(change))
    }
}

/// A table of the plan, before the order says which of its columns come later.
pub(super) struct Planned {
    /// Its name at the source.
    pub name: TableName,
    /// As the database describes it.
    pub table: Arc<TableDef>,
    /// As the target gets its rows.
    pub layout: Arc<Layout>,
    /// Whether any of its rules sends deletes.
    pub sends_deletes: bool,
    /// Whether any of its rules sends updates.
    pub sends_updates: bool,
    load_order: i64,
    wanted: Wanted,
}

/// The tables that `node` gets from `source`, in load order, with the steps in which they are read.
pub(super) async fn tables(
    sql: &mut dyn Sql,
    source: &Source,
    config: &Config,
    node: &Node,
    history: &mut HistCache,
) -> Result<Arranged, Error> {
    let group = &source.engine.group;
    let is_for_node = |rule: &Rule| rule.target_group == node.group;
    let mut planned = Vec::new();
    let mut known = HashSet::new();
    for trigger in config.triggers_at(group) {
        if !config
            .rules_for(&trigger.trigger_id, group)
            .iter()
            .any(is_for_node)
        {
            continue;
        }
        let captured = Captured::read(sql, source, config, trigger, history).await?;
        // Triggers that share their captured rows are planned together.
        if known.insert(captured.layout.table.trigger_ids.clone()) {
            planned.extend(captured.for_node(sql, source, config, node).await?);
        }
    }
    let keys = foreign_keys(sql).await?;
    Ok(Arranged::new(sql.kind(), planned, &keys, None))
}

/// The table of one trigger, or those of its rows for which `condition` holds too. Nothing where `node` gets nothing of it.
pub(super) async fn reload(
    sql: &mut dyn Sql,
    source: &Source,
    config: &Config,
    node: &Node,
    trigger: &Trigger,
    condition: Option<&str>,
    history: &mut HistCache,
) -> Result<Vec<(LoadTable, Operation)>, Error> {
    let captured = Captured::read(sql, source, config, trigger, history).await?;
    let planned = captured.for_node(sql, source, config, node).await?;
    let keys = foreign_keys(sql).await?;
    let arranged = Arranged::new(sql.kind(), planned, &keys, condition);
    Ok(arranged
        .into_rows()
        .map(|step| (step.table, step.operation))
        .collect())
}

/// What a load of `node` depends on: nodes with the same text get the same rows, in the same way.
pub(super) fn signature(config: &Config, group: &GroupId, node: &Node) -> String {
    let mut looks_at = LooksAt::default();
    for trigger in config.triggers_at(group) {
        let rules = config.rules_for(&trigger.trigger_id, group);
        rules
            .iter()
            .filter(|rule| rule.target_group == node.group)
            .for_each(|rule| looks_at.add(rule));
    }
    format!(
        "{} {:?} {:?} {:?}",
        node.group,
        Options::of(config, node),
        looks_at.node_id.then_some(&node.node_id),
        looks_at.external_id.then_some(&node.external_id),
    )
}

/// A captured table.
struct Captured {
    table: Arc<TableDef>,
    layout: Arc<Layout>,
}

impl Captured {
    /// The table as the trigger captures it now.
    async fn read(
        sql: &mut dyn Sql,
        source: &Source,
        config: &Config,
        trigger: &Trigger,
        history: &mut HistCache,
    ) -> Result<Self, Error> {
        let statement = format!(
            "select max(trigger_hist_id) from {} where trigger_id = ? and inactive_time is null",
            source.tables.name("trigger_hist")
        );
        let row = sql
            .query_opt(&statement, &[trigger.trigger_id.as_str().into()])
            .await?;
        let not_captured = || Error::NotCaptured {
            table: trigger.source_table.clone(),
        };
        let hist_id = row
            .map(|row| row.opt_int(0))
            .transpose()?
            .flatten()
            .ok_or_else(not_captured)?;
        let layout = history.layout(sql, &source.tables, config, hist_id).await?;
        let table = catalog::read_table(sql, trigger.source_schema.as_deref(), &trigger.source_table)
            .await?
            .ok_or_else(not_captured)?;
        // A table that was altered since has new triggers soon.
        let columns = &layout.table.columns;
        if !columns.iter().all(|column| table.column(&column.name).is_some()) {
            return Err(not_captured());
        }
        Ok(Self {
            table: Arc::new(table),
            layout,
        })
    }

    /// What `node` gets of it: once for each table that it goes into there.
    async fn for_node(
        &self,
        sql: &mut dyn Sql,
        source: &Source,
        config: &Config,
        node: &Node,
    ) -> Result<Vec<Planned>, Error> {
        let mut shares: Vec<(Vec<Rule>, Vec<String>)> = Vec::new();
        for trigger_id in &self.layout.table.trigger_ids {
            let rules = config.rules_for(trigger_id, &source.engine.group);
            for rule in rules.into_iter().filter(|rule| rule.target_group == node.group) {
                let same_target =
                    |(rules, _): &&mut (Vec<Rule>, Vec<String>)| target(&rules[0]) == target(&rule);
                match shares.iter_mut().find(same_target) {
                    Some((rules, trigger_ids)) => {
                        if !rules.contains(&rule) {
                            rules.push(rule);
                        }
                        if !trigger_ids.contains(trigger_id) {
                            trigger_ids.push(trigger_id.clone());
                        }
                    }
                    None => shares.push((vec![rule], vec![trigger_id.clone()])),
                }
            }
        }
        let mut planned = Vec::new();
        for (rules, trigger_ids) in shares {
            let layout = self.layout_for(&rules, trigger_ids);
            let wanted = Wanted::by_rules(sql, &source.tables, &self.table, &layout, &rules, node).await?;
            planned.push(Planned {
                name: TableName {
                    schema: self.table.schema.clone(),
                    name: self.table.name.clone(),
                },
                table: Arc::clone(&self.table),
                layout,
                sends_deletes: rules.iter().any(|rule| rule.on_delete),
                sends_updates: rules.iter().any(|rule| rule.on_update),
                load_order: rules
                    .iter()
                    .map(|rule| rule.initial_load_order)
                    .min()
                    .unwrap_or(0),
                wanted,
            });
        }
        Ok(planned)
    }

    /// The layout with the names at the target. Rows are sent whole where one of the rules says so.
    fn layout_for(&self, rules: &[Rule], trigger_ids: Vec<String>) -> Arc<Layout> {
        let mut layout = Layout::clone(&self.layout);
        let (schema, table) = target(&rules[0]);
        layout.table = Arc::new(TableInfo {
            trigger_ids,
            target_schema: schema.map(str::to_owned),
            target_table: table.to_owned(),
            column_level: rules.iter().all(|rule| rule.column_level),
            ..TableInfo::clone(&layout.table)
        });
        Arc::new(layout)
    }
}

/// The table at the target.
fn target(rule: &Rule) -> (Option<&str>, &str) {
    (rule.target_schema.as_deref(), &rule.target_table)
}

/// The readings of a plan, in their order.
pub(super) struct Arranged {
    /// The tables, parents first.
    pub tables: Vec<Planned>,
    /// The rows of each of them.
    inserts: Vec<RowStep>,
    /// The values that come when all rows are there.
    updates: Vec<RowStep>,
}

/// One reading of rows.
pub(super) struct RowStep {
    /// What is selected.
    pub table: LoadTable,
    /// Inserts, or updates of what was inserted before.
    pub operation: Operation,
    /// Tables that refer to each other and can not be opened have the same number.
    pub circle: Option<u32>,
}

impl Arranged {
    /// Puts the tables in order. Of each those rows are read for which `condition` holds too.
    fn new(kind: DatabaseKind, planned: Vec<Planned>, keys: &[ForeignKey], condition: Option<&str>) -> Self {
        let keys: Vec<&ForeignKey> = keys
            .iter()
            .filter(|key| planned.iter().any(|table| table.name == key.child))
            .collect();
        let references: Vec<_> = keys
            .iter()
            .map(|key| {
                let mut children = planned.iter().filter(|table| table.name == key.child);
                let opens = |child: &Planned| !key.can_be_null(&child.table, &child.layout).is_empty();
                key.reference(children.all(opens))
            })
            .collect();
        let names: Vec<_> = planned
            .iter()
            .map(|table| (table.name.clone(), table.load_order))
            .collect();
        let mut placed = order(&names, &references);
        let mut circles = placed
            .iter()
            .filter_map(|placed| placed.circle)
            .max()
            .unwrap_or(0);
        let mut inserts = Vec::new();
        let mut updates = Vec::new();
        for place in 0..placed.len() {
            let child = &planned[placed[place].index];
            let comes_later = |key: &ForeignKey| {
                placed[place + 1..]
                    .iter()
                    .any(|other| planned[other.index].name == key.parent && key.parent != key.child)
            };
            let mut later: Vec<usize> = Vec::new();
            let mut own_parents: Vec<&ForeignKey> = Vec::new();
            for key in keys.iter().filter(|key| key.child == child.name) {
                if !key.is_to_itself() && !comes_later(key) {
                    continue;
                }
                let columns = key.can_be_null(&child.table, &child.layout);
                if columns.is_empty() && key.is_to_itself() {
                    own_parents.push(key);
                } else if columns.is_empty() {
                    tracing::warn!(
                        table = child.name.name,
                        refers_to = key.parent.name,
                        in_one_batch = placed[place].circle.is_some(),
                        "the rows of a load go to a target before the rows that they refer to, whose columns can not be \
                         null; it takes them only where its foreign key is deferred or not there"
                    );
                }
                later.extend(columns);
            }
            later.sort_unstable();
            later.dedup();
            let parents_first = match own_parents.as_slice() {
                [key] => Some(key.parents_first(kind, &child.table)),
                [] => None,
                several => {
                    tracing::warn!(
                        table = child.name.name,
                        foreign_key_count = several.len(),
                        "the rows of a load can not be sent parents first: the table refers to itself in several ways, \
                         in columns that can not be null; they go in one batch"
                    );
                    if placed[place].circle.is_none() {
                        circles += 1;
                        placed[place].circle = Some(circles);
                    }
                    None
                }
            };
            let read =
                |later_only: bool| child.reading(kind, condition, &later, later_only, parents_first.as_ref());
            inserts.push(RowStep {
                table: read(false),
                operation: Operation::Insert,
                circle: placed[place].circle,
            });
            if !later.is_empty() {
                updates.push(RowStep {
                    table: read(true),
                    operation: Operation::Update,
                    circle: None,
                });
            }
        }
        let mut planned: Vec<Option<Planned>> = planned.into_iter().map(Some).collect();
        Self {
            tables: placed
                .iter()
                .filter_map(|placed| planned[placed.index].take())
                .collect(),
            inserts,
            updates,
        }
    }

    /// The readings of rows.
    pub(super) fn into_rows(self) -> impl Iterator<Item = RowStep> {
        self.inserts.into_iter().chain(self.updates)
    }
}

impl Planned {
    /// The rows, or those whose values in the `later` columns come as an update.
    fn reading(
        &self,
        kind: DatabaseKind,
        condition: Option<&str>,
        later: &[usize],
        later_only: bool,
        parents_first: Option<&ParentsFirst>,
    ) -> LoadTable {
        let parents_first = parents_first.filter(|_| !later_only);
        let columns: Vec<_> = self
            .layout
            .table
            .columns
            .iter()
            .filter_map(|column| self.table.column(&column.name))
            .collect();
        let mut fields = vec![selected_row(kind, "t", &columns)];
        fields.extend(self.wanted.flags.iter().cloned());
        let mut conditions: Vec<String> = self
            .wanted
            .condition
            .iter()
            .map(|text| format!("({text})"))
            .collect();
        conditions.extend(condition.map(in_parentheses));
        let mut layout = Arc::clone(&self.layout);
        if later_only {
            conditions.push(format!("({})", has_value(kind, &self.layout, later)));
            // The rest of the row is there, and may have changed.
            let mut changed = Layout::clone(&layout);
            Arc::make_mut(&mut changed.table).column_level = true;
            layout = Arc::new(changed);
        }
        let filter = match conditions.is_empty() {
            true => String::new(),
            false => format!(" where {}", conditions.join(" and ")),
        };
        let select = format!(
            "{with}select {fields} from {table} t{join}{filter}{order}",
            with = parents_first.map_or("", |tree| &tree.with),
            fields = fields.join(", "),
            table = kind.quote_table(self.table.schema.as_deref(), &self.table.name),
            join = parents_first.map_or("", |tree| &tree.join),
            order = parents_first.map_or("", |_| ParentsFirst::ORDER),
        );
        LoadTable {
            layout,
            select,
            wanted: self.wanted.clone(),
            later: later.to_vec(),
        }
    }
}

#[cfg(test)]
mod tests;
