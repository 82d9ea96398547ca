//! Initial loads, in a form that is correct while nobody writes.
//!
//! The steps, and what a crash between them leaves:
//! 1. `initial_load_enabled` is set by an operator; nothing happens before the node is registered;
//! 2. the load is noted as begun (`sym_state`, `initial_load.<node>`) and earlier batches of it are forgotten;
//! 3. its batches are published; a crash, or a NATS that is away for long, lets it start over with new batches,
//!    which is harmless because the loader inserts or updates;
//! 4. it is noted as extracted;
//! 5. when all its batches are `OK`, `initial_load_enabled` becomes 0 and the note goes.

mod extract;
mod order;
mod plan;
mod plan_api;
mod reload;
mod rows;

pub(crate) use reload::{Reload, ReloadError};

use crate::error::Error;
use crate::source::{ConfigReceiver, Source};
use crate::state;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use symstream_nats::Bus;
use symstream_shared::db::{Sql, TxKind};
use symstream_shared::id::NodeId;
use symstream_shared::model::{Config, Node};

/// How often requests and running loads are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The prefix of a load's note.
const NOTE: &str = "initial_load.";
const BEGUN: &str = "begun";
const EXTRACTED: &str = "extracted";

/// Serves requests for ever, one load after the other.
pub(crate) async fn run(source: Source, bus: Bus, config: ConfigReceiver) -> Result<Infallible, Error> {
    loop {
        let known: Option<Arc<Config>> = config.borrow().current(&bus);
        if let Some(known) = known {
            serve(&source, &bus, &known).await?;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn serve(source: &Source, bus: &Bus, config: &Config) -> Result<(), Error> {
    let requested = requested(source).await?;
    forget_withdrawn(source, &requested).await?;
    let mut failed = None;
    for node_id in &requested {
        // A node that is not registered yet has nobody who could take the rows.
        let Some(node) = config
            .nodes
            .get(node_id)
            .filter(|_| config.registered.contains(node_id))
        else {
            continue;
        };
        let served = match note(source, node_id).await?.as_deref() {
            Some(EXTRACTED) => finish_if_applied(source, node_id).await,
            _ => load(source, bus, config, node).await,
        };
        // A load that fails does not keep other nodes from theirs.
        if let Err(err) = served {
            failed.get_or_insert(err);
        }
    }
    failed.map_or(Ok(()), Err)
}

async fn requested(source: &Source) -> Result<Vec<NodeId>, Error> {
    let table = source.tables.name("node_security");
    let statement = format!(
        "select node_id from {table} where initial_load_enabled = 1 and node_id <> ? order by node_id"
    );
    let rows = source
        .database
        .query(&statement, &[source.node.as_str().into()])
        .await?;
    rows.iter()
        .map(|row| {
            NodeId::new(row.text(0)?).map_err(|err| Error::Damaged {
                table: table.clone(),
                why: err.to_string(),
            })
        })
        .collect()
}

async fn note(source: &Source, node: &NodeId) -> Result<Option<String>, Error> {
    let mut conn = source.database.conn().await?;
    state::get(&mut conn, &source.tables, &format!("{NOTE}{node}")).await
}

/// A request that was taken back must not count as served when it is made again.
async fn forget_withdrawn(source: &Source, requested: &[NodeId]) -> Result<(), Error> {
    let table = source.tables.name("state");
    let statement = format!("select state_key from {table} where state_key like '{NOTE}%'");
    for row in source.database.query(&statement, &[]).await? {
        let key = row.text(0)?;
        let is_requested = requested
            .iter()
            .any(|node| key.strip_prefix(NOTE) == Some(node.as_str()));
        if !is_requested {
            let statement = format!("delete from {table} where state_key = ?");
            source.database.execute(&statement, &[key.into()]).await?;
        }
    }
    Ok(())
}

async fn load(source: &Source, bus: &Bus, config: &Config, node: &Node) -> Result<(), Error> {
    let tables = &source.tables;
    let key = format!("{NOTE}{}", node.node_id);
    let mut tx = source.database.begin(TxKind::Write).await?;
    let kind = tx.kind();
    let statement = format!(
        "update {} set initial_load_time = {} where node_id = ?",
        tables.name("node_security"),
        kind.now()
    );
    tx.execute(&statement, &[node.node_id.as_str().into()]).await?;
    let statement = format!(
        "delete from {} where batch_type = 'IL' and target_node_id = ? and routed = 0",
        tables.name("capture_batch")
    );
    tx.execute(&statement, &[node.node_id.as_str().into()]).await?;
    set_note(&mut tx, source, &key, BEGUN).await?;
    tx.commit().await?;

    tracing::info!(node_id = %node.node_id, "initial load begins");
    extract::extract(source, bus, config, node).await?;

    let mut conn = source.database.conn().await?;
    set_note(&mut conn, source, &key, EXTRACTED).await?;
    tracing::info!(node_id = %node.node_id, "initial load is on its way");
    Ok(())
}

async fn set_note(sql: &mut dyn Sql, source: &Source, key: &str, value: &str) -> Result<(), Error> {
    let statement = format!(
        "insert into {} (state_key, state_value) values (?, ?){}",
        source.tables.name("state"),
        sql.kind().or_update(&["state_key"], &["state_value"])
    );
    sql.execute(&statement, &[key.into(), value.into()]).await?;
    Ok(())
}

/// Ends the request when every batch of the load is routed, and `OK` where it has rows.
async fn finish_if_applied(source: &Source, node: &NodeId) -> Result<(), Error> {
    let tables = &source.tables;
    let statement = format!(
        "select count(*) from {batch} b where b.batch_type = 'IL' and b.target_node_id = ? and (b.routed = 0 or exists \
         (select 1 from {outgoing} o where o.batch_id = b.batch_id and o.node_id = b.target_node_id \
         and o.status <> 'OK'))",
        batch = tables.name("capture_batch"),
        outgoing = tables.name("outgoing_batch"),
    );
    let open = source
        .database
        .query_opt(&statement, &[node.as_str().into()])
        .await?;
    if open.map(|row| row.int(0)).transpose()? != Some(0) {
        return Ok(());
    }
    let mut tx = source.database.begin(TxKind::Write).await?;
    let statement = format!(
        "update {} set initial_load_enabled = 0 where node_id = ?",
        tables.name("node_security")
    );
    tx.execute(&statement, &[node.as_str().into()]).await?;
    let statement = format!("delete from {} where state_key = ?", tables.name("state"));
    tx.execute(&statement, &[format!("{NOTE}{node}").into()]).await?;
    tx.commit().await?;
    tracing::info!(node_id = %node, "initial load is complete");
    Ok(())
}
