//! Publishing what was captured: one message in flight for each source and channel, fenced by the subject's
//! last sequence.

use crate::bus::Bus;
use crate::error::BusError;
use crate::header::PartHeader;
use crate::subject::token;
use async_nats::HeaderMap;
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::LastRawMessageErrorKind;
use std::time::Duration;
use symstream_shared::id::{ChannelId, NodeId};
use symstream_shared::retry::Backoff;

/// The last message on a captured subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublishedPart {
    /// Its batch.
    pub batch_id: i64,
    /// Its part.
    pub part: u32,
    /// The batch's last part; the batch is whole when `part` is it.
    pub part_last: u32,
    /// When the message was made. Tells a message from one of an earlier attempt at the same batch, whose parts may
    /// hold other rows.
    pub time_ms: i64,
}

/// Publishes the captured batches of one source and channel, in order.
pub struct CapturedPublisher {
    bus: Bus,
    source: NodeId,
    channel: ChannelId,
    subject: String,
    /// The subject's last sequence as we know it, 0 for none.
    last_sequence: Option<u64>,
    /// The last batch and part that are known to have been stored.
    last_part: Option<(i64, u32)>,
}

impl Bus {
    /// The publisher for one source and channel. Two at once for the same pair fence each other off.
    pub fn captured(&self, source: &NodeId, channel: &ChannelId) -> CapturedPublisher {
        CapturedPublisher {
            bus: self.clone(),
            source: source.clone(),
            channel: channel.clone(),
            subject: self.subjects.capture(source, channel),
            last_sequence: None,
            last_part: None,
        }
    }
}

impl CapturedPublisher {
    /// What stands last on the subject; `None` when nothing was published or the stream was emptied.
    ///
    /// # Errors
    /// [`BusError::Unreachable`], [`BusError::Missing`] (no stream yet), [`BusError::Malformed`].
    pub async fn last(&mut self) -> Result<Option<PublishedPart>, BusError> {
        Ok(self.last_message().await?.map(|(part, _)| part))
    }

