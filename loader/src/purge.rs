//! Removing records of batches that were applied long ago (`purge.retention`).
//!
//! What tells a repeated batch from a new one stays for ever: that is the lane's position, not the record.

use crate::attempt::now_ms;
use crate::channel::Context;
use std::collections::BTreeMap;
use std::time::Duration;
use symstream_shared::db::{DbError, Param, Sql, TxKind};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Batches of one transaction.
const BATCHES_MAX: usize = 200;
/// Between two transactions, so that nobody feels the purge.
const PAUSE: Duration = Duration::from_millis(20);

/// How many records were removed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Removed {
    batches: u64,
    history: u64,
}

/// Purges every `purge.interval`, until `stop`. While a parameter of the node is wrong from the start, nothing is purged: what
/// was to be kept is not known.
pub(crate) async fn run(context: Context, stop: CancellationToken) {
    let mut policy = context.policy.clone();
    let mut due = Instant::now();
    loop {
        let known = policy.borrow_and_update().parameters_read;
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = tokio::time::sleep_until(due), if known => {}
            Ok(()) = policy.changed() => {
                // A shorter interval may be in force.
                due = due.min(Instant::now() + policy.borrow().parameters.purge_interval);
                continue;
            }
        }
        let parameters = policy.borrow().parameters.clone();
        due = Instant::now() + parameters.purge_interval;
        match purge(&context, parameters.purge_retention, &stop).await {
            Ok(removed) if removed != Removed::default() => {
                tracing::info!(node_id = %context.node, batches = removed.batches, history = removed.history, "records of applied batches are purged");
            }
            Ok(_) => {}
            Err(err) => {
                tracing::warn!(node_id = %context.node, error = %err, "purging is interrupted");
            }
        }
    }
}

async fn purge(context: &Context, retention: Duration, stop: &CancellationToken) -> Result<Removed, DbError> {
    let retention_ms = i64::try_from(retention.as_millis()).unwrap_or(i64::MAX);
    let before_ms = now_ms().saturating_sub(retention_ms);
    let mut removed = Removed::default();
    while !stop.is_cancelled() {
        let old = old_batches(context, before_ms).await?;
        let count: usize = old.values().map(Vec::len).sum();
        for (source, batches) in old {
            let done = remove(context, &source, &batches).await?;
            removed.batches += done.batches;
            removed.history += done.history;
        }
        if count < BATCHES_MAX {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(removed)
}

/// Some batches by their sources: those that were applied, and of which nothing was recorded since then. The newest of
/// each lane stays, because its status is told again whenever the loader starts.
async fn old_batches(context: &Context, before_ms: i64) -> Result<BTreeMap<String, Vec<i64>>, DbError> {
    let tables = &context.tables;
    let question = format!(
        "select b.node_id, b.batch_id from {} b where b.status = 'OK' and b.create_time < ? \
         and not exists (select 1 from {} l where l.source_node_id = b.node_id and l.batch_id = b.batch_id) \
         and not exists (select 1 from {} h where h.batch_id = b.batch_id and h.node_id = b.node_id \
         and h.end_time >= ?) order by b.batch_id, b.node_id limit {BATCHES_MAX}",
        tables.name("incoming_batch"),
        tables.name("incoming_lane"),
        tables.name("incoming_batch_hist"),
    );
    let params = [Param::Time(before_ms), Param::Time(before_ms)];
    let mut old: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for row in context.database.query(&question, &params).await? {
        old.entry(row.text(0)?).or_default().push(row.int(1)?);
    }
    Ok(old)
}

/// Removes batches of one source with their history.
async fn remove(context: &Context, source: &str, batches: &[i64]) -> Result<Removed, DbError> {
    let condition = format!(
        "node_id = ? and batch_id in ({})",
        vec!["?"; batches.len()].join(", ")
    );
    let mut params = vec![Param::from(source)];
    params.extend(batches.iter().map(|&batch_id| Param::Int(batch_id)));
    let mut tx = context.database.begin(TxKind::Write).await?;
    let mut delete = async |table: &str| {
        let statement = format!("delete from {} where {condition}", context.tables.name(table));
        tx.execute(&statement, &params).await
    };
    let removed = Removed {
        history: delete("incoming_batch_hist").await?,
        batches: delete("incoming_batch").await?,
    };
    tx.commit().await?;
    Ok(removed)
}
