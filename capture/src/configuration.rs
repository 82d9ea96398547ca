//! The loop that follows the configuration.
//!
//! At the registration server the tables are the truth, and its registrar publishes them under growing versions;
//! elsewhere newer versions are adopted into the node's own tables. Either way batches are routed by a version
//! exactly as it was published, so that is what the publisher gets.

use crate::error::Error;
use crate::source::Source;
use crate::state;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use symstream_nats::{Bus, BusError, ConfigurationChanges};
use symstream_shared::db::TxKind;
use symstream_shared::model::{Config, adopt_configuration};
use symstream_shared::wire::Configuration;
use tokio::sync::watch;

/// How often the registration server's own version is looked at.
const OWN_VERSION_EVERY: Duration = Duration::from_millis(300);
/// How often a node asks for the latest version although nothing notified it.
const ASK_EVERY: Duration = Duration::from_secs(10);

/// Where the loop tells what it found.
pub(crate) struct Outlets {
    /// The configuration for routing.
    pub config: watch::Sender<Option<Arc<Config>>>,
    /// Changes when the triggers may have to change.
    pub changed: watch::Sender<u64>,
}

/// Follows the configuration for ever.
pub(crate) async fn run(source: Source, bus: Bus, outlets: Arc<Outlets>) -> Result<Infallible, Error> {
    let server = source.engine.server();
    let is_server = source.engine.is_registration_server();
    let mut changes = if is_server {
        None
    } else {
        Some(bus.configuration_changes(server).await?)
    };
    loop {
        if !is_server && let Some(latest) = bus.latest_configuration(server).await? {
            adopt(&source, &latest).await?;
        }
        let version = own_version(&source).await?;
        let known = outlets.config.borrow().as_ref().map(|config| config.version);
        if version > 0 && known != Some(version) {
            let published = bus.configuration(server, version).await?.ok_or_else(|| {
                BusError::Missing(format!("version {version} of the configuration of {server}"))
            })?;
            let config = Config::from_wire(&published)?;
            tracing::info!(version, "configuration in force");
            outlets.config.send_replace(Some(Arc::new(config)));
            outlets.changed.send_modify(|count| *count += 1);
        }
        wait(changes.as_mut()).await;
    }
}

async fn own_version(source: &Source) -> Result<i64, Error> {
    let mut conn = source.database.conn().await?;
    state::number(&mut conn, &source.tables, state::CONFIG_VERSION).await
}

/// Writes a newer version into the node's own tables, all of it or nothing.
async fn adopt(source: &Source, latest: &Configuration) -> Result<(), Error> {
    if latest.version <= own_version(source).await? {
        return Ok(());
    }
    // A version that is not valid is not adopted: the node goes on with the one it has.
    Config::from_wire(latest)?;
    let mut tx = source.database.begin(TxKind::Write).await?;
    adopt_configuration(&mut tx, &source.tables, latest).await?;
    tx.commit().await?;
    Ok(())
}

async fn wait(changes: Option<&mut ConfigurationChanges>) {
    let Some(changes) = changes else {
        return tokio::time::sleep(OWN_VERSION_EVERY).await;
    };
    if let Ok(None) = tokio::time::timeout(ASK_EVERY, changes.next()).await {
        // The subscription ended: asking from time to time has to do.
        tokio::time::sleep(ASK_EVERY).await;
    }
}
