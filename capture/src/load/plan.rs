//! What an initial load of one node, or of several that get the same, reads.

mod begin;
mod circles;
mod condition;
mod estimate;
mod later;
mod steps;
mod tombstones;

pub(super) use self::begin::{Options, begin};
pub(super) use self::estimate::estimate;
pub(super) use self::steps::Arranged;
pub(super) use self::tombstones::{Tombstones, tombstones};

use self::circles::foreign_keys;
use self::condition::{LooksAt, Wanted};
use self::later::Later;
use super::order::TableName;
use crate::decode::{HistCache, Layout};
use crate::error::Error;
use crate::source::Source;
use std::collections::HashSet;
use std::sync::Arc;
use symstream_shared::catalog::{self, TableDef};
use symstream_shared::db::{Row, Sql};
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
    later: Option<Later>,
}

impl LoadTable {
    /// A row of the result as an insert, or as the update of a row that was inserted without some of its values, and the
    /// table as the change has it; `None` where it is not for the node.
    pub(super) fn change(
        &self,
        row: &Row,
        data_id: i64,
        operation: Operation,
    ) -> Result<Option<(&Arc<TableInfo>, Change)>, Error> {
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
        let Some(later) = &self.later else {
            return Ok(Some((table, change)));
        };
        if operation == Operation::Update {
            change.operation = operation;
            change.new = change.new.map(|row| later.row_alone(&row, table));
            change.old.clone_from(&change.new);
            return Ok(Some((&later.alone, change)));
        }
        match change.new.take() {
            Some(row) if later.has_value(&row) => {
                change.new = Some(later.row_without(row));
                Ok(Some((&later.without, change)))
            }
            row => {
                change.new = row;
                Ok(Some((table, change)))
            }
        }
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
    /// The columns that are null while rows refer to each other, as indexes into what is captured.
    later: Vec<usize>,
    /// Tables whose deletes go in one batch, because their rows refer to each other for good, have the same number.
    deleted_with: Option<u32>,
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
                later: Vec::new(),
                deleted_with: None,
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

#[cfg(test)]
mod tests;
