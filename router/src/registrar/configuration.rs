//! Publishing the configuration: every edit of the tables, also by plain SQL, reaches the nodes.

use super::news::News;
use super::version::{self, Current};
use super::{Registrar, in_time};
use crate::error::Error;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;
use symstream_nats::{BusError, GroupConsumer, LaneConsumer};
use symstream_shared::db::{DbError, TxKind};
use symstream_shared::id::{ChannelId, GroupId, NodeId};
use symstream_shared::model::{Config, LinkAction, ModelError};
use symstream_shared::retry::Disposition;
use symstream_shared::wire::Configuration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How often the tables are read.
const POLL: Duration = Duration::from_secs(1);
/// How often NATS is asked whether it still has what was published.
const CHECK: Duration = Duration::from_secs(10);
/// How often the streams are made again, where somebody deleted one.
const STREAMS: Duration = Duration::from_secs(60);
/// How often all nodes' consumers are made again. There may be tens of thousands.
const CONSUMERS: Duration = Duration::from_secs(300);
/// `max_batch_to_send` of initial loads where `sym_channel` has no row for them.
const RELOAD_BATCHES_TO_SEND: u64 = 60;

/// Why the configuration could not be brought out this time.
#[derive(Debug, thiserror::Error)]
enum PublishError {
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Bus(#[from] BusError),
}

impl From<DbError> for PublishError {
    fn from(err: DbError) -> Self {
        Self::Model(err.into())
    }
}

/// What this process knows to be in NATS.
#[derive(Default)]
struct Published {
    /// When each stream was made.
    streams: Vec<i128>,
    streams_checked: Option<Instant>,
    /// The nodes whose consumers were made: those of their lanes, and how many messages each may hold unacknowledged.
    consumers: HashMap<NodeId, HashMap<(ChannelId, LinkAction), u64>>,
    /// Those of its group's lanes.
    group_consumers: HashMap<NodeId, HashSet<GroupConsumer>>,
    consumers_checked: Option<Instant>,
    version: i64,
    version_checked: Option<Instant>,
}

fn is_due(checked: Option<Instant>, interval: Duration) -> bool {
    checked.is_none_or(|checked| checked.elapsed() >= interval)
}

/// Publishes the configuration whenever it changed, and again where NATS lost it, until asked to stop.
///
/// # Errors
/// [`Error::Database`] when the database refuses the login.
pub(super) async fn run(registrar: Registrar, shutdown: CancellationToken) -> Result<(), Error> {
    let mut published = Published::default();
    let mut trouble = String::new();
    loop {
        match registrar.publish(&mut published).await {
            Ok(()) => trouble.clear(),
            Err(PublishError::Model(ModelError::Database(err))) if err.disposition == Disposition::Fatal => {
                return Err(err.into());
            }
            Err(err) => {
                let message = err.to_string();
                if message != trouble {
                    registrar.report(&err).await;
                    trouble = message;
                }
            }
        }
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return Ok(()),
            () = tokio::time::sleep(POLL) => {}
        }
    }
}

impl Registrar {
    async fn report(&self, err: &PublishError) {
        match err {
            PublishError::Model(ModelError::Database(err)) => {
                tracing::warn!(error = %err, "the configuration can not be read now; trying again");
            }
            PublishError::Model(err) => {
                // Another router may have brought it out, or this one before it was started again.
                let version = in_time(self.version_in_force()).await.ok();
                tracing::error!(error = %err, version, "the configuration is not valid; this version stays in force");
            }
            PublishError::Bus(err) => {
                tracing::warn!(error = %err, "the configuration can not be published now; trying again");
            }
        }
    }

    async fn version_in_force(&self) -> Result<i64, ModelError> {
        let mut conn = self.database.conn().await?;
        Ok(version::in_force(&mut conn, &self.tables).await?)
    }

    /// Reads the configuration and stores a new version when it changed.
    async fn current(&self) -> Result<Current, ModelError> {
        let mut tx = self.database.begin(TxKind::ReadOnly).await?;
        let current = version::read(&mut tx, &self.tables).await?;
        tx.rollback().await?;
        if !current.is_new {
            return Ok(current);
        }
        let mut tx = self.database.begin(TxKind::Snapshot).await?;
        let current = version::read(&mut tx, &self.tables).await?;
        version::store(&mut tx, &self.tables, &current).await?;
        tx.commit().await?;
        Ok(current)
    }

    async fn publish(&self, published: &mut Published) -> Result<(), PublishError> {
        if is_due(published.streams_checked, STREAMS) {
            self.ensure_streams(published).await?;
        }
        let current = in_time(self.current()).await?;
        let version = current.configuration.version;
        if version == published.version && !is_due(published.version_checked, CHECK) {
            return Ok(());
        }
        let stored = self.bus.latest_configuration(self.engine.server()).await?;
        if stored.is_none() && published.version > 0 {
            tracing::warn!("nats has lost the configuration; making the streams again");
            self.ensure_streams(published).await?;
        }
        if published.consumers_checked.is_none() {
            published.consumers_checked = Some(Instant::now());
        }
        self.ensure_consumers(&current, published).await?;
        // A router that slept may have published an older version after a newer one.
        if stored.as_ref().is_none_or(|stored| stored.version != version) {
            self.publish_version(stored.as_ref(), &current.configuration)
                .await?;
        }
        published.version = version;
        published.version_checked = Some(Instant::now());
        // Behind the version, which need not wait for so many.
        if is_due(published.consumers_checked, CONSUMERS) {
            published.consumers.clear();
            published.group_consumers.clear();
            self.ensure_consumers(&current, published).await?;
            published.consumers_checked = Some(Instant::now());
        }
        Ok(())
    }

