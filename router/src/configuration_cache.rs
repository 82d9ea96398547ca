//! The configurations that batches name, by version.

use crate::error::RouteError;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use symstream_nats::{Bus, BusError};
use symstream_shared::id::{ChannelId, EngineName, GroupId};
use symstream_shared::model::Config;
use tokio::sync::Mutex as AsyncMutex;
use tokio::time::Instant;

/// Versions kept: sources adopt a new one within seconds, so batches name two or three at a time.
const VERSIONS_MAX: usize = 8;
/// How long to wait for a version that is not in NATS yet: at the registration server, capture may use one
/// before it is published.
const PATIENCE: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// For how long the newest version that was seen counts as the newest.
const NEWEST_FOR: Duration = Duration::from_secs(2);

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
    /// The newest version, and when that was looked up. Locked while it is looked up: one look does for all.
    newest: AsyncMutex<Option<(Arc<KnownConfig>, Instant)>>,
}

impl ConfigurationCache {
    pub(crate) fn new(bus: Bus, server: EngineName) -> Self {
        Self {
            bus,
            server,
            recent: Mutex::default(),
            newest: AsyncMutex::default(),
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
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(configuration) = self.bus.configuration(&self.server, version).await? {
                let config = Config::from_wire(&configuration)
                    .map_err(|source| RouteError::Configuration { version, source })?;
                return Ok(self.remember(config));
            }
            if Instant::now() >= until {
                return Err(RouteError::NoConfiguration(version));
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// The newest configuration as of the last [`NEWEST_FOR`], or `named` where that is newer.
    ///
    /// # Errors
    /// [`RouteError::Bus`].
    pub(crate) async fn newest(&self, named: &Arc<KnownConfig>) -> Result<Arc<KnownConfig>, RouteError> {
        self.newest_of_last(NEWEST_FOR, named).await
    }

    /// The newest configuration as of now, or `named` where that is newer.
    ///
    /// # Errors
    /// [`RouteError::Bus`].
    pub(crate) async fn newest_now(&self, named: &Arc<KnownConfig>) -> Result<Arc<KnownConfig>, RouteError> {
        self.newest_of_last(Duration::ZERO, named).await
    }

    async fn newest_of_last(
        &self,
        time: Duration,
        named: &Arc<KnownConfig>,
    ) -> Result<Arc<KnownConfig>, RouteError> {
        let mut newest = self.newest.lock().await;
        let known = newest.as_ref().map(|(config, _)| Arc::clone(config));
        let is_new = newest.as_ref().is_some_and(|(_, seen)| seen.elapsed() < time);
        let config = match known {
            Some(config) if is_new => config,
            known => {
                let found = self.look_up_newest(known.as_deref()).await?;
                let config = found.or(known).unwrap_or_else(|| Arc::clone(named));
                *newest = Some((Arc::clone(&config), Instant::now()));
                config
            }
        };
        Ok(if config.version > named.version {
            config
        } else {
            Arc::clone(named)
        })
    }

    /// The newest version where it is another than `known`, and can be used.
    async fn look_up_newest(
        &self,
        known: Option<&KnownConfig>,
    ) -> Result<Option<Arc<KnownConfig>>, RouteError> {
        let latest = match self.bus.latest_configuration(&self.server).await {
            Ok(latest) => latest,
            // A newer server's, perhaps.
            Err(BusError::Malformed { message, .. }) => {
                tracing::debug!(error = message, "the newest configuration can not be read");
                None
            }
            Err(err) => return Err(err.into()),
        };
        let Some(latest) = latest.filter(|latest| known.is_none_or(|known| known.version != latest.version))
        else {
            return Ok(None);
        };
        match Config::from_wire(&latest) {
            Ok(config) => Ok(Some(Arc::new(KnownConfig::new(config)))),
            // Batches that name it tell of it.
            Err(err) => {
                tracing::debug!(version = latest.version, error = %err, "the newest configuration can not be used");
                Ok(None)
            }
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
