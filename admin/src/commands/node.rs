//! Nodes as operators name them, and who may be sent something.

use crate::engine_args::EngineContext;
use crate::failure::Failure;
use std::collections::HashSet;
use symstream_shared::db::{Param, Sql};
use symstream_shared::id::NodeId;
use symstream_shared::model::{self, Config, Node};

/// The id of the node that `name` means: as a node id first, else as an external id.
pub(super) async fn find(sql: &mut dyn Sql, context: &EngineContext, name: &str) -> Result<NodeId, Failure> {
    let table = context.tables.name("node");
    let query = format!(
        "select node_id, external_id from {table} where node_id = ? or external_id = ? order by node_id"
    );
    let mut nodes = Vec::new();
    for row in sql.query(&query, &[Param::from(name), Param::from(name)]).await? {
        let (node, external_id) = (row.text(0)?, row.text(1)?);
        if node == name {
            return node_id(&table, node);
        }
        // MySQL takes texts that differ in upper and lower case for the same.
        if external_id == name {
            nodes.push(node);
        }
    }
    match (nodes.pop(), nodes.is_empty()) {
        (Some(node), true) => node_id(&table, node),
        (None, _) => Err(Failure::Failed(format!(
            "node {name} is not in {table} of engine {0}; see: symadmin --engine {0} list-nodes",
            context.engine.name
        ))),
        (Some(last), false) => Err(Failure::Failed(format!(
            "{name} is the external id of several nodes; give a node id: {}, {last}",
            nodes.join(", ")
        ))),
    }
}

/// The nodes that `names` mean and, with `group`, all registered ones of it, each once. Never the engine's own: it is
/// another node that sends it something.
pub(super) async fn chosen(
    sql: &mut dyn Sql,
    context: &EngineContext,
    names: &[String],
    group: Option<&str>,
) -> Result<Vec<NodeId>, Failure> {
    let own = model::identity(sql, &context.tables).await?;
    let mut nodes = Vec::new();
    for name in names {
        let node = find(sql, context, name).await?;
        if own.as_ref() == Some(&node) {
            return Err(Failure::Failed(format!(
                "node {node} is engine {}'s own; a reload is asked for at the node that sends it",
                context.engine.name
            )));
        }
        nodes.push(node);
    }
    if let Some(group) = group {
        let table = context.tables.name("node");
        let query = format!(
            "select n.node_id from {table} n join {} s on s.node_id = n.node_id \
             where n.node_group_id = ? and s.registration_time is not null order by n.node_id",
            context.tables.name("node_security")
        );
        for row in sql.query(&query, &[group.into()]).await? {
            let node = node_id(&table, row.text(0)?)?;
            if own.as_ref() != Some(&node) {
                nodes.push(node);
            }
        }
    }
    let mut seen = HashSet::new();
    nodes.retain(|node| seen.insert(node.clone()));
    if nodes.is_empty() {
        return Err(Failure::Failed(format!(
            "group {} has no registered node; see: symadmin --engine {} list-nodes",
            group.unwrap_or_default(),
            context.engine.name
        )));
    }
    Ok(nodes)
}

fn node_id(table: &str, node: String) -> Result<NodeId, Failure> {
    NodeId::new(node).map_err(|err| Failure::Failed(format!("table {table}: {err}")))
}

/// Makes sure that the engine is the registration server: what `command` writes is configuration, or a right of its.
pub(super) fn require_server(context: &EngineContext, command: &str) -> Result<(), Failure> {
    if context.engine.is_registration_server() {
        return Ok(());
    }
    Err(Failure::Failed(format!(
        "{command} works at the registration server only: engine {} registers at {1}; use --engine {1} where that runs",
        context.engine.name,
        context.engine.server()
    )))
}

/// The configuration with the node that `name` means, which has to be able to get something from this engine's.
///
/// # Errors
/// [`Failure::Failed`] where it would get nothing: a request is not written for nobody.
pub(super) async fn receiver(
    sql: &mut dyn Sql,
    context: &EngineContext,
    name: &str,
) -> Result<(Config, Node), Failure> {
    let id = find(sql, context, name).await?;
    let config = model::local_configuration(sql, &context.tables)
        .await
        .map_err(|err| Failure::Failed(format!("the configuration is not valid: {err}")))?;
    let own = model::identity(sql, &context.tables).await?;
    let failed = |why: String| Err(Failure::Failed(format!("node {id} would get nothing: {why}")));
    let Some(own) = own else {
        return Err(Failure::Failed(format!(
            "engine {} is not registered yet, and sends nothing until then",
            context.engine.name
        )));
    };
    let Some(node) = config.nodes.get(&id).cloned() else {
        return failed(format!("it is not in {} any more", context.tables.name("node")));
    };
    let (from, to) = (&context.engine.group, &node.group);
    if own == id {
        return failed(format!("it is engine {}'s own", context.engine.name));
    }
    if !config.registered.contains(&id) {
        return failed("it is not registered yet".to_owned());
    }
    if !node.sync_enabled {
        return failed("it is disabled (sync_enabled 0); enable it first".to_owned());
    }
    if config.link(from, to).is_none() {
        let table = context.tables.name("node_group_link");
        return failed(format!("{table} has no link from group {from} to group {to}"));
    }
    Ok((config, node))
}
