//! Nodes' signs of life, written into the registration server's `sym_node`.
//!
//! What of them travels makes a new version of the configuration when it says something new; the time does not.

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

/// Records signs of life until asked to stop.
///
/// # Errors
/// [`Error::Database`] when the database refuses the login.
pub(super) async fn run(registrar: Registrar, shutdown: CancellationToken) -> Result<(), Error> {
    let mut strangers = HashSet::new();
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
            registrar.record(&call, &mut strangers).await?;
        }
    }
    Ok(())
}

impl Registrar {
    /// Records and then answers. Who gets no answer says it again.
    async fn record(&self, call: &HeartbeatCall, strangers: &mut HashSet<NodeId>) -> Result<(), Error> {
        let node = &call.heartbeat.node;
        match in_time(self.update_node(&call.heartbeat)).await {
            Ok(true) => {
                if let Err(err) = call.recorded().await {
                    tracing::debug!(node_id = %node, error = %err, "an answer to a heartbeat could not be sent");
                }
            }
            Ok(false) => {
                if strangers.len() >= STRANGERS_MAX {
                    strangers.clear();
                }
                if strangers.insert(node.clone()) {
                    tracing::warn!(node_id = %node, "heartbeats of a node that is not registered, or is this server itself, are not recorded");
                }
            }
            Err(err) if err.disposition == Disposition::Fatal => return Err(err.into()),
            Err(err) => {
                tracing::warn!(node_id = %node, error = %err, "a heartbeat could not be recorded; the node will send another");
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
