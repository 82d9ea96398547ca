//! `symadmin cancel-reload`

use super::node;
use crate::engine_args::EngineContext;
use crate::failure::Failure;
use symstream_shared::db::{Sql, TxKind};
use symstream_shared::id::NodeId;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The nodes' ids, or their external ids
    #[arg(value_name = "NODE", required = true)]
    nodes: Vec<String>,
}

pub(super) async fn run(context: &EngineContext, args: &Args) -> Result<(), Failure> {
    context.require_tables().await?;
    let mut tx = context.database.begin(TxKind::Write).await?;
    let nodes = node::chosen(&mut tx, context, &args.nodes, None).await?;
    for node in &nodes {
        cancel(&mut tx, context, node).await?;
    }
    tx.commit().await?;
    for node in &nodes {
        eprintln!(
            "the load of node {node} ends as soon as engine {} runs: the rows that it got stay, the others are missing \
             there, and changes go on",
            context.engine.name
        );
    }
    Ok(())
}

async fn cancel(tx: &mut dyn Sql, context: &EngineContext, node: &NodeId) -> Result<(), Failure> {
    let need = format!(
        "select reason from {} where node_id = ?",
        context.tables.name("reload_need")
    );
    if let Some(row) = tx.query_opt(&need, &[node.as_str().into()]).await? {
        return Err(Failure::Failed(format!(
            "node {node} needs the load and is sent nothing before: {}; where it is not wanted any more, disable the node \
             (sync_enabled 0) or remove it",
            row.opt_text(0)?.unwrap_or_default()
        )));
    }
    if is_owed(tx, context, node).await? {
        return Err(Failure::Failed(format!(
            "the load of node {node} is to bring changes that were kept from it, which nobody sends again; where it is not \
             wanted any more, disable the node (sync_enabled 0) or remove it"
        )));
    }
    let statement = format!(
        "update {} set initial_load_enabled = 0 where node_id = ? and initial_load_enabled = 1",
        context.tables.name("node_security")
    );
    if tx.execute(&statement, &[node.as_str().into()]).await? == 0 {
        return Err(Failure::Failed(format!(
            "no load of node {node} is asked for or on its way"
        )));
    }
    Ok(())
}

/// Whether the newest load of a node, which is not over, is one that clears its tables for what was kept from it.
async fn is_owed(tx: &mut dyn Sql, context: &EngineContext, node: &NodeId) -> Result<bool, Failure> {
    let load = context.tables.name("load");
    let statement = format!(
        "select 1 from {load} l where l.node_id = ? and l.status in ('NE', 'SE', 'AB') and l.clear_first = 1 \
         and not exists (select 1 from {load} m where m.node_id = l.node_id and m.load_id > l.load_id)"
    );
    Ok(tx.query_opt(&statement, &[node.as_str().into()]).await?.is_some())
}
