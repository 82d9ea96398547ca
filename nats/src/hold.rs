//! Reading captured batches again, and the marks of those that wait because they could not be routed.

use crate::bus::Bus;
use crate::delivery::Delivery;
use crate::error::BusError;
use crate::header::{PartHeader, untoken};
use async_nats::HeaderMap;
use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::{DirectGetErrorKind, LastRawMessageErrorKind};
use bytes::Bytes;
use symstream_shared::id::{ChannelId, NodeId};

/// One stored message of a captured batch.
#[derive(Debug, Clone)]
pub struct CapturedMessage {
    /// Its sequence in the stream.
    pub sequence: u64,
    /// Its headers.
    pub header: PartHeader,
    /// Its body.
    pub body: Bytes,
}

/// Captured messages of one source and channel that were acknowledged but not routed, so that other sources of
/// their partition go on. While `from <= through` the router takes nothing newer of that source and channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// The source.
    pub source: NodeId,
    /// The channel.
    pub channel: ChannelId,
    /// The stream's sequence from which on nothing is routed yet.
    pub from: u64,
    /// The sequence of the last message that was acknowledged without being routed.
    pub through: u64,
    /// The version of the configuration by which the message at `from` is routed, where its own does not do.
    pub configuration_version: Option<i64>,
    /// The stream whose sequences these are ([`CaptureStream::id`]); 0 where nothing was ever held.
    pub stream: i64,
    /// Which version of the mark this is: a write names the version that it follows. 0: there is none.
    pub revision: u64,
}

impl Hold {
    /// The mark of a source and channel that was never held.
    pub fn none(source: &NodeId, channel: &ChannelId) -> Self {
        Self {
            source: source.clone(),
            channel: channel.clone(),
            from: 1,
            through: 0,
            configuration_version: None,
            stream: 0,
            revision: 0,
        }
    }

    /// The mark of the same source and channel under which everything in this stream waits. What was routed before is
    /// repeated then, which harms nobody.
    pub fn from_start_of(self, stream: &CaptureStream) -> Self {
        Self {
            from: stream.first.max(1),
            through: stream.last,
            configuration_version: None,
            stream: stream.id,
            ..self
        }
    }

    /// Whether anything waits.
    pub fn is_active(&self) -> bool {
        self.from <= self.through
    }
}

/// What the stream of captured batches holds, as its leader knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CaptureStream {
    /// When it was made, in nanoseconds since 1970: another stream of the same name has another number, and
    /// sequences of its own.
    pub id: i64,
    /// The sequence of its first message; one more than the last where it is empty.
    pub first: u64,
    /// The sequence of its last message.
    pub last: u64,
}

impl CaptureStream {
    /// Whether the mark's sequences mean nothing here: the stream was deleted and made again, or its server lost its
    /// end.
    pub fn outdates(&self, hold: &Hold) -> bool {
        hold.stream != self.id || self.last < hold.through
    }
}

impl Delivery {
    /// The batch headers of a captured message.
    ///
    /// # Errors
    /// [`BusError::Malformed`] when the message is no part of a batch, or of another source or channel than its subject.
    pub fn captured_header(&self) -> Result<PartHeader, BusError> {
        PartHeader::of_captured(self.subject(), self.headers())
    }

    /// The source and the channel of a captured message, from its subject: known even when its headers are not
    /// understood.
    ///
    /// # Errors
    /// [`BusError::Malformed`] when the subject is not that of a captured message.
    pub fn captured_lane(&self) -> Result<(NodeId, ChannelId), BusError> {
        let malformed = || BusError::Malformed {
            subject: self.subject().to_owned(),
            message: "it names no source and channel".to_owned(),
        };
        let mut tokens = self.subject().rsplit('.');
        let channel = tokens
            .next()
            .and_then(|token| ChannelId::new(untoken(token)).ok())
            .ok_or_else(malformed)?;
        let source = tokens
            .next()
            .and_then(|token| NodeId::new(untoken(token)).ok())
            .ok_or_else(malformed)?;
        Ok((source, channel))
    }
}

impl Bus {
    /// What the stream of captured batches holds now.
    ///
    /// # Errors
    /// [`BusError::Unreachable`].
    pub async fn capture_stream(&self) -> Result<CaptureStream, BusError> {
        let stream = self
            .jetstream
            .get_stream(self.subjects.capture_stream())
            .await
            .map_err(|err| self.unreachable(err))?;
        let info = stream.cached_info();
        Ok(CaptureStream {
            // Until the year 2262.
            id: i64::try_from(info.created.unix_timestamp_nanos()).unwrap_or(i64::MAX),
            first: info.state.first_sequence,
            last: info.state.last_sequence,
        })
    }

    /// The first captured message of a source and channel at or after a sequence of the stream. `None` is the
    /// leader's word: a replica that lags would only not have it yet.
    ///
    /// # Errors
    /// [`BusError::Unreachable`], [`BusError::Malformed`].
    pub async fn captured_next(
        &self,
        source: &NodeId,
        channel: &ChannelId,
        from: u64,
    ) -> Result<Option<CapturedMessage>, BusError> {
        let subject = self.subjects.captured_any_partition(source, channel);
        let stream = self.subjects.capture_stream();
        let near = self.next_stored(stream.clone(), &subject, from).await?;
        let Some(message) = (match near {
            Some(message) => Some(message),
            None => self.next_at_leader(stream, &subject, from).await?,
        }) else {
            return Ok(None);
        };
        let header = PartHeader::of_captured(&message.subject, Some(&message.headers))?;
        Ok(Some(CapturedMessage {
            sequence: message.sequence,
            header,
            body: message.payload,
        }))
    }

