//! Streams and durable consumers. Only the registration server's side makes them; everybody else finds them.

use crate::bus::Bus;
use crate::error::BusError;
use crate::subject::Subjects;
use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType, SubjectTransform};
use std::time::Duration;
use symstream_shared::id::{ChannelId, NodeId};

/// Into how many partitions captured batches are spread for the routers.
pub const PARTITION_COUNT: u32 = 16;
/// After how long another router gets the message of one that died or froze.
const ROUTER_ACK_WAIT: Duration = Duration::from_secs(5);
/// After how long an agent gets a message again that it did not acknowledge.
const AGENT_ACK_WAIT: Duration = Duration::from_secs(30);
/// Messages that an agent may hold unacknowledged; order does not depend on it.
const AGENT_ACK_PENDING: i64 = 64;
/// More consumers than any deployment has; without it nats-server 2.15 stops at 1,000 (fact 8).
const CONSUMERS_MAX: i32 = 100_000;
/// How long captured batches stay for replays by the router; the source has them until all targets do.
const CAPTURE_AGE_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

impl Bus {
    /// Makes the streams and the routers' consumers, or brings them up to date. Safe to repeat and to run in
    /// several routers at once. Returns when each stream was made, in nanoseconds since 1970: a stream that was made
    /// again lost its consumers.
    ///
    /// # Errors
    /// [`BusError`] when JetStream refuses or can not be reached.
    pub async fn ensure_streams(&self) -> Result<Vec<i128>, BusError> {
        let subjects = &self.subjects;
        let log = |name: String, subject: String| Config {
            name,
            subjects: vec![subject],
            retention: RetentionPolicy::Limits,
            discard: DiscardPolicy::New,
            storage: StorageType::File,
            allow_direct: true,
            max_consumers: CONSUMERS_MAX,
            ..Config::default()
        };
        let queue = |name: String, subject: String| Config {
            retention: RetentionPolicy::WorkQueue,
            ..log(name, subject)
        };
        let streams = [
            Config {
                max_age: CAPTURE_AGE_MAX,
                duplicate_window: Duration::from_secs(120),
                subject_transform: Some(SubjectTransform {
                    source: subjects.capture_filter(),
                    destination: subjects.captured_transform(PARTITION_COUNT),
                }),
                ..log(subjects.capture_stream(), subjects.capture_filter())
            },
            queue(subjects.node_stream(), subjects.all_nodes()),
            Config {
                max_messages_per_subject: 1,
                discard: DiscardPolicy::Old,
                subjects: vec![subjects.all_tails(), subjects.all_holds()],
                ..log(subjects.lanes_stream(), subjects.all_tails())
            },
            queue(subjects.routed_stream(), subjects.all_routed()),
            queue(subjects.status_stream(), subjects.all_statuses()),
            Config {
                max_messages_per_subject: 1,
                max_messages: 1000,
                discard: DiscardPolicy::Old,
                ..log(subjects.configuration_stream(), subjects.all_configurations())
            },
        ];
        let mut created = Vec::with_capacity(streams.len());
        for config in streams {
            let name = config.name.clone();
            let info = self
                .jetstream
                .create_or_update_stream(config)
                .await
                .map_err(|err| BusError::refused(format!("stream {name}"), err))?;
            created.push(info.created.unix_timestamp_nanos());
        }
        for partition in 0..PARTITION_COUNT {
            self.ensure_consumer(
                &subjects.capture_stream(),
                Subjects::router_consumer(partition),
                subjects.captured_partition(partition),
                ROUTER_ACK_WAIT,
                1,
            )
            .await?;
        }
        Ok(created)
    }

    /// Makes the consumers that a registered node needs: one for each channel and for its initial loads, and
    /// its recorder's two. Safe to repeat.
    ///
    /// # Errors
    /// [`BusError`] when JetStream refuses or can not be reached.
    pub async fn ensure_node(&self, node: &NodeId, channels: &[ChannelId]) -> Result<(), BusError> {
        let subjects = &self.subjects;
        let reload = ChannelId::reload();
        for channel in channels.iter().chain([&reload]) {
            self.ensure_consumer(
                &subjects.node_stream(),
                Subjects::lane_consumer(node, channel),
                subjects.node_channel(node, channel),
                AGENT_ACK_WAIT,
                AGENT_ACK_PENDING,
            )
            .await?;
        }
        let recorder = Subjects::recorder_consumer(node);
        for (stream, filter) in [
            (subjects.routed_stream(), subjects.routed_source(node)),
            (subjects.status_stream(), subjects.status_source(node)),
        ] {
            self.ensure_consumer(
                &stream,
                recorder.clone(),
                filter,
                AGENT_ACK_WAIT,
                AGENT_ACK_PENDING,
            )
            .await?;
        }
        Ok(())
    }

    async fn ensure_consumer(
        &self,
        stream: &str,
        name: String,
        filter: String,
        ack_wait: Duration,
        max_ack_pending: i64,
    ) -> Result<(), BusError> {
        let config = pull::Config {
            durable_name: Some(name.clone()),
            filter_subject: filter,
            ack_policy: AckPolicy::Explicit,
            ack_wait,
            max_ack_pending,
            max_deliver: -1,
            ..pull::Config::default()
        };
        self.jetstream
            .create_consumer_on_stream(config, stream)
            .await
            .map(drop)
            .map_err(|err| BusError::refused(format!("consumer {name} on {stream}"), err))
    }
}
