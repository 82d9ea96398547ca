//! Groups' lanes: messages that are stored once for all nodes of a group, where those lanes end, and the nodes'
//! consumers.

use crate::bus::Bus;
use crate::delivery::Deliveries;
use crate::error::BusError;
use crate::header::PartHeader;
use crate::streams::AGENT_ACK_WAIT;
use crate::subject::{Subjects, token};
use async_nats::HeaderMap;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull};
use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::stream::{ConsumerErrorKind, LastRawMessageErrorKind};
use bytes::Bytes;
use std::time::Duration;
use symstream_shared::id::{ChannelId, GroupId, NodeId};
use symstream_shared::wire::{GroupTails, Message};

/// By how much the clocks of the registration server's database and of nats-server may differ.
const CLOCKS_APART: Duration = Duration::from_secs(3600);

/// A consumer that a node needs for what its group gets of a channel as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct GroupConsumer {
    /// The node's group.
    pub group: GroupId,
    /// The channel.
    pub channel: ChannelId,
    /// How many messages the loader may hold unacknowledged; at least 1.
    pub max_ack_pending: u64,
    /// When the node was registered, in milliseconds since 1970: what is older was not for it.
    pub registered_ms: i64,
}

impl Bus {
    /// Where the groups' lanes of a source and channel end, and which version of that this is. As the stream's leader
    /// has it, see [`Bus::tail`].
    ///
    /// # Errors
    /// [`BusError::Unreachable`], [`BusError::Malformed`].
    pub async fn group_tails(
        &self,
        source: &NodeId,
        channel: &ChannelId,
    ) -> Result<(GroupTails, u64), BusError> {
        let stream = self
            .jetstream
            .get_stream_no_info(self.subjects.lanes_stream())
            .await
            .map_err(|err| self.unreachable(err))?;
        let subject = self.subjects.group_tails(channel, source);
        match stream.get_last_raw_message_by_subject(&subject).await {
            Ok(stored) => Ok((read(&subject, &stored.payload)?, stored.sequence)),
            Err(err) if err.kind() == LastRawMessageErrorKind::NoMessageFound => {
                Ok((GroupTails::default(), 0))
            }
            Err(err) => Err(self.unreachable(err)),
        }
    }

    /// Lets no group's lane have the node as a member any more: its next life begins with lanes of its own.
    ///
    /// # Errors
    /// [`BusError::Unreachable`], [`BusError::Malformed`].
    pub(crate) async fn forget_member(&self, node: &NodeId) -> Result<(), BusError> {
        let (stream, subject) = (self.subjects.lanes_stream(), self.subjects.all_group_tails());
        let mut from = 1;
        while let Some(stored) = self.next_stored(stream.clone(), &subject, from).await? {
            from = stored.sequence + 1;
            let mut tails = read(&stored.subject, &stored.payload)?;
            let members = tails.groups.values_mut();
            let removed = members.fold(false, |removed, tail| {
                tail.joined.remove(node);
                tail.members.remove(node).is_some() || removed
            });
            if removed {
                match self
                    .write_group_tails(stored.subject.to_string(), &tails, stored.sequence)
                    .await
                {
                    // What a router wrote meanwhile stands behind, and is looked at there.
                    Ok(_) | Err(BusError::Fenced { .. }) => {}
                    Err(err) => return Err(err),
                }
            }
        }
        Ok(())
    }

    /// Writes where they end over the version that was read, and returns the new version.
    ///
    /// # Errors
    /// [`BusError::Fenced`] when another router wrote it meanwhile; [`BusError::Unreachable`] when it is not known whether
    /// it was written (read it again); [`BusError::Malformed`] when it can not be encoded.
    pub async fn set_group_tails(
        &self,
        source: &NodeId,
        channel: &ChannelId,
        tails: &GroupTails,
        revision: u64,
    ) -> Result<u64, BusError> {
        let subject = self.subjects.group_tails(channel, source);
        self.write_group_tails(subject, tails, revision).await
    }

    async fn write_group_tails(
        &self,
        subject: String,
        tails: &GroupTails,
        revision: u64,
    ) -> Result<u64, BusError> {
        let body = crate::lane::encode(&subject, &Message::GroupTails(tails.clone()))?;
        let last = tails.groups.values().map(|tail| tail.batch_id).max();
        let mut headers = HeaderMap::new();
        headers.insert("Sym-Batch", last.unwrap_or(0).to_string());
        headers.insert("Sym-Encoding", symstream_shared::wire::ENCODING);
        headers.insert(
            async_nats::header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE,
            revision.to_string(),
        );
        let unknown = |err: PublishError| match err.kind() {
            PublishErrorKind::WrongLastSequence => BusError::Fenced {
                subject: subject.clone(),
                found: "ends written by another router".to_owned(),
                wanted: format!("revision {revision}"),
            },
            _ => self.unreachable(err),
        };
        let ack = self
            .publishing
            .publish_with_headers(subject.clone(), headers, body)
            .await
            .map_err(unknown)?
            .await
            .map_err(unknown)?;
        Ok(ack.sequence)
    }

