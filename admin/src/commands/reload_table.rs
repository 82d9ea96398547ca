//! `symadmin reload-table`

use super::node::receiver;
use super::request::{Request, insert, require_channel};
use crate::engine_args::EngineContext;
use crate::failure::Failure;
use std::collections::{BTreeSet, HashSet};
use symstream_shared::csv;
use symstream_shared::db::{Sql, TxKind};
use symstream_shared::id::ChannelId;
use symstream_shared::model::{Config, Node};

/// The tables that an error names at most.
const NAMED_MAX: usize = 20;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The node's id, or its external id; several separated by commas
    #[arg(value_name = "NODE")]
    nodes: String,
    /// The tables at this engine's database, as TABLE or SCHEMA.TABLE
    #[arg(value_name = "TABLE", required = true)]
    tables: Vec<String>,
    /// Only the rows that this holds for, in the SQL of this engine's database, the table aliased t
    #[arg(long = "where", value_name = "CONDITION")]
    condition: Option<String>,
}

/// What a table's rows are captured with: a trigger, or several that share their captured rows.
struct Capture {
    hist_id: i64,
    trigger_ids: Vec<String>,
    schema: Option<String>,
    table: String,
}

impl Capture {
    /// Whether an operator means it with this name, which may have the schema in front.
    fn is_named(&self, name: &str, is_same: fn(&str, &str) -> bool) -> bool {
        let qualified = self
            .schema
            .as_ref()
            .map(|schema| format!("{schema}.{}", self.table));
        is_same(&self.table, name) || qualified.is_some_and(|qualified| is_same(&qualified, name))
    }
}

/// A table's turn and place.
struct Planned<'a> {
    capture: &'a Capture,
    channel: ChannelId,
    load_order: i64,
}

pub(super) async fn run(context: &EngineContext, args: &Args) -> Result<(), Failure> {
    if args.condition.as_deref().map(str::trim) == Some("") {
        return Err(Failure::Usage(
            "the condition is empty; leave --where out for all rows".to_owned(),
        ));
    }
    context.require_tables().await?;
    let mut tx = context.database.begin(TxKind::Write).await?;
    let captures = captures(&mut tx, context).await?;
    let mut told = Vec::new();
    for name in args.nodes.split(',') {
        told.push(request(&mut tx, context, args, &captures, name).await?);
    }
    tx.commit().await?;
    for line in told {
        eprintln!("{line}");
    }
    Ok(())
}

/// Writes the requests for one node; what to tell of them.
async fn request(
    tx: &mut dyn Sql,
    context: &EngineContext,
    args: &Args,
    captures: &[Capture],
    name: &str,
) -> Result<String, Failure> {
    let (config, node) = receiver(tx, context, name).await?;
    let mut planned = Vec::new();
    for table in &args.tables {
        planned.extend(plan(context, &config, &node, captures, table)?);
    }
    let mut seen = HashSet::new();
    planned.retain(|planned| seen.insert(planned.capture.hist_id));
    // Stable: tables of one order stay as they were given.
    planned.sort_by_key(|planned| planned.load_order);
    for Planned { capture, channel, .. } in &planned {
        require_channel(&config, &node.node_id, channel)?;
        let request = Request::Reload {
            hist_id: capture.hist_id,
            table: &capture.table,
            condition: args.condition.as_deref().map(str::trim),
        };
        insert(tx, context, &node.node_id, channel, &request).await?;
    }
    let channels: BTreeSet<&str> = planned.iter().map(|planned| planned.channel.as_str()).collect();
    let channels: Vec<&str> = channels.into_iter().collect();
    Ok(format!(
        "{} will be sent to node {} again, in its place in channel {}",
        args.tables.join(", "),
        node.node_id,
        channels.join(", ")
    ))
}

/// Every capture that has a trigger in the database now, each once, by the first of the triggers that share it.
async fn captures(sql: &mut dyn Sql, context: &EngineContext) -> Result<Vec<Capture>, Failure> {
    let table = context.tables.name("trigger_hist");
    let query = format!(
        "select trigger_hist_id, trigger_id, trigger_ids, source_schema_name, source_table_name from {table} \
         where inactive_time is null order by trigger_id, trigger_hist_id desc"
    );
    let mut captures = Vec::new();
    let mut seen = HashSet::new();
    for row in sql.query(&query, &[]).await? {
        let trigger_id = row.text(1)?;
        let mut trigger_ids = csv::decode_names(&row.opt_text(2)?.unwrap_or_default())
            .map_err(|err| Failure::Failed(format!("table {table}, trigger_ids of {trigger_id}: {err}")))?;
        if trigger_ids.is_empty() {
            trigger_ids.push(trigger_id);
        }
        if seen.insert(trigger_ids.clone()) {
            captures.push(Capture {
                hist_id: row.int(0)?,
                trigger_ids,
                schema: row.opt_text(3)?,
                table: row.text(4)?,
            });
        }
    }
    Ok(captures)
}

/// The captures of a table that have a rule for the node's group.
fn plan<'a>(
    context: &EngineContext,
    config: &Config,
    node: &Node,
    captures: &'a [Capture],
    table: &str,
) -> Result<Vec<Planned<'a>>, Failure> {
    let named = |is_same: fn(&str, &str) -> bool| -> Vec<&Capture> {
        captures
            .iter()
            .filter(|capture| capture.is_named(table, is_same))
            .collect()
    };
    // Where names differ in upper and lower case only, the exact one is meant.
    let mut found = named(|a, b| a == b);
    if found.is_empty() {
        found = named(str::eq_ignore_ascii_case);
    }
    if found.is_empty() {
        return Err(Failure::Failed(format!(
            "no trigger of engine {} captures a table {table}; {}",
            context.engine.name,
            tables_of(captures)
        )));
    }
    let planned: Vec<Planned<'_>> = found
        .into_iter()
        .filter_map(|capture| {
            let rules = config.rules_of(&capture.trigger_ids, &context.engine.group);
            let orders = rules
                .iter()
                .filter(|rule| rule.target_group == node.group)
                .map(|rule| rule.initial_load_order);
            let first = capture
                .trigger_ids
                .iter()
                .find_map(|id| config.triggers.get(id))?;
            Some(Planned {
                capture,
                channel: first.channel.clone(),
                load_order: orders.min()?,
            })
        })
        .collect();
    if planned.is_empty() {
        return Err(Failure::Failed(format!(
            "no rule of table {table} is for nodes of group {}, which node {} is of",
            node.group, node.node_id
        )));
    }
    Ok(planned)
}

fn tables_of(captures: &[Capture]) -> String {
    let names: BTreeSet<&str> = captures.iter().map(|capture| capture.table.as_str()).collect();
    let more = if names.len() > NAMED_MAX { ", …" } else { "" };
    match names.into_iter().take(NAMED_MAX).collect::<Vec<_>>().join(", ") {
        names if names.is_empty() => "it captures none yet".to_owned(),
        names => format!("it captures {names}{more}"),
    }
}
