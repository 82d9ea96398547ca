//! Taking messages from durable consumers.

use crate::bus::Bus;
use crate::error::BusError;
use crate::header::PartHeader;
use crate::subject::Subjects;
use async_nats::jetstream::consumer::PullConsumer;
use async_nats::jetstream::consumer::pull::Stream as Pull;
use async_nats::jetstream::{AckKind, Message};
use bytes::Bytes;
use futures_util::StreamExt;
use std::time::Duration;
use symstream_shared::id::{ChannelId, NodeId};
use symstream_shared::model::LinkAction;
use symstream_shared::retry::Backoff;

/// Bytes that one pull may bring: bounds what waits in memory (fact 14).
const PULL_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Messages that one pull may bring.
const PULL_MESSAGES_MAX: usize = 32;

/// The messages of one durable consumer, for ever: lost connections are waited out.
pub struct Deliveries {
    bus: Bus,
    stream: String,
    consumer: String,
    /// Whether opening resets the consumer: what was delivered and not acknowledged comes again, in order.
    reset: bool,
    pull: Option<Pull>,
    backoff: Backoff,
}

/// One message.
pub struct Delivery {
    message: Message,
    /// What is said of it instead of its headers.
    header: Option<PartHeader>,
    client: async_nats::Client,
    /// Its sequence in its stream.
    pub sequence: u64,
    /// How many messages of its consumer stood behind it when the server sent it.
    pub pending: u64,
}

impl Bus {
    /// Captured batches of one partition; several routers share it and each message goes to one of them, the
    /// next only after it was acknowledged.
    pub fn partition(&self, partition: u32) -> Deliveries {
        self.deliveries(
            self.subjects.capture_stream(),
            Subjects::router_consumer(partition),
            false,
        )
    }

    /// Batches of one channel for `node` that came by links of this kind, from its first unacknowledged one on.
    pub fn lane_deliveries(&self, node: &NodeId, channel: &ChannelId, action: LinkAction) -> Deliveries {
        self.deliveries(
            self.subjects.node_stream(),
            Subjects::lane_consumer(node, channel, action),
            true,
        )
    }

    /// Routers' reports on batches of `source`.
    pub fn routed_deliveries(&self, source: &NodeId) -> Deliveries {
        self.deliveries(
            self.subjects.routed_stream(),
            Subjects::recorder_consumer(source),
            true,
        )
    }

    /// Loaders' reports on batches of `source`.
    pub fn status_deliveries(&self, source: &NodeId) -> Deliveries {
        self.deliveries(
            self.subjects.status_stream(),
            Subjects::recorder_consumer(source),
            true,
        )
    }

    pub(crate) fn deliveries(&self, stream: String, consumer: String, reset: bool) -> Deliveries {
        Deliveries {
            bus: self.clone(),
            stream,
            consumer,
            reset,
            pull: None,
            // Short pauses only: nobody should wait long for work once the server is back.
            backoff: Backoff::new(Duration::from_millis(100), Duration::from_secs(1)),
        }
    }
}

impl Deliveries {
    /// The next message. Waits while there is none, while NATS is away and while the consumer does not exist
    /// yet; says what it waits for once it takes long. May be dropped and called again.
    pub async fn next(&mut self) -> Delivery {
        loop {
            if self.pull.is_none() {
                match self.open().await {
                    Ok(pull) => self.pull = Some(pull),
                    Err(err) => {
                        self.wait(&err.to_string()).await;
                        continue;
                    }
                }
            }
            let Some(pull) = &mut self.pull else { continue };
            match pull.next().await {
                Some(Ok(message)) => {
                    self.backoff.reset();
                    let (sequence, pending) = match message.info() {
                        Ok(info) => (info.stream_sequence, info.pending),
                        Err(err) => {
                            tracing::warn!(consumer = %self.consumer, error = %err, "a message without an acknowledgement subject is passed over");
                            continue;
                        }
                    };
                    return Delivery {
                        message,
                        header: None,
                        client: self.bus.client.clone(),
                        sequence,
                        pending,
                    };
                }
                // After an error nothing tells a consumer that is gone from a server that is (fact 15).
                Some(Err(err)) => {
                    self.pull = None;
                    self.wait(&err.to_string()).await;
                }
                None => self.pull = None,
            }
        }
    }

    /// The next message if it comes within `patience`.
    pub async fn next_within(&mut self, patience: Duration) -> Option<Delivery> {
        tokio::time::timeout(patience, self.next()).await.ok()
    }

