//! Publishing the configuration: every edit of the tables, also by plain SQL, reaches the nodes.

use super::Registrar;
use super::version::{self, Current};
use crate::error::Error;
use std::collections::HashSet;
use std::time::Duration;
use symstream_nats::BusError;
use symstream_shared::db::{DbError, TxKind};
use symstream_shared::id::{ChannelId, NodeId};
use symstream_shared::model::ModelError;
use symstream_shared::retry::Disposition;
use symstream_shared::wire::Configuration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How often the tables are read.
const POLL: Duration = Duration::from_secs(1);
/// How often NATS is asked whether it still has what was published.
const CHECK: Duration = Duration::from_secs(10);

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
    streams: bool,
    consumers: HashSet<(NodeId, ChannelId)>,
    version: i64,
    checked: Option<Instant>,
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
                    report(&err, published.version);
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

fn report(err: &PublishError, version: i64) {
    match err {
        PublishError::Model(ModelError::Database(err)) => {
            tracing::warn!(error = %err, "the configuration can not be read now; trying again");
        }
        PublishError::Model(err) => {
            tracing::error!(error = %err, version, "the configuration is not valid; this version stays in force");
        }
        PublishError::Bus(err) => {
            tracing::warn!(error = %err, "the configuration can not be published now; trying again");
        }
    }
}

impl Registrar {
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
        if !published.streams {
            self.bus.ensure_streams().await?;
            published.streams = true;
        }
        let current = self.current().await?;
        let is_due = published.checked.is_none_or(|checked| checked.elapsed() >= CHECK);
        let version = current.configuration.version;
        if version == published.version && !is_due {
            return Ok(());
        }
        let stored = self.bus.latest_configuration(self.engine.server()).await?;
        if stored.is_none() && published.version > 0 {
            tracing::warn!("nats has lost the configuration; making the streams again");
            *published = Published::default();
            self.bus.ensure_streams().await?;
            published.streams = true;
        }
        self.ensure_consumers(&current, published).await?;
        // A router that slept may have published an older version after a newer one.
        if stored.is_none_or(|stored| stored.version != version) {
            self.publish_version(&current.configuration).await?;
        }
        published.version = version;
        published.checked = Some(Instant::now());
        Ok(())
    }

    /// The nodes' consumers come before the configuration that tells them to use them.
    async fn ensure_consumers(&self, current: &Current, published: &mut Published) -> Result<(), BusError> {
        for node in &current.config.registered {
            let missing: Vec<ChannelId> = current
                .config
                .channels
                .keys()
                .cloned()
                .chain([ChannelId::reload()])
                .filter(|channel| !published.consumers.contains(&(node.clone(), channel.clone())))
                .collect();
            if !missing.is_empty() {
                self.bus.ensure_node(node, &missing).await?;
                published
                    .consumers
                    .extend(missing.into_iter().map(|channel| (node.clone(), channel)));
            }
        }
        Ok(())
    }

    pub(super) async fn publish_version(&self, configuration: &Configuration) -> Result<(), BusError> {
        self.bus
            .publish_configuration(self.engine.server(), configuration)
            .await?;
        tracing::info!(version = configuration.version, "published the configuration");
        Ok(())
    }
}
