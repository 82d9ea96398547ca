//! `symadmin reload-node`

use super::node;
use crate::engine_args::EngineContext;
use crate::failure::Failure;
use symstream_shared::db::{Sql, TxKind};
use symstream_shared::id::NodeId;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The nodes' ids, or their external ids
    #[arg(value_name = "NODE", required_unless_present = "group")]
    nodes: Vec<String>,
    /// All registered nodes of this group
    #[arg(long, value_name = "GROUP")]
    group: Option<String>,
}

pub(super) async fn run(context: &EngineContext, args: &Args) -> Result<(), Failure> {
    context.require_tables().await?;
    let mut tx = context.database.begin(TxKind::Write).await?;
    let nodes = node::chosen(&mut tx, context, &args.nodes, args.group.as_deref()).await?;
    for node in &nodes {
        request(&mut tx, context, node).await?;
    }
    tx.commit().await?;
    for node in &nodes {
        eprintln!(
            "node {node} will be loaded as soon as it is registered and engine {} runs",
            context.engine.name
        );
    }
    Ok(())
}

async fn request(tx: &mut dyn Sql, context: &EngineContext, node: &NodeId) -> Result<(), Failure> {
    let security = context.tables.name("node_security");
    let statement =
        format!("update {security} set initial_load_enabled = 1, initial_load_time = null where node_id = ?");
    if tx.execute(&statement, &[node.as_str().into()]).await? == 0 {
        return Err(Failure::Failed(format!(
            "node {node} has no row in {security}; open its registration first"
        )));
    }
    Ok(())
}