    async fn ensure_streams(&self, published: &mut Published) -> Result<(), BusError> {
        let streams = self.bus.ensure_streams().await?;
        if streams != published.streams {
            // A stream that was made again has no consumers, nor versions.
            *published = Published {
                streams,
                ..Published::default()
            };
        }
        published.streams_checked = Some(Instant::now());
        Ok(())
    }

    /// The nodes' consumers come before the configuration that tells them to use them.
    async fn ensure_consumers(&self, current: &Current, published: &mut Published) -> Result<(), BusError> {
        let mut group_channels = HashMap::new();
        for node in &current.config.registered {
            let key = |lane: &LaneConsumer| (lane.channel.clone(), lane.action);
            let made = published.consumers.get(node);
            let mut missing = lane_consumers(&current.config, node);
            missing.retain(|lane| made.and_then(|made| made.get(&key(lane))) != Some(&lane.max_ack_pending));
            let mut groups = group_consumers(&current.config, node, &mut group_channels);
            let of_groups = published.group_consumers.get(node);
            groups.retain(|wanted| of_groups.is_none_or(|made| !made.contains(wanted)));
            if !groups.is_empty() {
                self.bus.ensure_group_consumers(node, &groups).await?;
                let made = published.group_consumers.entry(node.clone()).or_default();
                made.extend(groups);
            }
            // A node that nobody sends to still hears what became of its own batches.
            if made.is_none() || !missing.is_empty() {
                self.bus.ensure_node(node, &missing).await?;
                let made = published.consumers.entry(node.clone()).or_default();
                made.extend(missing.iter().map(|lane| (key(lane), lane.max_ack_pending)));
            }
        }
        Ok(())
    }

    /// Makes a node's consumers, whatever this process thinks to have made.
    pub(super) async fn ensure_consumers_of(&self, config: &Config, node: &NodeId) -> Result<(), BusError> {
        self.bus.ensure_node(node, &lane_consumers(config, node)).await?;
        let groups = group_consumers(config, node, &mut HashMap::new());
        self.bus.ensure_group_consumers(node, &groups).await
    }

    /// Publishes a version in place of the one before, which NATS has as long as it lost nothing.
    pub(super) async fn publish_version(
        &self,
        before: Option<&Configuration>,
        configuration: &Configuration,
    ) -> Result<(), BusError> {
        self.bus
            .publish_configuration(self.engine.server(), configuration)
            .await?;
        tracing::info!(version = configuration.version, "published the configuration");
        News::between(before, configuration).log();
        Ok(())
    }
}

/// The consumers that a node needs: for every channel and its initial loads, by each kind of link into its group.
fn lane_consumers(config: &Config, node: &NodeId) -> Vec<LaneConsumer> {
    let Some(node) = config.nodes.get(node) else {
        return Vec::new();
    };
    let into_group = config.links.values().filter(|link| link.target == node.group);
    let actions: BTreeSet<LinkAction> = into_group.map(|link| link.action).collect();
    let mut channels: BTreeMap<ChannelId, u64> = config
        .channels
        .values()
        .map(|channel| (channel.channel_id.clone(), channel.max_batch_to_send))
        .collect();
    channels
        .entry(ChannelId::reload())
        .or_insert(RELOAD_BATCHES_TO_SEND);
    let lanes = channels.iter().flat_map(|(channel, max_ack_pending)| {
        actions.iter().map(|action| LaneConsumer {
            channel: channel.clone(),
            action: *action,
            max_ack_pending: *max_ack_pending,
        })
    });
    lanes.collect()
}

/// The consumers that a node needs of its group's lanes. `channels` keeps which channels a group may have those of.
fn group_consumers(
    config: &Config,
    node: &NodeId,
    channels: &mut HashMap<GroupId, BTreeSet<ChannelId>>,
) -> Vec<GroupConsumer> {
    let Some(node) = config.nodes.get(node) else {
        return Vec::new();
    };
    let channels = channels
        .entry(node.group.clone())
        .or_insert_with(|| config.group_channels(&node.group));
    let registered_ms = config.registration_ms.get(&node.node_id).copied();
    let consumers = channels.iter().filter_map(|channel| {
        Some(GroupConsumer {
            group: node.group.clone(),
            channel: channel.clone(),
            max_ack_pending: config.channels.get(channel)?.max_batch_to_send,
            registered_ms: registered_ms.unwrap_or(0),
        })
    });
    consumers.collect()
}
