//! Limits of what waits for a node (`backlog.*`).
//!
//! What a node has not taken is kept here and in its lanes. Over a limit it is marked (`sym_reload_need`): from then on it
//! is sent nothing, what waits for it in JetStream is freed, and the purge does not wait for it. Nothing of it is ever
//! marked `OK` except by the load that ends it, which begins when the node is heard of again.

mod waiting;

use crate::configuration::in_force;
use crate::error::Error;
use crate::reload_need;
use crate::source::{ConfigReceiver, Source, now_ms};
use std::convert::Infallible;
use std::time::Duration;
use symstream_nats::Bus;
use symstream_shared::db::{Param, TxKind};
use symstream_shared::id::NodeId;
use symstream_shared::model::Config;
use symstream_shared::parameter::Parameters;
use waiting::{Waiting, waiting};

/// How often it is looked; more often where a limit of age is short.
const LOOK_EVERY: Duration = Duration::from_secs(10);
const LOOK_EVERY_MIN: Duration = Duration::from_secs(1);
/// How often it is seen whether something is to be freed.
const FREE_EVERY: Duration = Duration::from_secs(2);
/// What was encoded before the node was marked is on its way for about so long, and freed with the rest.
const ON_THE_WAY: Duration = Duration::from_secs(3);

/// Marks nodes for ever. Needs no NATS: what is kept here grows without it, too.
pub(crate) async fn run(source: Source, config: ConfigReceiver) -> Result<Infallible, Error> {
    loop {
        let config = in_force(&source, &config).await?;
        judge(&source, &config).await?;
        tokio::time::sleep(pause(&config)).await;
    }
}

/// A quarter of the shortest limit of age, within bounds.
fn pause(config: &Config) -> Duration {
    let ages = config
        .nodes
        .values()
        .filter_map(|node| config.parameters_of(node).ok()?.backlog_age_max);
    let shortest = ages.min().unwrap_or(LOOK_EVERY * 4);
    (shortest / 4).clamp(LOOK_EVERY_MIN, LOOK_EVERY)
}

/// One look at all nodes.
async fn judge(source: &Source, config: &Config) -> Result<(), Error> {
    for (node_id, waiting) in waiting(source).await? {
        let Some(node) = config.nodes.get(&node_id).filter(|_| node_id != source.node) else {
            continue;
        };
        let Ok(limits) = config.parameters_of(node) else {
            continue;
        };
        let Some(reason) = exceeded(&waiting, &limits, now_ms()) else {
            continue;
        };
        let mut tx = source.database.begin(TxKind::Write).await?;
        let is_new = reload_need::add(&mut tx, &source.tables, &node_id, &reason).await?;
        tx.commit().await?;
        if is_new {
            tracing::warn!(
                node_id = %source.node, target = %node_id, %reason,
                "a node needs a reload: what waits for it is dropped, and it is sent nothing until it is back and loaded anew"
            );
        }
    }
    Ok(())
}

/// The limit that is exceeded, for people.
fn exceeded(waiting: &Waiting, limits: &Parameters, now_ms: i64) -> Option<String> {
    let batches = limits.backlog_batches_max.filter(|most| waiting.batches > *most);
    if let Some(most) = batches {
        return Some(format!(
            "{} batches wait for it (backlog.batches.max {most})",
            waiting.batches
        ));
    }
    let bytes = limits.backlog_bytes_max.filter(|most| waiting.bytes > *most);
    if let Some(most) = bytes {
        return Some(format!(
            "{} bytes wait for it (backlog.bytes.max {most})",
            waiting.bytes
        ));
    }
    let age = Duration::from_millis(u64::try_from(now_ms - waiting.oldest_ms?).ok()?);
    let most = limits.backlog_age_max.filter(|most| age > *most)?;
    Some(format!(
        "a batch waits for it for {} s (backlog.age.max {} s)",
        age.as_secs(),
        most.as_secs()
    ))
}

/// Has what waits for marked nodes freed, for ever.
pub(crate) async fn free(source: Source, bus: Bus) -> Result<Infallible, Error> {
    loop {
        for node in to_free(&source).await? {
            free_node(&source, &bus, &node).await?;
        }
        tokio::time::sleep(FREE_EVERY).await;
    }
}

async fn to_free(source: &Source) -> Result<Vec<NodeId>, Error> {
    let table = source.tables.name("reload_need");
    let on_the_way = i64::try_from(ON_THE_WAY.as_millis()).unwrap_or(0);
    let statement =
        format!("select node_id from {table} where freed = 0 and create_time <= ? order by node_id");
    let params = [Param::Time(now_ms() - on_the_way)];
    let rows = source.database.query(&statement, &params).await?;
    rows.iter()
        .map(|row| {
            NodeId::new(row.text(0)?).map_err(|err| Error::Damaged {
                table: table.clone(),
                why: err.to_string(),
            })
        })
        .collect()
}

/// A load that begins meanwhile deletes the mark first and publishes behind `end`, so nothing of it is freed.
async fn free_node(source: &Source, bus: &Bus, node: &NodeId) -> Result<(), Error> {
    let server = source.engine.server();
    let end = bus.lanes_end(server, &source.node, node).await?;
    let table = source.tables.name("reload_need");
    let statement = format!("select 1 from {table} where node_id = ? and freed = 0");
    let marked = source
        .database
        .query_opt(&statement, &[node.as_str().into()])
        .await?;
    if marked.is_none() {
        return Ok(());
    }
    bus.free_lanes(server, &source.node, node, end).await?;
    let statement = format!("update {table} set freed = 1 where node_id = ?");
    source
        .database
        .execute(&statement, &[node.as_str().into()])
        .await?;
    tracing::info!(node_id = %source.node, target = %node, "what waited for the node is freed");
    Ok(())
}

#[cfg(test)]
mod tests;
