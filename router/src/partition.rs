//! The loop over one partition: one captured message at a time, in order, shared with all other routers.

use crate::error::{Answer, RouteError};
use crate::route::BatchRouter;
use std::sync::Arc;
use std::time::Duration;
use symstream_nats::{CapturedMessage, Delivery, Hold};
use symstream_shared::retry::Backoff;
use tokio_util::sync::CancellationToken;

/// Well below the time after which another router gets the message (5 s).
const PROGRESS: Duration = Duration::from_millis(1500);

/// What came of a delivery.
enum Outcome {
    /// Everything is stored: acknowledge.
    Done,
    /// Another router has it: leave the acknowledgement to that one.
    Left,
    /// Asked to stop meanwhile: the message comes again, here or elsewhere.
    Stopped,
}

/// Routes one partition's batches until it is asked to stop; finishes the batch in hand then, unless NATS is
/// away.
pub(crate) async fn run(router: Arc<BatchRouter>, partition: u32, shutdown: CancellationToken) {
    let mut deliveries = router.bus.partition(partition);
    loop {
        let delivery = tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            delivery = deliveries.next() => delivery,
        };
        match with_progress(&delivery, router.settle(&delivery, &shutdown)).await {
            Outcome::Done => {
                if let Err(err) = delivery.ack().await {
                    tracing::debug!(partition, error = %err, "an acknowledgement was not confirmed");
                }
            }
            Outcome::Left => {}
            Outcome::Stopped => return,
        }
    }
}

/// Tells NATS that work on a message goes on, as long as it does.
async fn with_progress<T>(delivery: &Delivery, work: impl Future<Output = T>) -> T {
    tokio::pin!(work);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            () = tokio::time::sleep(PROGRESS) => {
                if let Err(err) = delivery.progress().await {
                    tracing::debug!(error = %err, "a sign of progress was not sent");
                }
            }
        }
    }
}

impl BatchRouter {
    async fn settle(&self, delivery: &Delivery, shutdown: &CancellationToken) -> Outcome {
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(5));
        loop {
            let err = match self.route_or_hold(delivery).await {
                Ok(()) => return Outcome::Done,
                Err(err) => err,
            };
            if err.answer() == Answer::Leave {
                tracing::info!(subject = delivery.subject(), error = %err, "left a batch to another router");
                return Outcome::Left;
            }
            let pause = backoff.next_pause();
            if backoff.attempts() == 5 {
                tracing::warn!(subject = delivery.subject(), error = %err, "routing waits");
            } else {
                tracing::debug!(subject = delivery.subject(), error = %err, "routing waits");
            }
            tokio::select! {
                () = shutdown.cancelled() => return Outcome::Stopped,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Routes a batch when its last part has come. What can not be routed, and what follows it from the same
    /// source on the same channel, is marked as held and done with here, so that the partition's other sources
    /// go on; [`crate::held`] routes it later.
    async fn route_or_hold(&self, delivery: &Delivery) -> Result<(), RouteError> {
        let (source, channel) = delivery.captured_lane()?;
        let header = delivery.captured_header();
        if header.as_ref().is_ok_and(|header| header.part < header.part_last) {
            return Ok(());
        }
        let hold = self.bus.hold(&source, &channel).await?;
        if hold.is_active() {
            return self.add_to_held(hold, delivery.sequence).await;
        }
        let routed = match header {
            Ok(header) => {
                let last = CapturedMessage {
                    sequence: delivery.sequence,
                    header,
                    body: delivery.body().clone(),
                };
                self.route(&last, None).await
            }
            Err(err) => Err(err.into()),
        };
        let Err(err) = routed else { return Ok(()) };
        if err.answer() != Answer::Hold {
            return Err(err);
        }
        let hold = Hold {
            from: delivery.sequence,
            through: delivery.sequence,
            configuration_version: None,
            stream: self.bus.capture_stream().await?.id,
            ..hold
        };
        // Fenced: another router had the batch meanwhile, and this decision is late.
        self.bus.set_hold(&hold).await?;
        tracing::error!(
            node_id = %hold.source, channel = %hold.channel, error = %err,
            "a batch can not be routed; it and what follows it from this node on this channel waits, and is tried again"
        );
        Ok(())
    }

    /// Lets a message wait with those of its source and channel that wait already. That is no decision about it, so
    /// a mark that another router writes meanwhile is just looked at again.
    async fn add_to_held(&self, hold: Hold, sequence: u64) -> Result<(), RouteError> {
        let stream = self.bus.capture_stream().await?;
        let mut wider = hold.clone();
        if stream.outdates(&hold) {
            tracing::error!(
                node_id = %hold.source, channel = %hold.channel,
                "the stream of captured batches was made again or lost its end while batches were held; all that is in it is routed again"
            );
            wider = wider.from_start_of(&stream);
        }
        if sequence < wider.from {
            wider.from = sequence;
            wider.configuration_version = None;
        }
        wider.through = wider.through.max(sequence);
        if wider == hold {
            return Ok(());
        }
        self.bus.set_hold(&wider).await.map(drop).map_err(RouteError::Bus)
    }
}
