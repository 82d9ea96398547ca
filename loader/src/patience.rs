//! Loading a batch in spite of deadlocks, and while the broker waits.

use crate::batch::{BatchKey, BatchLoader, Content, LoadError};
use std::time::Duration;
use symstream_nats::Delivery;
use symstream_shared::retry::Backoff;
use symstream_shared::wire::BatchResult;

/// How often a long transaction tells the broker that it goes on; below a third of any sensible `ack_wait`.
const PROGRESS: Duration = Duration::from_secs(5);
/// How often a deadlock or the like is met by trying again at once, before the round ends.
const PASSING_ATTEMPTS: u32 = 10;

/// Loads a batch; deadlocks and the like are met by trying again, and the broker hears that work goes on.
pub(crate) async fn load_patiently(
    loader: &mut BatchLoader,
    batch: &BatchKey,
    content: &Content<'_>,
    delivery: Option<&Delivery>,
) -> Result<BatchResult, LoadError> {
    let mut backoff = Backoff::new(Duration::from_millis(10), Duration::from_secs(1));
    loop {
        let result = with_progress(loader.load(batch, content), delivery).await;
        match result {
            Err(LoadError::Passing(err)) if !err.connection_lost && backoff.attempts() < PASSING_ATTEMPTS => {
                tracing::debug!(batch_id = batch.batch_id, error = %err, "batch is tried again at once");
                tokio::time::sleep(backoff.next_pause()).await;
            }
            other => return other,
        }
    }
}

async fn with_progress<T>(work: impl Future<Output = T>, delivery: Option<&Delivery>) -> T {
    let mut work = std::pin::pin!(work);
    loop {
        match tokio::time::timeout(PROGRESS, &mut work).await {
            Ok(done) => return done,
            Err(_) => {
                if let Some(delivery) = delivery
                    && let Err(err) = delivery.progress().await
                {
                    tracing::debug!(error = %err, "sign of progress is not sent");
                }
            }
        }
    }
}
