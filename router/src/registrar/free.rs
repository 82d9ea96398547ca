//! Freeing what waits for nodes that need a reload.
//!
//! Nodes may not purge; the registration server's router does it for the source whose batches they are. A source that
//! hears nothing asks again, and doing it twice changes nothing.

use super::Registrar;
use crate::error::Error;
use std::time::Duration;
use symstream_shared::retry::Backoff;
use tokio_util::sync::CancellationToken;

/// Answers until asked to stop.
pub(super) async fn run(registrar: Registrar, shutdown: CancellationToken) -> Result<(), Error> {
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
    while !shutdown.is_cancelled() {
        let mut calls = match registrar.bus.frees(registrar.engine.server()).await {
            Ok(calls) => calls,
            Err(err) => {
                tracing::debug!(error = %err, "sources can not be heard now");
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
            let (source, target) = (&call.question.source, &call.question.target);
            match call.serve().await {
                Ok(()) if call.question.before.is_some() => {
                    tracing::info!(%source, node_id = %target, "what waited for a node that needs a reload is freed");
                }
                Ok(()) => {}
                Err(err) => {
                    tracing::warn!(%source, node_id = %target, error = %err, "lanes are not freed now")
                }
            }
        }
    }
    Ok(())
}
