//! `symadmin uninstall`

use crate::confirm::confirm;
use crate::engine_args::EngineContext;
use crate::failure::Failure;
use symstream_capture::sync_triggers::drop_all_triggers;
use symstream_nats::Bus;
use symstream_shared::id::NodeId;
use symstream_shared::schema;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Remove what NATS keeps, too: on the registration server the streams of all nodes, elsewhere the node's consumers
    /// and what waits for it
    #[arg(long)]
    streams: bool,
}

pub(super) async fn run(context: &EngineContext, args: &Args) -> Result<(), Failure> {
    context.require_tables().await?;
    let engine = &context.engine.name;
    if !args.yes {
        let streams = match (args.streams, context.engine.is_registration_server()) {
            (false, _) => "",
            (true, true) => " The streams of all nodes are deleted.",
            (true, false) => " What NATS keeps for the node is deleted.",
        };
        confirm(&format!(
            "This removes the {} tables of engine {engine} with its identity, its configuration and every change \
             that is not delivered yet.{streams} The engine must not run. Go on?",
            context.tables
        ))?;
    }
    // Reached before anything is removed: the tables say which node it is, and can be removed only once.
    let kept = match args.streams {
        true => Some((connect(context).await?, node(context).await?)),
        false => None,
    };
    // The triggers first: without their tables they would make the application's statements fail.
    let report = drop_all_triggers(&context.database, &context.tables).await?;
    schema::drop_all(&context.database, &context.tables).await?;
    eprintln!(
        "removed the triggers of {} tables and the {} tables of engine {engine}",
        report.removed.len(),
        context.tables
    );
    if let Some((bus, node)) = kept {
        remove_kept(context, &bus, node.as_ref()).await?;
    }
    Ok(())
}

async fn connect(context: &EngineContext) -> Result<Bus, Failure> {
    let connected = Bus::connect(&context.engine, "uninstall").await;
    connected.map_err(|err| Failure::Failed(format!("--streams: {err}; nothing was removed")))
}

/// `None` where the engine was never registered.
async fn node(context: &EngineContext) -> Result<Option<NodeId>, Failure> {
    let query = format!("select node_id from {}", context.tables.name("node_identity"));
    let Some(row) = context.database.query_opt(&query, &[]).await? else {
        return Ok(None);
    };
    let node = NodeId::new(row.text(0)?).map_err(|err| Failure::Failed(format!("node_identity: {err}")))?;
    Ok(Some(node))
}

async fn remove_kept(context: &EngineContext, bus: &Bus, node: Option<&NodeId>) -> Result<(), Failure> {
    let failed = |err: symstream_nats::BusError| {
        let what = match context.engine.is_registration_server() {
            true => "delete the streams with: nats stream rm",
            false => "remove the node at the registration server: symadmin remove-node",
        };
        Failure::Failed(format!(
            "the tables are removed, but what NATS keeps is not: {err}; {what}"
        ))
    };
    if context.engine.is_registration_server() {
        let deleted = bus.delete_streams().await.map_err(failed)?;
        eprintln!("deleted {} streams", deleted.len());
    } else if let Some(node) = node {
        bus.forget_node(node).await.map_err(failed)?;
        eprintln!("removed what NATS kept for node {node}");
    }
    Ok(())
}
