//! `symadmin open-registration`

use crate::engine_args::EngineContext;
use crate::failure::Failure;
use symstream_shared::db::{Param, Sql, Tx, TxKind};
use symstream_shared::id::{ExternalId, GroupId, InvalidId, NodeId};
use symstream_shared::schema;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The node's group, as sym_node_group has it
    #[arg(value_name = "GROUP")]
    group: String,
    /// The node's external id: external.id of its engine file
    #[arg(value_name = "EXTERNAL_ID")]
    external_id: String,
}

pub(super) async fn run(context: &EngineContext, args: &Args) -> Result<(), Failure> {
    let usage = |err: InvalidId| Failure::Usage(err.to_string());
    let group = GroupId::new(&args.group).map_err(usage)?;
    let external_id = ExternalId::new(&args.external_id).map_err(usage)?;
    if !context.engine.is_registration_server() {
        return Err(Failure::Failed(format!(
            "engine {} registers nobody: nodes are registered by engine {}; give that one with --engine",
            context.engine.name,
            context.engine.server()
        )));
    }
    context.require_tables().await?;
    // The group first: a mistyped one must not leave the server's own rows behind.
    check_group(context, &group).await?;
    let server = schema::ensure_identity(&context.database, &context.tables, &context.engine).await?;
    let mut tx = context.database.begin(TxKind::Write).await?;
    let (node, is_new) = match find(&mut tx, context, &group, &external_id).await? {
        Some(node) if node == server => {
            return Err(Failure::Failed(format!(
                "node {node} is the registration server itself"
            )));
        }
        Some(node) => (node, false),
        None => (
            insert_node(&mut tx, context, &group, &external_id, &server).await?,
            true,
        ),
    };
    open_security(&mut tx, context, &node, &server).await?;
    tx.commit().await?;
    let again = if is_new { "" } else { "again " };
    eprintln!("registration is {again}open for {external_id} of group {group} (node {node})");
    Ok(())
}

async fn check_group(context: &EngineContext, group: &GroupId) -> Result<(), Failure> {
    let table = context.tables.name("node_group");
    let query = format!("select node_group_id from {table} order by node_group_id");
    let rows = context.database.query(&query, &[]).await?;
    let known = rows
        .iter()
        .map(|row| row.text(0))
        .collect::<Result<Vec<_>, _>>()?;
    if known.iter().any(|known| known == group.as_str()) {
        return Ok(());
    }
    let known = if known.is_empty() {
        "it has none yet".to_owned()
    } else {
        format!("it has {}", known.join(", "))
    };
    Err(Failure::Failed(format!(
        "group {group} is not in {table}: {known}"
    )))
}

/// The node that registration was opened for before.
async fn find(
    tx: &mut Tx,
    context: &EngineContext,
    group: &GroupId,
    external_id: &ExternalId,
) -> Result<Option<NodeId>, Failure> {
    let node_table = context.tables.name("node");
    let query = format!(
        "select node_id, node_group_id from {node_table} where external_id = ? or node_id = ? order by node_id"
    );
    let id = || Param::from(external_id.as_str());
    let mut other = None;
    for row in tx.query(&query, &[id(), id()]).await? {
        let (node, its_group) = (row.text(0)?, row.text(1)?);
        if its_group == group.as_str() {
            return NodeId::new(node)
                .map(Some)
                .map_err(|err| Failure::Failed(format!("table {node_table}: {err}")));
        }
        if node == external_id.as_str() {
            other = Some(its_group);
        }
    }
    match other {
        Some(its_group) => Err(Failure::Failed(format!(
            "node {external_id} is there already, in group {its_group}; a node has one group only"
        ))),
        None => Ok(None),
    }
}

async fn insert_node(
    tx: &mut Tx,
    context: &EngineContext,
    group: &GroupId,
    external_id: &ExternalId,
    server: &NodeId,
) -> Result<NodeId, Failure> {
    let node = NodeId::new(external_id.as_str()).map_err(|err| Failure::Usage(err.to_string()))?;
    let statement = format!(
        "insert into {} (node_id, node_group_id, external_id, sync_enabled, created_at_node_id) \
         values (?, ?, ?, 0, ?)",
        context.tables.name("node")
    );
    let params = [
        node.as_str().into(),
        group.as_str().into(),
        external_id.as_str().into(),
        server.as_str().into(),
    ];
    tx.execute(&statement, &params).await?;
    Ok(node)
}

/// Opens the registration. A node that is registered stays so, with its password, until it registers anew:
/// closing it here would lose the changes made in between.
async fn open_security(
    tx: &mut Tx,
    context: &EngineContext,
    node: &NodeId,
    server: &NodeId,
) -> Result<(), Failure> {
    let statement = format!(
        "insert into {} (node_id, password, registration_enabled, created_at_node_id) values (?, ?, 1, ?){}",
        context.tables.name("node_security"),
        tx.kind().or_update(&["node_id"], &["registration_enabled"])
    );
    let password = uuid::Uuid::new_v4().to_string();
    tx.execute(
        &statement,
        &[node.as_str().into(), password.into(), server.as_str().into()],
    )
    .await?;
    Ok(())
}
