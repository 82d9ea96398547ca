//! `symadmin remove-node`

use super::node::{find, require_server};
use crate::confirm::confirm;
use crate::engine_args::EngineContext;
use crate::failure::Failure;
use symstream_shared::db::{Param, Sql, Tx, TxKind};
use symstream_shared::id::NodeId;
use symstream_shared::model::{self, set_state};
use symstream_shared::registration::{self, removed_state};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The node: its id, or its external id
    #[arg(value_name = "NODE")]
    node: String,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

pub(super) async fn run(context: &EngineContext, args: &Args) -> Result<(), Failure> {
    require_server(context, "remove-node")?;
    context.require_tables().await?;
    let node = {
        let mut conn = context.database.conn().await?;
        let node = find(&mut conn, context, &args.node).await?;
        if model::identity(&mut conn, &context.tables).await?.as_ref() == Some(&node) {
            return Err(Failure::Failed(format!(
                "node {node} is the registration server itself; to end it: symadmin --engine {} uninstall",
                context.engine.name
            )));
        }
        node
    };
    if !args.yes {
        confirm(&format!(
            "This ends the part of node {node}: changes that wait for it are not delivered any more, and it sends nothing \
             any more. Go on?"
        ))?;
    }
    let mut tx = context.database.begin(TxKind::Write).await?;
    let sent_to_it = remove(&mut tx, context, &node).await?;
    tx.commit().await?;
    eprintln!("removed node {node}; the router removes what is kept for it in NATS");
    if sent_to_it > 0 {
        eprintln!(
            "{} still sends {sent_to_it} nodes to it that ask to be registered",
            context.tables.name("registration_redirect")
        );
    }
    Ok(())
}

/// Takes the node out of the configuration, so that no access is left and nobody routes to it. What its batches were
/// stays in their tables. Returns how many nodes are to register by way of it.
async fn remove(tx: &mut Tx, context: &EngineContext, node: &NodeId) -> Result<i64, Failure> {
    let tables = &context.tables;
    let id = || [Param::from(node.as_str())];
    let query = format!(
        "select node_group_id, external_id from {} where node_id = ?",
        tables.name("node")
    );
    let Some(row) = tx.query_opt(&query, &id()).await? else {
        return Err(Failure::Failed(format!("node {node} was removed meanwhile")));
    };
    let (group, external_id) = (row.text(0)?, row.text(1)?);
    let loads = format!(
        "update {} set status = 'CA', end_time = {}, message = 'the node was removed' \
         where node_id = ? and status in ('RQ', 'NE', 'SE')",
        tables.name("load"),
        tx.kind().now()
    );
    tx.execute(&loads, &id()).await?;
    for table in ["reload_need", "node_channel_ctl", "node_security", "node"] {
        let delete = format!("delete from {} where node_id = ?", tables.name(table));
        tx.execute(&delete, &id()).await?;
    }
    registration::close(
        tx,
        tables,
        &group,
        &external_id,
        "the node was removed",
        "symadmin",
    )
    .await?;
    // The registrar clears up, now or when NATS is there again.
    set_state(tx, tables, &removed_state(node.as_str()), "").await?;
    let redirects = format!(
        "select count(*) from {} where registration_node_id = ?",
        tables.name("registration_redirect")
    );
    let redirects = tx.query_opt(&redirects, &id()).await?;
    Ok(redirects.map_or(Ok(0), |row| row.int(0))?)
}
