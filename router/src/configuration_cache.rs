//! The configurations that batches name, by version.

use crate::error::RouteError;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use symstream_nats::Bus;
use symstream_shared::id::{ChannelId, EngineName, GroupId};
use symstream_shared::model::Config;

/// Versions kept: sources adopt a new one within seconds, so batches name two or three at a time.
const VERSIONS_MAX: usize = 8;
/// How long to wait for a version that is not in NATS yet: at the registration server, capture may use one
/// before it is published.
const PATIENCE: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// The groups of which all nodes get the same, by channel.
type UniformGroups = BTreeMap<ChannelId, BTreeSet<GroupId>>;

/// A configuration with what follows from it and is asked for with each batch.
pub(crate) struct KnownConfig {
    config: Config,
    /// By the group of the source. Locked for a look only.
    uniform: Mutex<HashMap<GroupId, Arc<UniformGroups>>>,
}

impl KnownConfig {
    pub(crate) fn new(config: Config) -> Self {
        Self {
            config,
            uniform: Mutex::default(),
        }
    }

    /// [`Config::uniform_groups`]
    pub(crate) fn uniform_groups_from(&self, source: &GroupId) -> Arc<UniformGroups> {
        let mut known = self.uniform.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .entry(source.clone())
            .or_insert_with(|| Arc::new(self.config.uniform_groups(source)))
            .clone()
    }
}

impl Deref for KnownConfig {
    type Target = Config;

    fn deref(&self) -> &Config {
        &self.config
    }
}

/// Configurations by version, the last used ones in memory. A version never changes.
pub(crate) struct ConfigurationCache {
    bus: Bus,
    server: EngineName,
    /// The last used one in front. Locked for a look only, never while waiting.
    recent: Mutex<VecDeque<Arc<KnownConfig>>>,
}

impl ConfigurationCache {
    pub(crate) fn new(bus: Bus, server: EngineName) -> Self {
        Self {
            bus,
            server,
            recent: Mutex::default(),
        }
    }

    /// The configuration of exactly this version.
    ///
    /// # Errors
    /// [`RouteError::NoConfiguration`] when it does not come within [`PATIENCE`],
    /// [`RouteError::Configuration`] when it can not be used.
    pub(crate) async fn get(&self, version: i64) -> Result<Arc<KnownConfig>, RouteError> {
        if let Some(config) = self.recall(version) {
            return Ok(config);
        }
        let until = tokio::time::Instant::now() + PATIENCE;
        loop {
            if let Some(configuration) = self.bus.configuration(&self.server, version).await? {
                let config = Config::from_wire(&configuration)
                    .map_err(|source| RouteError::Configuration { version, source })?;
                return Ok(self.remember(config));
            }
            if tokio::time::Instant::now() >= until {
                return Err(RouteError::NoConfiguration(version));
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// The newest version there is; 0 where there is none.
    ///
    /// # Errors
    /// [`RouteError::Bus`].
    pub(crate) async fn latest_version(&self) -> Result<i64, RouteError> {
        let latest = self.bus.latest_configuration(&self.server).await?;
        Ok(latest.map_or(0, |configuration| configuration.version))
    }

    fn recall(&self, version: i64) -> Option<Arc<KnownConfig>> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let at = recent.iter().position(|config| config.version == version)?;
        let config = recent.remove(at)?;
        recent.push_front(config.clone());
        Some(config)
    }

    fn remember(&self, config: Config) -> Arc<KnownConfig> {
        let config = Arc::new(KnownConfig::new(config));
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        // All partitions may have fetched the same version at once.
        recent.retain(|other| other.version != config.version);
        recent.push_front(config.clone());
        recent.truncate(VERSIONS_MAX);
        config
    }
}
