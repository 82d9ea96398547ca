//! Nodes' signs of life, written into the registration server's `sym_node`.
//!
//! A new `sync_url` or `schema_version` makes a new version of the configuration; the rest of what they say does not.

use super::{Registrar, in_time};
use crate::error::Error;
use std::collections::HashSet;
use std::time::Duration;
use symstream_nats::HeartbeatCall;
use symstream_shared::db::{DbError, Param};
use symstream_shared::id::NodeId;
use symstream_shared::retry::{Backoff, Disposition};
use symstream_shared::wire::Heartbeat;
use tokio_util::sync::CancellationToken;

/// Strangers remembered so that each is logged once, however often it calls.
const STRANGERS_MAX: usize = 1000;

/// What was said of signs of life that are not recorded, so that it is said once.
#[derive(Default)]
struct Warned {
    strangers: HashSet<NodeId>,
    /// Since the database last took one.
    database: bool,
}

/// Records signs of life until asked to stop.
///
/// # Errors
/// [`Error::Database`] when the database refuses the login.
pub(super) async fn run(registrar: Registrar, shutdown: CancellationToken) -> Result<(), Error> {
    let mut warned = Warned::default();
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
    while !shutdown.is_cancelled() {
        let mut calls = match registrar.bus.heartbeats(registrar.engine.server()).await {
            Ok(calls) => calls,
            Err(err) => {
                tracing::debug!(error = %err, "heartbeats can not be heard now");
                tokio::time::sleep(backoff.next_pause()).await;
                continue;
            }
        };
        loop {
            let call = tokio::select! {
                biased;
                () = shutdown.cancelled() => return Ok(()),
                call = calls.next() => call,
            };
            let Some(call) = call else { break };
            registrar.record(&call, &mut warned).await?;
        }
    }
    Ok(())
}

impl Registrar {
    /// Records and then answers. Who gets no answer says it again.
    async fn record(&self, call: &HeartbeatCall, warned: &mut Warned) -> Result<(), Error> {
        let node = &call.heartbeat.node;
        match in_time(self.update_node(&call.heartbeat)).await {
            Ok(true) => {
                warned.database = false;
                if let Err(err) = call.recorded().await {
                    tracing::debug!(node_id = %node, error = %err, "an answer to a heartbeat could not be sent");
                }
            }
            Ok(false) => {
                warned.database = false;
                let strangers = &mut warned.strangers;
                if strangers.len() >= STRANGERS_MAX {
                    strangers.clear();
                }
                if strangers.insert(node.clone()) {
                    tracing::warn!(node_id = %node, "heartbeats of a node that is not registered, or is this server itself, are not recorded");
                }
            }
            Err(err) if err.disposition == Disposition::Fatal => return Err(err.into()),
            Err(err) if !warned.database => {
                warned.database = true;
                tracing::warn!(node_id = %node, error = %err, "heartbeats can not be recorded now; nodes send them again");
            }
            Err(err) => {
                tracing::debug!(node_id = %node, error = %err, "a heartbeat could not be recorded");
            }
        }
        Ok(())
    }

    /// Whether there is such a node, registered. The registration server's own node is told by its own agent only, in its
    /// own row.
    async fn update_node(&self, heartbeat: &Heartbeat) -> Result<bool, DbError> {
        let update = format!(
            "update {} set heartbeat_time = ?, timezone_offset = ?, sync_url = ?, schema_version = ?, \
             symmetric_version = ?, database_type = ?, database_version = ? where node_id = ? and exists \
             (select 1 from {} s where s.node_id = ? and s.registration_time is not null) \
             and not exists (select 1 from {} i where i.node_id = ?)",
            self.tables.name("node"),
            self.tables.name("node_security"),
            self.tables.name("node_identity")
        );
        let node = || Param::from(heartbeat.node.as_str());
        let params = [
            Param::Time(heartbeat.time_ms),
            heartbeat.timezone_offset.as_str().into(),
            heartbeat.sync_url.as_str().into(),
            heartbeat.schema_version.as_deref().into(),
            heartbeat.symmetric_version.as_str().into(),
            heartbeat.database_type.as_str().into(),
            heartbeat.database_version.as_str().into(),
            node(),
            node(),
            node(),
        ];
        Ok(self.database.execute(&update, &params).await? > 0)
    }
}
