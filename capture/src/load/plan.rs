//! What an initial load of one node reads.

use super::order::{TableName, order};
use crate::decode::{HistCache, Layout};
use crate::dialect::reading::{foreign_keys_query, selected_row};
use crate::error::Error;
use crate::source::Source;
use std::collections::HashSet;
use std::sync::Arc;
use symstream_shared::catalog;
use symstream_shared::db::Sql;
use symstream_shared::model::{Config, Node, Rule, Trigger};

/// One table of a load.
pub(super) struct LoadTable {
    /// How its rows are laid out.
    pub layout: Arc<Layout>,
    /// Gives one column: each row as its triggers would write it.
    pub select: String,
}

/// The tables that `node` gets from `source`, in load order.
pub(super) async fn tables(
    sql: &mut dyn Sql,
    source: &Source,
    config: &Config,
    node: &Node,
    history: &mut HistCache,
) -> Result<Vec<LoadTable>, Error> {
    let mut tables = Vec::new();
    let mut names = Vec::new();
    for trigger in config.triggers_at(&source.engine.group) {
        let rules: Vec<Rule> = config
            .rules_for(&trigger.trigger_id, &source.engine.group)
            .into_iter()
            .filter(|rule| rule.target_group == node.group)
            .collect();
        let Some(load_order) = rules.iter().map(|rule| rule.initial_load_order).min() else {
            continue;
        };
        let (name, table) = table(sql, source, config, node, trigger, &rules, history).await?;
        names.push((name, load_order));
        tables.push(Some(table));
    }
    let references = references(sql).await?;
    Ok(order(&names, &references)
        .into_iter()
        .filter_map(|index| tables[index].take())
        .collect())
}

async fn table(
    sql: &mut dyn Sql,
    source: &Source,
    config: &Config,
    node: &Node,
    trigger: &Trigger,
    rules: &[Rule],
    history: &mut HistCache,
) -> Result<(TableName, LoadTable), Error> {
    let missing = || Error::NotCaptured {
        table: trigger.source_table.clone(),
    };
    let statement = format!(
        "select max(trigger_hist_id) from {} where trigger_id = ? and inactive_time is null",
        source.tables.name("trigger_hist")
    );
    let row = sql
        .query_opt(&statement, &[trigger.trigger_id.as_str().into()])
        .await?;
    let hist_id = row
        .map(|row| row.opt_int(0))
        .transpose()?
        .flatten()
        .ok_or_else(missing)?;
    let layout = history.layout(sql, &source.tables, config, hist_id).await?;
    let table = catalog::read_table(sql, trigger.source_schema.as_deref(), &trigger.source_table)
        .await?
        .ok_or_else(missing)?;
    // A table that was altered since has new triggers soon.
    let columns = layout
        .table
        .columns
        .iter()
        .map(|column| table.column(&column.name))
        .collect::<Option<Vec<_>>>();
    let kind = sql.kind();
    let select = format!(
        "select {} from {} t{}",
        selected_row(kind, "t", &columns.ok_or_else(missing)?),
        kind.quote_table(table.schema.as_deref(), &table.name),
        condition(rules, node)
            .map(|condition| format!(" where {condition}"))
            .unwrap_or_default()
    );
    Ok((
        TableName {
            schema: table.schema,
            name: table.name,
        },
        LoadTable { layout, select },
    ))
}

/// The rules' `initial_load_select`s: rows that any of them wants. What each rule lets through is the router's.
fn condition(rules: &[Rule], node: &Node) -> Option<String> {
    let selects: Option<Vec<&str>> = rules
        .iter()
        .map(|rule| {
            rule.initial_load_select
                .as_deref()
                .map(str::trim)
                .filter(|select| !select.is_empty())
        })
        .collect();
    let variables = [
        ("$(nodeId)", node.node_id.as_str()),
        ("$(groupId)", node.group.as_str()),
        ("$(externalId)", node.external_id.as_str()),
    ];
    let filled = selects?.into_iter().map(|select| {
        let text = variables.iter().fold(select.to_owned(), |text, (name, value)| {
            text.replace(name, &value.replace('\'', "''"))
        });
        format!("({text})")
    });
    Some(filled.collect::<Vec<_>>().join(" or "))
}

async fn references(sql: &mut dyn Sql) -> Result<HashSet<(TableName, TableName)>, Error> {
    let rows = sql.query(foreign_keys_query(sql.kind()), &[]).await?;
    rows.iter()
        .map(|row| {
            let name = |schema: usize| {
                Ok::<_, Error>(TableName {
                    schema: row.opt_text(schema)?,
                    name: row.text(schema + 1)?,
                })
            };
            Ok((name(0)?, name(2)?))
        })
        .collect()
}
