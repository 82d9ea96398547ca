//! `symadmin reload-node`

use crate::engine_args::EngineContext;
use crate::failure::Failure;
use symstream_shared::db::{Param, Sql, Tx, TxKind};
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
    let node = find(&mut tx, context, &args.node).await?;
    if model::identity(&mut tx, &context.tables)
        .await?
        .is_some_and(|own| own.as_str() == node)
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

/// The id of the node that `name` means: as a node id first, else as an external id.
async fn find(tx: &mut Tx, context: &EngineContext, name: &str) -> Result<String, Failure> {
    let table = context.tables.name("node");
    let query = format!("select node_id from {table} where node_id = ? or external_id = ? order by node_id");
    let rows = tx.query(&query, &[Param::from(name), Param::from(name)]).await?;
    let mut nodes = rows
        .iter()
        .map(|row| row.text(0))
        .collect::<Result<Vec<_>, _>>()?;
    if nodes.iter().any(|node| node == name) {
        return Ok(name.to_owned());
    }
    match (nodes.pop(), nodes.is_empty()) {
        (Some(node), true) => Ok(node),
        (None, _) => Err(Failure::Failed(format!(
            "node {name} is not in {table} of engine {}; see: symadmin --engine {} list-nodes",
            context.engine.name, context.engine.name
        ))),
        (Some(last), false) => Err(Failure::Failed(format!(
            "{name} is the external id of several nodes; give a node id: {}, {last}",
            nodes.join(", ")
        ))),
    }
}