    /// What stands last on the subject, like [`Self::last`], once nothing can come between it and the next message: a
    /// message that was sent before, by whomever, and is still on its way is refused. An unfinished batch's last part is
    /// stored a second time for that, which nobody acts upon.
    ///
    /// # Errors
    /// Those of [`Self::last`].
    pub async fn last_for_good(&mut self) -> Result<Option<PublishedPart>, BusError> {
        let mut backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(5));
        loop {
            let Some((part, message)) = self.last_message().await? else {
                return Ok(None);
            };
            // What may be on its way behind a whole batch has the number of the next one, and is met by its fence.
            if part.part == part.part_last {
                return Ok(Some(part));
            }
            let mut headers = HeaderMap::new();
            for (name, values) in message.headers.iter() {
                if *name != async_nats::header::NATS_MESSAGE_ID
                    && *name != async_nats::header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE
                {
                    for value in values {
                        headers.append(name.clone(), value.clone());
                    }
                }
            }
            match self
                .store(headers, message.payload.clone(), message.sequence)
                .await
            {
                Ok((sequence, _)) => {
                    self.last_sequence = Some(sequence);
                    return Ok(Some(part));
                }
                Err(message) => self.wait(&mut backoff, &message).await,
            }
        }
    }

    async fn last_message(&mut self) -> Result<Option<(PublishedPart, StreamMessage)>, BusError> {
        let stream_name = self.bus.subjects.capture_stream();
        let stream = self
            .bus
            .jetstream
            .get_stream_no_info(&stream_name)
            .await
            .map_err(|err| self.bus.unreachable(err))?;
        let subject = self
            .bus
            .subjects
            .captured_any_partition(&self.source, &self.channel);
        match stream.get_last_raw_message_by_subject(&subject).await {
            Ok(message) => {
                let header = PartHeader::from_map(&message.subject, Some(&message.headers))?;
                self.last_sequence = Some(message.sequence);
                self.last_part = Some((header.batch_id, header.part));
                let part = PublishedPart {
                    batch_id: header.batch_id,
                    part: header.part,
                    part_last: header.part_last,
                    time_ms: header.time_ms,
                };
                Ok(Some((part, message)))
            }
            Err(err) => match err.kind() {
                LastRawMessageErrorKind::NoMessageFound => {
                    self.last_sequence = Some(0);
                    self.last_part = None;
                    Ok(None)
                }
                LastRawMessageErrorKind::JetStream(code)
                    if code.error_code() == async_nats::jetstream::ErrorCode::STREAM_NOT_FOUND =>
                {
                    Err(BusError::Missing(format!("stream {stream_name}")))
                }
                _ => Err(self.bus.unreachable(err)),
            },
        }
    }

    /// Publishes one part and returns when it is stored exactly once, however often the connection is lost.
    /// The parts of a batch have to be given in order. May be dropped; the next call of [`Self::last`] tells
    /// what was stored.
    ///
    /// # Errors
    /// [`BusError::Fenced`] when something newer stands on the subject, or the same part of another attempt:
    /// another capture agent runs for this node, or this one was stopped and its last message came late.
    /// [`BusError::Lost`] when what was stored before is gone: ask [`Self::last`] where to go on. Everything else is
    /// waited out.
    pub async fn publish(&mut self, header: &PartHeader, body: Vec<u8>) -> Result<(), BusError> {
        let body = bytes::Bytes::from(body);
        let wanted = (header.batch_id, header.part);
        let mut backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(5));
        // Header values are ASCII; ids may be anything.
        let mut id = format!(
            "{}/{}/{}.{}",
            token(self.source.as_str()),
            token(self.channel.as_str()),
            header.batch_id,
            header.part
        );
        loop {
            let Some(last_sequence) = self.last_sequence else {
                let known = self.last_part;
                match self.last().await {
                    Ok(Some(stored))
                        if (stored.batch_id, stored.part) == wanted && stored.time_ms == header.time_ms =>
                    {
                        return Ok(());
                    }
                    Ok(stored) if stored.map(|stored| (stored.batch_id, stored.part)) < known => {
                        return Err(BusError::Lost {
                            subject: self.subject.clone(),
                        });
                    }
                    // Whatever came behind our last message, and is not this one, is somebody else's. Our last one may have
                    // a higher number than this one: loads take turns.
                    Ok(Some(stored))
                        if (stored.batch_id, stored.part) == wanted
                            || known.map_or((stored.batch_id, stored.part) > wanted, |known| {
                                (stored.batch_id, stored.part) > known
                            }) =>
                    {
                        return Err(BusError::Fenced {
                            subject: self.subject.clone(),
                            found: format!("batch {} part {}", stored.batch_id, stored.part),
                            wanted: format!("batch {} part {}", header.batch_id, header.part),
                        });
                    }
                    Ok(_) => {}
                    Err(err) => self.wait(&mut backoff, &err.to_string()).await,
                }
                continue;
            };
            match self.publish_once(header, &id, body.clone(), last_sequence).await {
                Ok(Some(sequence)) => {
                    self.last_sequence = Some(sequence);
                    self.last_part = Some(wanted);
                    return Ok(());
                }
                // The server remembers the id. If a look shows that it no longer has the message (it was purged),
                // only another id gets it there before the server forgets.
                Ok(None) => {
                    self.last_sequence = None;
                    id.push_str("/again");
                }
                // Whether it was stored is not known, or somebody else was faster: look.
                Err(message) => {
                    self.last_sequence = None;
                    self.wait(&mut backoff, &message).await;
                }
            }
        }
    }

    /// The message's sequence; `None` when the server takes it for one that it has.
    async fn publish_once(
        &self,
        header: &PartHeader,
        id: &str,
        body: bytes::Bytes,
        last_sequence: u64,
    ) -> Result<Option<u64>, String> {
        let mut headers: HeaderMap = header.to_map();
        headers.insert(async_nats::header::NATS_MESSAGE_ID, id);
        let (sequence, duplicate) = self.store(headers, body, last_sequence).await?;
        Ok((!duplicate).then_some(sequence))
    }

    /// Stores a message behind `last_sequence` and nowhere else: its sequence, and whether the server takes it for one
    /// that it has.
    async fn store(
        &self,
        mut headers: HeaderMap,
        body: bytes::Bytes,
        last_sequence: u64,
    ) -> Result<(u64, bool), String> {
        headers.insert(
            async_nats::header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE,
            last_sequence.to_string(),
        );
        let ack = self
            .bus
            .publishing
            .publish_with_headers(self.subject.clone(), headers, body)
            .await
            .map_err(|err| err.to_string())?
            .await
            .map_err(|err| err.to_string())?;
        Ok((ack.sequence, ack.duplicate))
    }

    async fn wait(&self, backoff: &mut Backoff, message: &str) {
        let pause = backoff.next_pause();
        if backoff.attempts() == 5 {
            tracing::warn!(subject = %self.subject, error = %message, "publishing waits");
        } else {
            tracing::debug!(subject = %self.subject, error = %message, "publishing waits");
        }
        tokio::time::sleep(pause).await;
    }
}
