//! The node's sign of life: what it knows of itself, in its own row of `sym_node` and at the registration server.
//!
//! These columns are the node's own. They are written every `heartbeat.interval`, and soon when one of them is not
//! true any more: after an upgrade, a change of `schema.version` or of the clocks, an edit of the row.

use crate::error::Error;
use crate::local_time;
use crate::source::{Source, now_ms};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};
use symstream_nats::Bus;
use symstream_shared::db::{Param, Sql};
use symstream_shared::retry::Backoff;
use symstream_shared::schema::version_query;
use symstream_shared::wire::Heartbeat;
use tokio::sync::watch;

/// How long a row may say what is not true.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Pauses while nobody at the registration server answers.
const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// `sym_node.database_version`
const VERSION_CHARS_MAX: usize = 255;

/// The last one.
pub(crate) type LastHeartbeat = watch::Sender<Option<Heartbeat>>;

/// Keeps the node's own row true for ever.
pub(crate) async fn run(source: Source, last: Arc<LastHeartbeat>) -> Result<Infallible, Error> {
    let mut parameters = source.parameters.clone();
    let mut beaten: Option<Instant> = None;
    loop {
        let interval = parameters.borrow_and_update().heartbeat_interval;
        let mut conn = source.database.conn().await?;
        let now = current(&source, &mut conn).await?;
        let is_due = beaten.is_none_or(|at| at.elapsed() >= interval);
        if is_due || !is_in_row(&source, &mut conn, &now).await? {
            write(&source, &mut conn, &now).await?;
            last.send_replace(Some(now));
            beaten = Some(Instant::now());
        }
        drop(conn);
        let rest = beaten.map_or(interval, |at| interval.saturating_sub(at.elapsed()));
        tokio::select! {
            () = tokio::time::sleep(rest.min(LOOK_EVERY)) => {}
            changed = parameters.changed() => if changed.is_err() {
                // The agent stops.
                tokio::time::sleep(LOOK_EVERY).await;
            },
        }
    }
}

/// Tells the registration server each of them for ever. It may be away for long: nobody misses much then.
pub(crate) async fn tell(source: Source, bus: Bus, last: Arc<LastHeartbeat>) -> Result<Infallible, Error> {
    if source.engine.is_registration_server() {
        // Its own row is the one that counts.
        return std::future::pending().await;
    }
    let mut last = last.subscribe();
    let mut backoff = Backoff::new(PAUSE_FIRST, PAUSE_MAX);
    loop {
        let heartbeat = last.borrow_and_update().clone();
        if let Some(heartbeat) = heartbeat {
            if let Err(err) = bus.heartbeat(source.engine.server(), &heartbeat).await {
                tracing::debug!(node_id = %source.node, error = %err, "heartbeat is told again");
                // A newer one is told instead.
                last.mark_changed();
                tokio::time::sleep(backoff.next_pause()).await;
            } else {
                backoff.reset();
            }
        }
        if last.changed().await.is_err() {
            return std::future::pending().await;
        }
    }
}

/// What the node knows of itself now.
async fn current(source: &Source, sql: &mut dyn Sql) -> Result<Heartbeat, Error> {
    let kind = sql.kind();
    let version = sql.query_opt(version_query(kind), &[]).await?;
    let version = version.map(|row| row.text(0)).transpose()?.unwrap_or_default();
    Ok(Heartbeat {
        node: source.node.clone(),
        time_ms: now_ms(),
        timezone_offset: local_time::offset_text(local_time::now().offset()),
        sync_url: source.engine.sync_url(),
        schema_version: source.parameters.borrow().schema_version.clone(),
        symmetric_version: env!("CARGO_PKG_VERSION").to_owned(),
        database_type: kind.product_of(&version).to_owned(),
        database_version: version.chars().take(VERSION_CHARS_MAX).collect(),
    })
}

/// The columns but for `heartbeat_time`, with their values.
fn columns(heartbeat: &Heartbeat) -> [(&'static str, Option<&str>); 6] {
    [
        ("timezone_offset", Some(&heartbeat.timezone_offset)),
        ("sync_url", Some(&heartbeat.sync_url)),
        ("schema_version", heartbeat.schema_version.as_deref()),
        ("symmetric_version", Some(&heartbeat.symmetric_version)),
        ("database_type", Some(&heartbeat.database_type)),
        ("database_version", Some(&heartbeat.database_version)),
    ]
}

/// Whether the node's row says so already, or there is none yet.
async fn is_in_row(source: &Source, sql: &mut dyn Sql, heartbeat: &Heartbeat) -> Result<bool, Error> {
    let columns = columns(heartbeat);
    let names = columns.map(|(name, _)| name).join(", ");
    let statement = format!(
        "select {names} from {} where node_id = ?",
        source.tables.name("node")
    );
    let Some(row) = sql.query_opt(&statement, &[source.node.as_str().into()]).await? else {
        return Ok(true);
    };
    for (index, (_, value)) in columns.iter().enumerate() {
        if row.opt_text(index)?.as_deref() != *value {
            return Ok(false);
        }
    }
    Ok(true)
}

async fn write(source: &Source, sql: &mut dyn Sql, heartbeat: &Heartbeat) -> Result<(), Error> {
    let columns = columns(heartbeat);
    let set = columns.map(|(name, _)| format!("{name} = ?")).join(", ");
    let statement = format!(
        "update {} set {set}, heartbeat_time = ? where node_id = ?",
        source.tables.name("node")
    );
    let mut params: Vec<Param> = columns.into_iter().map(|(_, value)| value.into()).collect();
    params.push(Param::Time(heartbeat.time_ms));
    params.push(source.node.as_str().into());
    sql.execute(&statement, &params).await?;
    Ok(())
}

#[cfg(test)]
mod tests;
