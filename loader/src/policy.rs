//! What the loader follows: whether, when and in which order it takes batches, by the node's own `sym_` tables.
//!
//! One look serves all channels; [`crate::agent`] repeats it about every second and hands it to the channels' tasks.

use std::collections::{BTreeMap, BTreeSet};
use symstream_shared::db::{Database, DbError, Sql};
use symstream_shared::engine::Engine;
use symstream_shared::id::{ChannelId, NodeId};
use symstream_shared::model::{self, LinkAction, ModelError};
use symstream_shared::parameter::Parameters;
use symstream_shared::retry::Disposition;
use symstream_shared::schema::Tables;

/// The state that holds the configuration's version in the node's own tables.
const CONFIG_VERSION: &str = "config_version";

/// What the node's tables say now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Policy {
    /// Whether the tables say what the registration server says now ([`crate::freshness`]).
    pub settled: bool,
    /// `sym_node.sync_enabled` of the node itself; true while it has no such row.
    pub node_enabled: bool,
    /// The configured channels, those that something is left of, and `reload`.
    pub channels: BTreeMap<ChannelId, ChannelPolicy>,
    /// How links into the node's group deliver (`data_event_action`).
    pub links: BTreeSet<LinkAction>,
    /// The channels of which the node's group may get what is the same for all of its nodes.
    pub group_channels: BTreeSet<ChannelId>,
    /// The parameters in force.
    pub parameters: Parameters,
    /// Whether the node's tables were among what they were read from.
    pub parameters_read: bool,
}

/// What they say of one channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ChannelPolicy {
    /// `processing_order`; `None` for a channel that is not configured (any more), and for initial loads: such a channel
    /// waits for no other one, and none for it.
    pub order: Option<i64>,
    /// `sym_channel.enabled`
    pub enabled: bool,
    /// `sym_node_channel_ctl.suspend_enabled` for the node itself.
    pub suspended: bool,
    /// Whether an operator passes over a statement that holds one of its lanes: that takes effect at once.
    pub passing_over: bool,
}

/// Why a channel's batches are not taken. They wait in JetStream and in the spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pause {
    /// What the registration server says now has not come yet.
    Configuration,
    /// The node is disabled.
    Node,
    /// The channel is disabled.
    Channel,
    /// The channel is suspended at this node.
    Suspended,
}

impl Pause {
    /// For the log.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Configuration => "the newest configuration is not here yet",
            Self::Node => "sync_enabled of the node is 0",
            Self::Channel => "enabled of the channel is 0",
            Self::Suspended => "suspend_enabled is set for the channel at this node",
        }
    }
}

impl ChannelPolicy {
    /// For a channel that no table names.
    const UNKNOWN: Self = Self {
        order: None,
        enabled: true,
        suspended: false,
        passing_over: false,
    };
}

/// Reads it again and again.
pub(crate) struct Look<'a> {
    database: &'a Database,
    tables: &'a Tables,
    engine: &'a Engine,
    node: &'a NodeId,
    /// The parameters that were in force last.
    parameters: Parameters,
    parameters_read: bool,
    /// What was said about wrong ones.
    told: Option<String>,
    /// [`Policy::group_channels`] by a version of the configuration.
    group_channels: (i64, BTreeSet<ChannelId>),
}

impl<'a> Look<'a> {
    /// For one node.
    pub(crate) fn new(
        database: &'a Database,
        tables: &'a Tables,
        engine: &'a Engine,
        node: &'a NodeId,
    ) -> Self {
        Self {
            database,
            tables,
            engine,
            node,
            parameters: Parameters::of(engine),
            parameters_read: false,
            told: None,
            group_channels: (0, BTreeSet::new()),
        }
    }

    /// What the tables say now. Where a parameter's value is wrong, those stay in force that were before.
    ///
    /// # Errors
    /// [`DbError`] as the database says.
    pub(crate) async fn read(&mut self, settled: bool) -> Result<Policy, DbError> {
        let mut conn = self.database.conn().await?;
        match Parameters::read(&mut conn, self.tables, self.engine).await {
            Ok(parameters) => {
                self.parameters = parameters;
                self.parameters_read = true;
                self.told = None;
            }
            Err(err) if err.disposition == Disposition::Hold => {
                if self.told.as_ref() != Some(&err.message) {
                    tracing::warn!(node_id = %self.node, error = %err, "the loader's parameters stay as they were");
                    self.told = Some(err.message);
                }
            }
            Err(err) => return Err(err),
        }
        self.read_group_channels(&mut conn).await?;
        Ok(Policy {
            settled,
            node_enabled: node_enabled(&mut conn, self.tables, self.node).await?,
            channels: channels(&mut conn, self.tables, self.node).await?,
            links: links(&mut conn, self.tables, self.node).await?,
            group_channels: self.group_channels.1.clone(),
            parameters: self.parameters.clone(),
            parameters_read: self.parameters_read,
        })
    }

