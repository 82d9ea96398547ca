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
use symstream_shared::id::GroupId;
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
    let group = &source.engine.group;
    let is_for_node = |rule: &Rule| rule.target_group == node.group;
    let mut tables = Vec::new();
    let mut names = Vec::new();
    let mut planned = HashSet::new();
    for trigger in config.triggers_at(group) {
        if !config
            .rules_for(&trigger.trigger_id, group)
            .iter()
            .any(is_for_node)
        {
            continue;
        }
        let layout = layout(sql, source, config, trigger, history).await?;
        // Triggers that share their captured rows are planned together.
        if !planned.insert(layout.table.trigger_ids.clone()) {
            continue;
        }
        for share in shares(config, group, node, &layout) {
            let (name, table) = table(sql, trigger, share.layout, conditions(share.select, None)).await?;
            names.push((name, share.load_order));
            tables.push(Some(table));
        }
    }
    let references = references(sql).await?;
    Ok(order(&names, &references)
        .into_iter()
        .filter_map(|index| tables[index].take())
        .collect())
}

/// What a load of `node` depends on: with the same one, the same rows are read.
pub(super) fn signature(config: &Config, group: &GroupId, node: &Node) -> String {
    let mut text = node.group.to_string();
    for trigger in config.triggers_at(group) {
        let mut rules = config.rules_for(&trigger.trigger_id, group);
        rules.retain(|rule| rule.target_group == node.group);
        let select = load_condition(&rules, node);
        text.push_str(&format!(
            "\n{}: {}",
            trigger.trigger_id,
            select.unwrap_or_default()
        ));
    }
    text
}

/// The table of one trigger, or those of its rows for which `condition` holds too; once for each different
/// `initial_load_select` of those that share its rows. Nothing where `node` gets nothing of it.
pub(super) async fn reload(
    sql: &mut dyn Sql,
    source: &Source,
    config: &Config,
    node: &Node,
    trigger: &Trigger,
    condition: Option<&str>,
    history: &mut HistCache,
) -> Result<Vec<LoadTable>, Error> {
    let layout = layout(sql, source, config, trigger, history).await?;
    let mut tables = Vec::new();
    for share in shares(config, &source.engine.group, node, &layout) {
        let (_, table) = table(sql, trigger, share.layout, conditions(share.select, condition)).await?;
        tables.push(table);
    }
    Ok(tables)
}

/// The triggers among those that share captured rows which want the same rows of a load.
struct Share {
    /// As the rows are laid out, with these triggers only: the router asks their rules, and no others'.
    layout: Arc<Layout>,
    /// What they select; `None` for all rows.
    select: Option<String>,
    load_order: i64,
}

/// The triggers of `layout` that have rules for `node`, by what they select.
fn shares(config: &Config, group: &GroupId, node: &Node, layout: &Layout) -> Vec<Share> {
    let mut shares: Vec<(Option<String>, i64, Vec<String>)> = Vec::new();
    for trigger_id in &layout.table.trigger_ids {
        let mut rules = config.rules_for(trigger_id, group);
        rules.retain(|rule| rule.target_group == node.group);
        let Some(load_order) = rules.iter().map(|rule| rule.initial_load_order).min() else {
            continue;
        };
        let select = load_condition(&rules, node);
        match shares.iter_mut().find(|(known, ..)| *known == select) {
            Some((_, lowest, trigger_ids)) => {
                *lowest = load_order.min(*lowest);
                trigger_ids.push(trigger_id.clone());
            }
            None => shares.push((select, load_order, vec![trigger_id.clone()])),
        }
    }
    let share = |(select, load_order, trigger_ids)| {
        let mut layout = layout.clone();
        Arc::make_mut(&mut layout.table).trigger_ids = trigger_ids;
        Share {
            layout: Arc::new(layout),
            select,
            load_order,
        }
    };
    shares.into_iter().map(share).collect()
}

/// How rows are laid out that the trigger captures now.
async fn layout(
    sql: &mut dyn Sql,
    source: &Source,
    config: &Config,
    trigger: &Trigger,
    history: &mut HistCache,
) -> Result<Arc<Layout>, Error> {
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
        .ok_or_else(|| not_captured(trigger))?;
    Ok(history.layout(sql, &source.tables, config, hist_id).await?)
}