    /// Puts one message into a group's lane and returns when it is stored. Stored twice it does no harm; its id keeps a
    /// repetition out that comes soon.
    ///
    /// # Errors
    /// [`BusError::Malformed`] when the header names no group or the body is larger than the server takes; everything
    /// else is waited out.
    pub async fn publish_group(&self, header: &PartHeader, body: Vec<u8>) -> Result<(), BusError> {
        let group = header.group.as_ref().ok_or_else(|| BusError::Malformed {
            subject: "a group's lane".to_owned(),
            message: "its header names no group".to_owned(),
        })?;
        let subject = self.subjects.group(group, &header.channel, &header.source);
        let mut headers = header.to_map();
        let id = format!(
            "{}/{}/{}/{}.{}",
            token(group.as_str()),
            token(header.source.as_str()),
            token(header.channel.as_str()),
            header.batch_id,
            header.part
        );
        headers.insert(async_nats::header::NATS_MESSAGE_ID, id);
        self.publish_until_stored(subject, headers, Bytes::from(body))
            .await
    }

    /// What groups get of a channel as a whole, as the consumer of one of their nodes has it.
    pub fn group_deliveries(&self, node: &NodeId, channel: &ChannelId) -> Deliveries {
        self.deliveries(
            self.subjects.group_stream(),
            Subjects::group_consumer(node, channel),
            true,
        )
    }

    /// Makes a node's consumers of its group's lanes, or brings them up to date. Where one exists, it goes on from where it
    /// is. Removes none. Safe to repeat.
    ///
    /// # Errors
    /// [`BusError`] when JetStream refuses or can not be reached.
    pub async fn ensure_group_consumers(
        &self,
        node: &NodeId,
        consumers: &[GroupConsumer],
    ) -> Result<(), BusError> {
        for consumer in consumers {
            self.ensure_group_consumer(node, consumer).await?;
        }
        Ok(())
    }

    async fn ensure_group_consumer(&self, node: &NodeId, wanted: &GroupConsumer) -> Result<(), BusError> {
        let stream = self.subjects.group_stream();
        let name = Subjects::group_consumer(node, &wanted.channel);
        let refused =
            |err: &dyn std::fmt::Display| BusError::refused(format!("consumer {name} on {stream}"), err);
        let existing: Option<PullConsumer> =
            match self.jetstream.get_consumer_from_stream(&name, &stream).await {
                Ok(consumer) => Some(consumer),
                Err(err) => match err.kind() {
                    ConsumerErrorKind::JetStream(code)
                        if code.error_code() == async_nats::jetstream::ErrorCode::CONSUMER_NOT_FOUND =>
                    {
                        None
                    }
                    _ => return Err(refused(&err)),
                },
            };
        // Where a consumer began can not be changed any more, and is behind it.
        let deliver_policy = match existing {
            Some(consumer) => consumer.cached_info().config.deliver_policy,
            None => {
                let since_ms = i128::from(wanted.registered_ms) - CLOCKS_APART.as_millis() as i128;
                let start_time = async_nats::datetime::from_nanos(since_ms.max(0) * 1_000_000)
                    .map_err(|err| refused(&err))?;
                DeliverPolicy::ByStartTime { start_time }
            }
        };
        let config = pull::Config {
            durable_name: Some(name.clone()),
            filter_subject: self.subjects.group_channel(&wanted.group, &wanted.channel),
            deliver_policy,
            ack_policy: AckPolicy::Explicit,
            ack_wait: AGENT_ACK_WAIT,
            max_ack_pending: i64::try_from(wanted.max_ack_pending).unwrap_or(i64::MAX).max(1),
            max_deliver: -1,
            ..pull::Config::default()
        };
        self.jetstream
            .create_consumer_on_stream(config, &stream)
            .await
            .map(drop)
            .map_err(|err| refused(&err))
    }
}

fn read(subject: &str, body: &[u8]) -> Result<GroupTails, BusError> {
    let malformed = |message: String| BusError::Malformed {
        subject: subject.to_owned(),
        message,
    };
    match Message::decode(body).map_err(|err| malformed(err.to_string()))? {
        Message::GroupTails(tails) => Ok(tails),
        _ => Err(malformed("it holds something else than ends of lanes".to_owned())),
    }
}
