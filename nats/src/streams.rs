//! Streams and durable consumers. Only the registration server's side makes them; everybody else finds them.

use crate::bus::Bus;
use crate::error::BusError;
use crate::subject::Subjects;
use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType, SubjectTransform};
use std::time::Duration;
use symstream_shared::id::{ChannelId, NodeId};
use symstream_shared::model::LinkAction;

/// Into how many partitions captured batches are spread for the routers.
pub const PARTITION_COUNT: u32 = 16;
/// After how long another router gets the message of one that died or froze.
const ROUTER_ACK_WAIT: Duration = Duration::from_secs(5);
/// After how long an agent gets a message again that it did not acknowledge.
pub(crate) const AGENT_ACK_WAIT: Duration = Duration::from_secs(30);
/// Messages that a recorder may hold unacknowledged; order does not depend on it.
const RECORDER_ACK_PENDING: u64 = 64;
/// More consumers than any deployment has; without it nats-server 2.15 stops at 1,000 (fact 8).
const CONSUMERS_MAX: i32 = 100_000;
/// How long captured batches stay for replays by the router; the source has them until all targets do.
const CAPTURE_AGE_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long batches for groups stay for nodes that are away.
const GROUP_AGE_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// A consumer that a node needs: for the batches of one channel that reach it by links of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LaneConsumer {
    /// The channel; `reload` for initial loads.
    pub channel: ChannelId,
    /// The links' kind.
    pub action: LinkAction,
    /// How many messages the loader may hold unacknowledged (`sym_channel.max_batch_to_send`); at least 1.
    pub max_ack_pending: u64,
}

impl Bus {
    /// Makes the streams and the routers' consumers, or brings them up to date. Safe to repeat and to run in
    /// several routers at once. Returns when each stream was made, in nanoseconds since 1970: a stream that was made
    /// again lost its consumers.
    ///
    /// # Errors
    /// [`BusError`] when JetStream refuses or can not be reached.
    pub async fn ensure_streams(&self) -> Result<Vec<i128>, BusError> {
        let subjects = &self.subjects;
        let log = |name: String, subjects: Vec<String>| Config {
            name,
            subjects,
            retention: RetentionPolicy::Limits,
            discard: DiscardPolicy::New,
            storage: StorageType::File,
            allow_direct: true,
            max_consumers: CONSUMERS_MAX,
            ..Config::default()
        };
        let queue = |name: String, subjects: Vec<String>| Config {
            retention: RetentionPolicy::WorkQueue,
            ..log(name, subjects)
        };
        let streams = [
            Config {
                max_age: CAPTURE_AGE_MAX,
                duplicate_window: Duration::from_secs(120),
                subject_transform: Some(SubjectTransform {
                    source: subjects.capture_filter(),
                    destination: subjects.captured_transform(PARTITION_COUNT),
                }),
                ..log(subjects.capture_stream(), vec![subjects.capture_filter()])
            },
            queue(subjects.node_stream(), subjects.all_nodes()),
            Config {
                max_age: GROUP_AGE_MAX,
                duplicate_window: Duration::from_secs(120),
                ..log(subjects.group_stream(), vec![subjects.all_groups()])
            },
            Config {
                max_messages_per_subject: 1,
                discard: DiscardPolicy::Old,
                ..log(
                    subjects.lanes_stream(),
                    vec![subjects.all_tails(), subjects.all_holds()],
                )
            },
            queue(subjects.routed_stream(), vec![subjects.all_routed()]),
            queue(subjects.status_stream(), vec![subjects.all_statuses()]),
            Config {
                max_messages_per_subject: 1,
                max_messages: 1000,
                discard: DiscardPolicy::Old,
                ..log(
                    subjects.configuration_stream(),
                    vec![subjects.all_configurations()],
                )
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

    /// Makes the consumers that a registered node needs, or brings them up to date: these, and its recorder's two.
    /// Removes none. Safe to repeat.
    ///
    /// # Errors
    /// [`BusError`] when JetStream refuses or can not be reached.
    pub async fn ensure_node(&self, node: &NodeId, lanes: &[LaneConsumer]) -> Result<(), BusError> {
        let subjects = &self.subjects;
        for lane in lanes {
            self.ensure_consumer(
                &subjects.node_stream(),
                Subjects::lane_consumer(node, &lane.channel, lane.action),
                subjects.node_channel(node, &lane.channel, lane.action),
                AGENT_ACK_WAIT,
                lane.max_ack_pending,
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
                RECORDER_ACK_PENDING,
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
        max_ack_pending: u64,
    ) -> Result<(), BusError> {
        let config = pull::Config {
            durable_name: Some(name.clone()),
            filter_subject: filter,
            ack_policy: AckPolicy::Explicit,
            ack_wait,
            // 0 would be the server's default, and below it no limit.
            max_ack_pending: i64::try_from(max_ack_pending).unwrap_or(i64::MAX).max(1),
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