    /// Follows from the configuration as a whole, so it is found out once for each version. What is not valid never was
    /// adopted; a version that is adopted meanwhile is read at the next look.
    async fn read_group_channels(&mut self, sql: &mut dyn Sql) -> Result<(), DbError> {
        let version = model::state_number(sql, self.tables, CONFIG_VERSION)
            .await?
            .unwrap_or(0);
        if version == self.group_channels.0 {
            return Ok(());
        }
        match model::local_configuration(sql, self.tables).await {
            Ok(config) => {
                let group = config.nodes.get(self.node).map(|node| &node.group);
                let channels = group
                    .map(|group| config.group_channels(group))
                    .unwrap_or_default();
                self.group_channels = (config.version, channels);
                Ok(())
            }
            Err(ModelError::Database(err)) => Err(err),
            Err(err) => {
                tracing::debug!(node_id = %self.node, error = %err, "what the group gets is not known yet");
                Ok(())
            }
        }
    }
}

impl Policy {
    /// Before the first look: no channel is known, so nothing is taken.
    pub(crate) fn unknown(engine: &Engine) -> Self {
        Self {
            settled: false,
            node_enabled: false,
            channels: BTreeMap::new(),
            links: BTreeSet::new(),
            group_channels: BTreeSet::new(),
            parameters: Parameters::of(engine),
            parameters_read: false,
        }
    }

    /// What holds for a channel.
    pub(crate) fn channel(&self, channel: &ChannelId) -> ChannelPolicy {
        let known = self.channels.get(channel).copied();
        known.unwrap_or(ChannelPolicy::UNKNOWN)
    }

    /// Why the channel's batches are not taken now; `None` when they are.
    pub(crate) fn pause(&self, channel: &ChannelId) -> Option<Pause> {
        let of = self.channel(channel);
        if !self.settled {
            Some(Pause::Configuration)
        } else if !self.node_enabled {
            Some(Pause::Node)
        } else if !of.enabled {
            Some(Pause::Channel)
        } else if of.suspended {
            Some(Pause::Suspended)
        } else {
            None
        }
    }
}

async fn node_enabled(sql: &mut dyn Sql, tables: &Tables, node: &NodeId) -> Result<bool, DbError> {
    let question = format!(
        "select sync_enabled from {} where node_id = ?",
        tables.name("node")
    );
    match sql.query_opt(&question, &[node.as_str().into()]).await? {
        Some(row) => Ok(row.opt_int(0)?.unwrap_or(0) != 0),
        None => Ok(true),
    }
}

async fn channels(
    sql: &mut dyn Sql,
    tables: &Tables,
    node: &NodeId,
) -> Result<BTreeMap<ChannelId, ChannelPolicy>, DbError> {
    let mut channels = BTreeMap::from([(ChannelId::reload(), ChannelPolicy::UNKNOWN)]);
    let id = |text: String| ChannelId::new(text).map_err(|err| DbError::unexpected(err.to_string()));
    let left = format!(
        "select channel_id, max(case when statement_batch_id = 0 then 1 else 0 end) from {} group by channel_id",
        tables.name("incoming_lane")
    );
    for row in sql.query(&left, &[]).await? {
        let policy = ChannelPolicy {
            passing_over: row.int(1)? != 0,
            ..ChannelPolicy::UNKNOWN
        };
        channels.insert(id(row.text(0)?)?, policy);
    }
    let configured = format!(
        "select channel_id, processing_order, enabled from {}",
        tables.name("channel")
    );
    for row in sql.query(&configured, &[]).await? {
        let policy = channels
            .entry(id(row.text(0)?)?)
            .or_insert(ChannelPolicy::UNKNOWN);
        policy.order = Some(row.opt_int(1)?.unwrap_or(1));
        policy.enabled = row.opt_int(2)?.unwrap_or(1) != 0;
    }
    let suspended = format!(
        "select channel_id from {} where node_id = ? and suspend_enabled <> 0",
        tables.name("node_channel_ctl")
    );
    for row in sql.query(&suspended, &[node.as_str().into()]).await? {
        let policy = channels.entry(id(row.text(0)?)?);
        policy.or_insert(ChannelPolicy::UNKNOWN).suspended = true;
    }
    Ok(channels)
}

async fn links(sql: &mut dyn Sql, tables: &Tables, node: &NodeId) -> Result<BTreeSet<LinkAction>, DbError> {
    let question = format!(
        "select distinct l.data_event_action from {} l join {} n on n.node_group_id = l.target_node_group_id \
         where n.node_id = ?",
        tables.name("node_group_link"),
        tables.name("node")
    );
    let rows = sql.query(&question, &[node.as_str().into()]).await?;
    rows.iter()
        .map(|row| {
            Ok(match row.opt_text(0)?.as_deref() {
                Some("P") => LinkAction::Push,
                _ => LinkAction::WaitForPull,
            })
        })
        .collect()
}