async fn table(
    sql: &mut dyn Sql,
    trigger: &Trigger,
    layout: Arc<Layout>,
    conditions: Vec<String>,
) -> Result<(TableName, LoadTable), Error> {
    let table = catalog::read_table(sql, trigger.source_schema.as_deref(), &trigger.source_table)
        .await?
        .ok_or_else(|| not_captured(trigger))?;
    // A table that was altered since has new triggers soon.
    let columns = layout
        .table
        .columns
        .iter()
        .map(|column| table.column(&column.name))
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| not_captured(trigger))?;
    let kind = sql.kind();
    let mut select = format!(
        "select {} from {} t",
        selected_row(kind, "t", &columns),
        kind.quote_table(table.schema.as_deref(), &table.name),
    );
    if !conditions.is_empty() {
        select.push_str(" where ");
        select.push_str(&conditions.join(" and "));
    }
    let name = TableName {
        schema: table.schema,
        name: table.name,
    };
    Ok((name, LoadTable { layout, select }))
}

fn not_captured(trigger: &Trigger) -> Error {
    Error::NotCaptured {
        table: trigger.source_table.clone(),
    }
}

/// What a row has to fulfil: what its triggers select, and `condition`.
fn conditions(select: Option<String>, condition: Option<&str>) -> Vec<String> {
    let mut conditions: Vec<String> = select.into_iter().collect();
    conditions.extend(condition.map(in_parentheses));
    conditions
}

/// A comment at the end of a user's SQL ends with its line.
fn in_parentheses(condition: &str) -> String {
    format!("({condition}\n)")
}

/// Rows that any of one trigger's rules wants; `None` where one wants all.
fn load_condition(rules: &[Rule], node: &Node) -> Option<String> {
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
        in_parentheses(&text)
    });
    Some(format!("({})", filled.collect::<Vec<_>>().join(" or ")))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::configuration::own_configuration;
    use crate::sync_triggers::sync_triggers;
    use crate::testing::TestNode;
    use symstream_shared::db::DatabaseKind::Sqlite;
    use symstream_shared::id::NodeId;

    /// A node with a table for which these values of `sym_trigger` hold: id, target group, load order, load select.
    async fn planned(triggers: &[(&str, &str, i64, &str)], target: &str) -> Vec<String> {
        let node = TestNode::start(Sqlite).await;
        node.db
            .run(
                "create table item (id integer primary key); create table other (id integer primary key);
                 insert into sym_node_group_link (source_node_group_id, target_node_group_id) values ('here', 'off');
                 insert into sym_node (node_id, node_group_id, external_id) values ('1', 'there', 'x''y'), ('2', 'off', '2');
                 insert into sym_trigger (trigger_id, source_table_name, source_node_group_id, target_node_group_id, \
                 channel_id, initial_load_order) values ('other', 'other', 'here', 'there', 'main', 5)",
            )
            .await;
        for (id, group, order, select) in triggers {
            node.db
                .run(&format!(
                    "insert into sym_trigger (trigger_id, source_table_name, source_node_group_id, \
                     target_node_group_id, channel_id, initial_load_order, initial_load_select) \
                     values ('{id}', 'item', 'here', '{group}', 'main', {order}, {select})"
                ))
                .await;
        }
        let source = &node.source;
        let config = own_configuration(source).await.expect("configuration");
        let group = &source.engine.group;
        sync_triggers(&source.database, &source.tables, &config, group, false)
            .await
            .expect("triggers");
        let mut conn = source.database.conn().await.expect("connection");
        let target = &config.nodes[&NodeId::new(target).expect("id")];
        let tables = tables(&mut conn, source, &config, target, &mut HistCache::new())
            .await
            .expect("plan");
        let what = |table: &LoadTable| {
            let (_, condition) = table.select.rsplit_once("\" t").expect("the table's alias");
            format!(
                "{} {}:{}",
                table.layout.table.source_table,
                table.layout.table.trigger_ids.join(","),
                condition.replace('\n', "")
            )
        };
        tables.iter().map(what).collect()
    }

    #[tokio::test]
    async fn triggers_that_select_the_same_rows_load_them_once() {
        let triggers = [
            ("a", "there", 9, "'t.id > 1'"),
            ("b", "there", 7, "'t.id = ''$(externalId)'''"),
            ("c", "off", 1, "null"),
            ("d", "there", 8, "'t.id = ''$(externalId)'''"),
        ];
        assert_eq!(
            planned(&triggers, "1").await,
            [
                "other other:",
                "item b,d: where ((t.id = 'x''y'))",
                "item a: where ((t.id > 1))"
            ]
        );
        assert_eq!(planned(&triggers, "2").await, ["item c:"]);
    }

    #[tokio::test]
    async fn triggers_that_select_different_rows_load_their_own() {
        let triggers = [
            ("a", "there", 1, "'t.id > 1'"),
            ("b", "there", 2, "null"),
            ("c", "there", 2, "null"),
        ];
        assert_eq!(
            planned(&triggers, "1").await,
            ["item a: where ((t.id > 1))", "item b,c:", "other other:"]
        );
    }
}