    /// The mark of a source and channel, as the stream's leader has it: an old one would let a batch overtake
    /// those that wait.
    ///
    /// # Errors
    /// [`BusError::Unreachable`], [`BusError::Malformed`].
    pub async fn hold(&self, source: &NodeId, channel: &ChannelId) -> Result<Hold, BusError> {
        let stream = self
            .jetstream
            .get_stream_no_info(self.subjects.lanes_stream())
            .await
            .map_err(|err| self.unreachable(err))?;
        match stream
            .get_last_raw_message_by_subject(&self.subjects.hold(source, channel))
            .await
        {
            Ok(message) => read_hold(&message),
            Err(err) if err.kind() == LastRawMessageErrorKind::NoMessageFound => {
                Ok(Hold::none(source, channel))
            }
            Err(err) => Err(self.unreachable(err)),
        }
    }

    /// Writes the mark over the version that `hold.revision` names and returns the new revision. A mark that is
    /// not active any more stays as a message, so that a router that slept can not overwrite it.
    ///
    /// # Errors
    /// [`BusError::Fenced`] when another router wrote it meanwhile; [`BusError::Unreachable`] when it is not
    /// known whether it was written (read it again).
    pub async fn set_hold(&self, hold: &Hold) -> Result<u64, BusError> {
        let subject = self.subjects.hold(&hold.source, &hold.channel);
        let mut headers = HeaderMap::new();
        headers.insert("Sym-Source", crate::subject::token(hold.source.as_str()));
        headers.insert("Sym-Channel", crate::subject::token(hold.channel.as_str()));
        headers.insert("Sym-From", hold.from.to_string());
        headers.insert("Sym-Through", hold.through.to_string());
        if let Some(version) = hold.configuration_version {
            headers.insert("Sym-Config", version.to_string());
        }
        headers.insert("Sym-Stream", hold.stream.to_string());
        headers.insert(
            async_nats::header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE,
            hold.revision.to_string(),
        );
        let refused = |err: PublishError| match err.kind() {
            PublishErrorKind::WrongLastSequence => BusError::Fenced {
                subject: subject.clone(),
                found: "a mark written by another router".to_owned(),
                wanted: format!("revision {}", hold.revision),
            },
            _ => self.unreachable(err),
        };
        let ack = self
            .publishing
            .publish_with_headers(subject.clone(), headers, Bytes::new())
            .await
            .map_err(refused)?
            .await
            .map_err(refused)?;
        Ok(ack.sequence)
    }

    /// How a person removes a mark: what waits under it is given up.
    pub fn hold_removal(&self, source: &NodeId, channel: &ChannelId) -> String {
        format!(
            "nats stream purge {} --subject={}",
            self.subjects.lanes_stream(),
            self.subjects.hold(source, channel)
        )
    }

    /// All sources and channels of which something waits.
    ///
    /// # Errors
    /// [`BusError::Unreachable`], [`BusError::Malformed`].
    pub async fn holds(&self) -> Result<Vec<Hold>, BusError> {
        let mut holds = Vec::new();
        let mut from = 1;
        while let Some(message) = self
            .next_stored(self.subjects.lanes_stream(), &self.subjects.all_holds(), from)
            .await?
        {
            from = message.sequence + 1;
            holds.push(read_hold(&message)?);
        }
        holds.retain(Hold::is_active);
        Ok(holds)
    }

    pub(crate) async fn next_stored(
        &self,
        stream: String,
        subject: &str,
        from: u64,
    ) -> Result<Option<StreamMessage>, BusError> {
        let stream = self
            .jetstream
            .get_stream_no_info(stream)
            .await
            .map_err(|err| self.unreachable(err))?;
        match stream
            .direct_get_next_for_subject(subject, Some(from.max(1)))
            .await
        {
            Ok(message) => Ok(Some(message)),
            Err(err) if err.kind() == DirectGetErrorKind::NotFound => Ok(None),
            Err(err) => Err(self.unreachable(err)),
        }
    }

    async fn next_at_leader(
        &self,
        stream: String,
        subject: &str,
        from: u64,
    ) -> Result<Option<StreamMessage>, BusError> {
        let stream = self
            .jetstream
            .get_stream_no_info(stream)
            .await
            .map_err(|err| self.unreachable(err))?;
        match stream
            .get_first_raw_message_by_subject(subject, from.max(1))
            .await
        {
            Ok(message) => Ok(Some(message)),
            Err(err) if err.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
            Err(err) => Err(self.unreachable(err)),
        }
    }
}

fn read_hold(message: &StreamMessage) -> Result<Hold, BusError> {
    let malformed = |what: &str| BusError::Malformed {
        subject: message.subject.to_string(),
        message: what.to_owned(),
    };
    let header = |name: &str| {
        message
            .headers
            .get(name)
            .map(|value| value.as_str())
            .ok_or_else(|| malformed(&format!("header {name} is missing")))
    };
    let number = |name: &str| {
        header(name)?
            .parse()
            .map_err(|_| malformed(&format!("header {name} is no number")))
    };
    Ok(Hold {
        source: NodeId::new(untoken(header("Sym-Source")?)).map_err(|err| malformed(&err.to_string()))?,
        channel: ChannelId::new(untoken(header("Sym-Channel")?))
            .map_err(|err| malformed(&err.to_string()))?,
        from: number("Sym-From")?,
        through: number("Sym-Through")?,
        configuration_version: message
            .headers
            .get("Sym-Config")
            .and_then(|value| value.as_str().parse().ok()),
        stream: number("Sym-Stream").map_or(0, |id: u64| i64::try_from(id).unwrap_or(i64::MAX)),
        revision: message.sequence,
    })
}
