//! Batches that could not be routed: tried again in order, until somebody put right what was wrong.

use crate::error::{Answer, RouteError};
use crate::route::BatchRouter;
use futures_util::{StreamExt, stream};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use symstream_nats::{BusError, CapturedMessage, Hold};
use symstream_shared::id::{ChannelId, NodeId};
use symstream_shared::retry::Backoff;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How often the marks are looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How many sources and channels are tried at once: one may wait for a configuration for seconds.
const AT_ONCE: usize = 16;
const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_MOST: Duration = Duration::from_secs(60);

/// When a held source and channel is tried next, and what was wrong last time.
struct Attempts {
    backoff: Backoff,
    next: Instant,
    error: String,
}

/// Tries what is held until it is asked to stop. Several routers may do so at once: tails and marks are fenced.
pub(crate) async fn run(router: Arc<BatchRouter>, shutdown: CancellationToken) {
    let mut attempts: HashMap<(NodeId, ChannelId), Attempts> = HashMap::new();
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
        let holds = match router.bus.holds().await {
            Ok(holds) => holds,
            Err(err) => {
                tracing::debug!(error = %err, "the marks of held batches can not be read now");
                continue;
            }
        };
        let mut holds: HashMap<(NodeId, ChannelId), Hold> = holds
            .into_iter()
            .map(|hold| ((hold.source.clone(), hold.channel.clone()), hold))
            .collect();
        attempts.retain(|key, _| holds.contains_key(key));
        for key in holds.keys() {
            attempts.entry(key.clone()).or_insert_with(|| Attempts {
                backoff: Backoff::new(PAUSE_FIRST, PAUSE_MOST),
                next: Instant::now(),
                error: String::new(),
            });
        }
        let now = Instant::now();
        let due = attempts
            .iter_mut()
            .filter(|(_, attempt)| attempt.next <= now)
            .filter_map(|(key, attempt)| Some((holds.remove(key)?, attempt)));
        stream::iter(due)
            .for_each_concurrent(AT_ONCE, |(hold, attempt)| {
                router.try_held(hold, attempt, &shutdown)
            })
            .await;
    }
}

impl BatchRouter {
    async fn try_held(&self, hold: Hold, attempt: &mut Attempts, shutdown: &CancellationToken) {
        let (source, channel) = (hold.source.clone(), hold.channel.clone());
        let Err(err) = self.route_held(hold, shutdown).await else {
            attempt.backoff.reset();
            return;
        };
        attempt.next = Instant::now() + attempt.backoff.next_pause();
        let message = err.to_string();
        if err.answer() == Answer::Hold && message != attempt.error {
            tracing::error!(
                node_id = %source, channel = %channel, error = %message,
                to_give_up = format!("{}, then reload the nodes that get these changes", self.bus.hold_removal(&source, &channel)),
                "a held batch still can not be routed"
            );
            attempt.error = message;
        } else {
            tracing::debug!(node_id = %source, channel = %channel, error = %message, "a held batch waits");
        }
    }

    /// Routes what is held of one source and channel, oldest first, moving the mark behind each batch.
    async fn route_held(&self, mut hold: Hold, shutdown: &CancellationToken) -> Result<(), RouteError> {
        while hold.is_active() && !shutdown.is_cancelled() {
            let next = self
                .bus
                .captured_next(&hold.source, &hold.channel, hold.from)
                .await?
                .filter(|message| message.sequence <= hold.through);
            let stream = self.bus.capture_stream().await?;
            if stream.outdates(&hold) {
                tracing::error!(
                    node_id = %hold.source, channel = %hold.channel,
                    "the stream of captured batches was made again or lost its end while batches were held; all that is in it is routed again"
                );
                hold = hold.from_start_of(&stream);
            } else {
                let message =
                    next.filter(|message| message.sequence == hold.from || stream.first <= hold.from);
                self.route_next(message, &mut hold).await?;
            }
            match self.bus.set_hold(&hold).await {
                Ok(revision) => hold.revision = revision,
                // More was held meanwhile, or another router was faster: go on from what stands there.
                Err(BusError::Fenced { .. }) => hold = self.bus.hold(&hold.source, &hold.channel).await?,
                Err(err) => return Err(err.into()),
            }
        }
        if !hold.is_active() {
            tracing::info!(node_id = %hold.source, channel = %hold.channel, "nothing is held any more");
        }
        Ok(())
    }

    /// Routes the first held message and moves the mark behind it, in memory. `None`: the stream does not have it any
    /// more.
    async fn route_next(&self, message: Option<CapturedMessage>, hold: &mut Hold) -> Result<(), RouteError> {
        let Some(message) = message else {
            return Err(RouteError::HeldGone {
                from: hold.from,
                through: hold.through,
            });
        };
        let is_exact = message.sequence == hold.from;
        hold.from = message.sequence;
        match self.route_held_message(&message, hold).await {
            Ok(None) => {
                hold.from = message.sequence + 1;
                hold.configuration_version = None;
            }
            Ok(newer) => hold.configuration_version = newer,
            Err(err) => {
                // A mark that names the very message tells later whether the stream still has it.
                if !is_exact {
                    self.bus.set_hold(hold).await?;
                }
                return Err(err);
            }
        }
        Ok(())
    }

    /// Routes one held message. Where the configuration by which it was captured does not do, because of a rule
    /// that somebody put right since, the newest one decides: returns its version, to be written into the mark
    /// before it is used, so that every router that does this again decides alike.
    async fn route_held_message(
        &self,
        message: &CapturedMessage,
        hold: &Hold,
    ) -> Result<Option<i64>, RouteError> {
        if message.header.part < message.header.part_last {
            return Ok(None);
        }
        let Err(err) = self.route(message, hold.configuration_version).await else {
            return Ok(None);
        };
        if !err.is_of_configuration() {
            return Err(err);
        }
        let tried = hold
            .configuration_version
            .unwrap_or(message.header.configuration_version);
        let newest = self.configurations.latest_version().await?;
        if newest > tried {
            Ok(Some(newest))
        } else {
            Err(err)
        }
    }
}
