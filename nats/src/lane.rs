//! What the router writes: lanes, their tails, reports.

use crate::bus::Bus;
use crate::error::BusError;
use crate::header::PartHeader;
use async_nats::HeaderMap;
use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::stream::LastRawMessageErrorKind;
use bytes::Bytes;
use std::time::Duration;
use symstream_shared::id::{ChannelId, NodeId};
use symstream_shared::model::LinkAction;
use symstream_shared::retry::Backoff;
use symstream_shared::wire::{Message, RoutedReport, StatusReport};

/// A lane: one source's changes of one channel for one node.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LaneId {
    /// Where the changes come from.
    pub source: NodeId,
    /// Whom they are for.
    pub target: NodeId,
    /// The channel.
    pub channel: ChannelId,
}

/// The last batch of a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tail {
    /// Its last batch; 0 where the lane has none yet.
    pub batch_id: i64,
    /// The batch before that.
    pub previous_batch_id: i64,
    /// Which version of the tail this is: a write names the version that it follows.
    pub revision: u64,
}

impl Bus {
    /// The lane's tail; the default where it has none. As the stream's leader has it: an old one would break the
    /// chain before the write's fence notices.
    ///
    /// # Errors
    /// [`BusError::Unreachable`], [`BusError::Malformed`].
    pub async fn tail(&self, lane: &LaneId) -> Result<Tail, BusError> {
        let stream = self
            .jetstream
            .get_stream_no_info(self.subjects.lanes_stream())
            .await
            .map_err(|err| self.unreachable(err))?;
        let subject = self.subjects.tail(&lane.target, &lane.channel, &lane.source);
        match stream.get_last_raw_message_by_subject(&subject).await {
            Ok(message) => {
                let number = |name: &str| {
                    message
                        .headers
                        .get(name)
                        .and_then(|value| value.as_str().parse::<i64>().ok())
                        .ok_or_else(|| BusError::Malformed {
                            subject: subject.clone(),
                            message: format!("header {name} is missing or no number"),
                        })
                };
                Ok(Tail {
                    batch_id: number("Sym-Batch")?,
                    previous_batch_id: number("Sym-Prev")?,
                    revision: message.sequence,
                })
            }
            Err(err) if err.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(Tail::default()),
            Err(err) => Err(self.unreachable(err)),
        }
    }

    /// Writes the lane's tail over the version that `tail.revision` names and returns the new revision.
    ///
    /// # Errors
    /// [`BusError::Fenced`] when another router wrote it meanwhile; [`BusError::Unreachable`] when it is not
    /// known whether it was written (read it again).
    pub async fn set_tail(&self, lane: &LaneId, tail: Tail) -> Result<u64, BusError> {
        let subject = self.subjects.tail(&lane.target, &lane.channel, &lane.source);
        let mut headers = HeaderMap::new();
        headers.insert("Sym-Batch", tail.batch_id.to_string());
        headers.insert("Sym-Prev", tail.previous_batch_id.to_string());
        headers.insert(
            async_nats::header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE,
            tail.revision.to_string(),
        );
        let unknown = |err: PublishError| match err.kind() {
            PublishErrorKind::WrongLastSequence => BusError::Fenced {
                subject: subject.clone(),
                found: "a tail written by another router".to_owned(),
                wanted: format!("revision {}", tail.revision),
            },
            _ => self.unreachable(err),
        };
        let ack = self
            .publishing
            .publish_with_headers(subject.clone(), headers, Bytes::new())
            .await
            .map_err(unknown)?
            .await
            .map_err(unknown)?;
        Ok(ack.sequence)
    }

    /// Puts one message into a lane, by the kind of the link between the groups, and returns when it is stored. It
    /// may be stored more than once: the chain of batches tells the loader.
    ///
    /// # Errors
    /// [`BusError::Malformed`] when the header names no target or the body is larger than the server takes;
    /// everything else is waited out.
    pub async fn publish_lane(
        &self,
        header: &PartHeader,
        body: Vec<u8>,
        action: LinkAction,
    ) -> Result<(), BusError> {
        let target = header.target.as_ref().ok_or_else(|| BusError::Malformed {
            subject: "a lane".to_owned(),
            message: "its header names no target".to_owned(),
        })?;
        let subject = self
            .subjects
            .node(target, &header.channel, &header.source, action);
        self.publish_until_stored(subject, header.to_map(), Bytes::from(body))
            .await
    }

    /// Sends the router's report and returns when it is stored, perhaps more than once.
    ///
    /// # Errors
    /// [`BusError::Malformed`] when it can not be encoded or is larger than the server takes.
    pub async fn report(&self, report: &RoutedReport) -> Result<(), BusError> {
        let subject = self.subjects.routed(&report.source, &report.channel);
        let body = encode(&subject, &Message::Routed(report.clone()))?;
        let mut headers = HeaderMap::new();
        headers.insert("Sym-Batch", report.batch_id.to_string());
        headers.insert("Sym-Encoding", symstream_shared::wire::ENCODING);
        self.publish_until_stored(subject, headers, body).await
    }

    /// Sends the loader's report and returns when it is stored, perhaps more than once.
    ///
    /// # Errors
    /// [`BusError::Malformed`] when it can not be encoded or is larger than the server takes.
    pub async fn status(&self, report: &StatusReport) -> Result<(), BusError> {
        let subject = self
            .subjects
            .status(&report.source, &report.target, &report.channel);
        let mut headers = HeaderMap::new();
        if let Some(result) = report.results.last() {
            headers.insert("Sym-Batch", result.batch_id.to_string());
            headers.insert("Sym-Status", result.status.as_str());
        }
        headers.insert("Sym-Encoding", symstream_shared::wire::ENCODING);
        let body = encode(&subject, &Message::Status(report.clone()))?;
        self.publish_until_stored(subject, headers, body).await
    }

    /// # Errors
    /// [`BusError::Malformed`] for a message that is larger than the server takes; everything else is waited out.
    pub(crate) async fn publish_until_stored(
        &self,
        subject: String,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<(), BusError> {
        let mut backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(5));
        loop {
            let sent = self
                .publishing
                .publish_with_headers(subject.clone(), headers.clone(), body.clone())
                .await;
            let stored = match sent {
                Ok(ack) => ack.await.map(drop),
                Err(err) => Err(err),
            };
            let Err(err) = stored else { return Ok(()) };
            if err.kind() == PublishErrorKind::MaxPayloadExceeded {
                let most = self.client.server_info().max_payload;
                return Err(BusError::Malformed {
                    subject,
                    message: format!(
                        "its {} bytes are more than max_payload ({most}) of nats-server",
                        body.len()
                    ),
                });
            }
            let pause = backoff.next_pause();
            if backoff.attempts() == 5 {
                tracing::warn!(%subject, error = %err, "publishing waits");
            } else {
                tracing::debug!(%subject, error = %err, "publishing waits");
            }
            tokio::time::sleep(pause).await;
        }
    }
}

pub(crate) fn encode(subject: &str, message: &Message) -> Result<Bytes, BusError> {
    message
        .encode()
        .map(Bytes::from)
        .map_err(|err| BusError::Malformed {
            subject: subject.to_owned(),
            message: err.to_string(),
        })
}