    /// Takes no more messages until the next one is asked for. For a node's own consumers, what was delivered and not
    /// acknowledged comes again then, in order.
    pub fn close(&mut self) {
        self.pull = None;
    }

    /// How many messages are there that were not acknowledged: those that were not delivered yet, and those in
    /// hand.
    ///
    /// # Errors
    /// [`BusError::Missing`] when the consumer does not exist, [`BusError::Unreachable`].
    pub async fn waiting(&self) -> Result<u64, BusError> {
        let consumer = self.consumer().await?;
        let info = consumer.cached_info();
        Ok(info.num_pending + info.num_ack_pending as u64)
    }

    fn name(&self) -> String {
        format!("consumer {} of stream {}", self.consumer, self.stream)
    }

    /// The consumer as it is now.
    async fn consumer(&self) -> Result<PullConsumer, BusError> {
        self.bus
            .jetstream
            .get_consumer_from_stream(&self.consumer, &self.stream)
            .await
            .map_err(|err| match err.kind() {
                async_nats::jetstream::stream::ConsumerErrorKind::JetStream(code)
                    if matches!(
                        code.error_code(),
                        async_nats::jetstream::ErrorCode::CONSUMER_NOT_FOUND
                            | async_nats::jetstream::ErrorCode::STREAM_NOT_FOUND
                    ) =>
                {
                    BusError::Missing(self.name())
                }
                _ => self.bus.unreachable(err),
            })
    }

    async fn open(&self) -> Result<Pull, BusError> {
        let mut consumer = self.consumer().await?;
        if self.reset {
            consumer
                .reset(None)
                .await
                .map_err(|err| BusError::refused(format!("reset of {}", self.name()), err))?;
        }
        consumer
            .stream()
            .max_messages_per_batch(PULL_MESSAGES_MAX)
            .max_bytes_per_batch(PULL_BYTES_MAX)
            .heartbeat(Duration::from_secs(5))
            .expires(Duration::from_secs(30))
            .messages()
            .await
            .map_err(|err| self.bus.unreachable(err))
    }

    async fn wait(&mut self, message: &str) {
        let pause = self.backoff.next_pause();
        if self.backoff.attempts() == 6 {
            tracing::warn!(consumer = %self.consumer, error = %message, "waiting for messages");
        } else {
            tracing::debug!(consumer = %self.consumer, error = %message, "waiting for messages");
        }
        tokio::time::sleep(pause).await;
    }
}

impl Delivery {
    /// The body's bytes.
    pub fn body(&self) -> &Bytes {
        &self.message.payload
    }

    /// The subject, for messages to a person.
    pub fn subject(&self) -> &str {
        &self.message.subject
    }

    /// The batch headers.
    ///
    /// # Errors
    /// [`BusError::Malformed`] when the message is no part of a batch.
    pub fn header(&self) -> Result<PartHeader, BusError> {
        if let Some(header) = &self.header {
            return Ok(header.clone());
        }
        PartHeader::from_map(&self.message.subject, self.headers())
    }

    /// The same message with other headers: those that a group's message has for one of its nodes.
    pub fn with_header(self, header: PartHeader) -> Self {
        Self {
            header: Some(header),
            ..self
        }
    }

    pub(crate) fn headers(&self) -> Option<&async_nats::HeaderMap> {
        self.message.headers.as_ref()
    }

    /// Acknowledges and waits until the server knows. A failure is harmless wherever a repeated message is
    /// recognised: it comes again.
    ///
    /// # Errors
    /// [`BusError::Unreachable`] when the server did not confirm.
    pub async fn ack(&self) -> Result<(), BusError> {
        let reply = self.message.reply.clone().ok_or_else(|| BusError::Malformed {
            subject: self.message.subject.to_string(),
            message: "it has no acknowledgement subject".to_owned(),
        })?;
        // `double_ack` reports success when the consumer is gone; a request does not (fact 13).
        self.client
            .request(reply, AckKind::Ack.into())
            .await
            .map(drop)
            .map_err(|err| BusError::refused("an acknowledgement", err))
    }

    /// Says that work on the message goes on, which restarts its time limit.
    ///
    /// # Errors
    /// [`BusError::Unreachable`] when it could not be sent.
    pub async fn progress(&self) -> Result<(), BusError> {
        self.message
            .ack_with(AckKind::Progress)
            .await
            .map_err(|err| BusError::refused("a sign of progress", err))
    }
}
