//! `symadmin reload-node`

use super::node;
use crate::engine_args::EngineContext;
use crate::failure::Failure;
use symstream_shared::db::{Sql, TxKind};
use symstream_shared::model;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The node's id, or its external id
    #[arg(value_name = "NODE")]
    node: String,
}

pub(super) async fn run(context: &EngineContext, args: &Args) -> Result<(), Failure> {
    context.require_tables().await?;
    let mut tx = context.database.begin(TxKind::Write).await?;
    let node = node::find(&mut tx, context, &args.node).await?;
    if model::identity(&mut tx, &context.tables)
        .await?
        .is_some_and(|own| own == node)
    {
        return Err(Failure::Failed(format!(
            "node {node} is engine {}'s own; a reload is asked for at the node that sends it",
            context.engine.name
        )));
    }
    let statement = format!(
        "update {} set initial_load_enabled = 1, initial_load_time = null where node_id = ?",
        context.tables.name("node_security")
    );
    if tx.execute(&statement, &[node.as_str().into()]).await? == 0 {
        return Err(Failure::Failed(format!(
            "node {node} has no row in {}; open its registration first",
            context.tables.name("node_security")
        )));
    }
    tx.commit().await?;
    eprintln!(
        "node {node} will be loaded as soon as it is registered and engine {} runs",
        context.engine.name
    );
    Ok(())
}
