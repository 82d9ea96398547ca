//! The loop that follows the configuration.
//!
//! At the registration server the tables are the truth, and its registrar publishes them under growing versions;
//! elsewhere newer versions are adopted into the node's own tables. Either way batches are routed by a version
//! exactly as it was published, so that is what the publisher gets.
//!
//! After every connection to NATS the newest version is asked for before anything is published. A node that has one
//! goes on with it when NATS answers that there is no newer one, or none at all: the registration server may be away
//! for long, or its stream may have been lost.

use crate::error::Error;
use crate::source::{ConfigReceiver, KnownConfig, Source};
use crate::state;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};
use symstream_nats::{Bus, BusError, ConfigurationChanges};
use symstream_shared::db::TxKind;
use symstream_shared::id::EngineName;
use symstream_shared::model::{Config, ModelError, adopt_configuration, local_configuration};
use symstream_shared::registration::mark_removed;
use symstream_shared::wire::Configuration;
use tokio::sync::watch;

/// How often the registration server's own version is looked at.
const OWN_VERSION_EVERY: Duration = Duration::from_millis(300);
/// How long the registrar may take between storing a version and publishing it, before that is worth a line.
const PUBLISHED_WITHIN: Duration = Duration::from_secs(1);
/// How often it is looked for meanwhile.
const PUBLISHED_LOOK: Duration = Duration::from_millis(20);
/// How often a node asks for the latest version although nothing notified it.
const ASK_EVERY: Duration = Duration::from_secs(10);

/// Where the loop tells what it found.
pub(crate) struct Outlets {
    /// The configuration for routing.
    pub config: watch::Sender<KnownConfig>,
    /// Changes when the triggers may have to change.
    pub changed: watch::Sender<u64>,
}

/// Follows the configuration for ever.
pub(crate) async fn run(source: Source, bus: Bus, outlets: Arc<Outlets>) -> Result<Infallible, Error> {
    let server = source.engine.server();
    let is_server = source.engine.is_registration_server();
    let mut connections = bus.connections();
    let mut changes = if is_server {
        None
    } else {
        Some(bus.configuration_changes(server).await?)
    };
    let mut refused = None;
    loop {
        connections.borrow_and_update();
        let connection = bus.connection();
        if connection.is_none() {
            asked_over(&outlets, None);
        }
        if !is_server && let Some(latest) = bus.latest_configuration(server).await? {
            adopt(&source, &latest, &mut refused).await?;
        }
        take_over(&source, &bus, &outlets).await?;
        asked_over(&outlets, connection);
        tokio::select! {
            () = wait(changes.as_mut()) => {}
            changed = connections.changed() => if changed.is_err() {
                wait(changes.as_mut()).await;
            },
        }
    }
}

fn asked_over(outlets: &Outlets, connection: Option<u64>) {
    outlets.config.send_if_modified(|known| {
        let is_news = known.asked_over != connection;
        known.asked_over = connection;
        is_news
    });
}

/// The configuration for what a node does in its own database.
///
/// Elsewhere than at the registration server it stands in the node's tables, which hold nothing but versions that were
/// adopted. At the server they hold what somebody edits, so what was published counts: an edit that is not valid is not
/// in force there either, and one that is captures nothing that the published rules do not know yet. The tables count
/// while NATS is away, so that a new trigger captures meanwhile, and before any version is known.
///
/// # Errors
/// Those of [`own_configuration`].
pub(crate) async fn in_force(source: &Source, known: &ConfigReceiver) -> Result<Arc<Config>, Error> {
    let known = known.borrow().clone();
    if source.engine.is_registration_server()
        && let Some(published) = known.published()
    {
        return Ok(published);
    }
    match (own_configuration(source).await, known.config) {
        // The registrar says what is wrong.
        (
            Err(Error::Configuration(ModelError::Value { .. } | ModelError::Expression { .. })),
            Some(known),
        ) => Ok(known),
        (own, _) => own.map(Arc::new),
    }
}

/// The configuration in the node's own tables.
///
/// # Errors
/// [`Error::Configuration`] when it can not be used, or read.
pub(crate) async fn own_configuration(source: &Source) -> Result<Config, Error> {
    let mut tx = source.database.begin(TxKind::ReadOnly).await?;
    let config = local_configuration(&mut tx, &source.tables).await?;
    tx.rollback().await?;
    Ok(config)
}

/// Tells about the version that the node's own tables have, where it is another than before.
async fn take_over(source: &Source, bus: &Bus, outlets: &Outlets) -> Result<(), Error> {
    let server = source.engine.server();
    let version = own_version(source).await?;
    let known = outlets
        .config
        .borrow()
        .config
        .as_ref()
        .map(|config| config.version);
    if version == 0 || known == Some(version) {
        return Ok(());
    }
    let config = match just_published(bus, server, version).await? {
        Some(published) => Config::from_wire(&published)?,
        // The registrar publishes it within seconds, or again.
        None if source.engine.is_registration_server() => {
            let missing = format!("version {version} of the configuration of {server}");
            return Err(BusError::Missing(missing).into());
        }
        None => {
            tracing::warn!(version, %server, "nats does not have the configuration any more; the node goes on with its own copy");
            own_configuration(source).await?
        }
    };
    tracing::info!(version, "configuration in force");
    outlets
        .config
        .send_modify(|known| known.config = Some(Arc::new(config)));
    outlets.changed.send_modify(|count| *count += 1);
    Ok(())
}

/// A version that the registrar has stored and may be publishing at this moment.
async fn just_published(
    bus: &Bus,
    server: &EngineName,
    version: i64,
) -> Result<Option<Configuration>, BusError> {
    let began = Instant::now();
    loop {
        let published = bus.configuration(server, version).await?;
        if published.is_some() || began.elapsed() >= PUBLISHED_WITHIN {
            return Ok(published);
        }
        tokio::time::sleep(PUBLISHED_LOOK).await;
    }
}

async fn own_version(source: &Source) -> Result<i64, Error> {
    let mut conn = source.database.conn().await?;
    state::number(&mut conn, &source.tables, state::CONFIG_VERSION).await
}

/// Writes a newer version into the node's own tables, all of it or nothing. One that can not be used is not adopted, and
/// said once: the node goes on with the one it has.
async fn adopt(source: &Source, latest: &Configuration, refused: &mut Option<i64>) -> Result<(), Error> {
    if latest.version <= own_version(source).await? {
        return Ok(());
    }
    let config = match Config::from_wire(latest) {
        Ok(config) => config,
        Err(err) => {
            if refused.replace(latest.version) != Some(latest.version) {
                tracing::error!(
                    node_id = %source.node, version = latest.version, error = %err,
                    "configuration can not be used; the node goes on with the one it has"
                );
            }
            return Ok(());
        }
    };
    let mut tx = source.database.begin(TxKind::Write).await?;
    // The registration server's own node is always registered; where nobody is, the version does not say who takes part.
    if !config.registered.is_empty() && !config.registered.contains(&source.node) {
        // Not adopted: what the node has tells how it was when it still took part.
        mark_removed(&mut tx, &source.tables, latest.version).await?;
        tx.commit().await?;
        return Err(Error::Removed {
            node: source.node.clone(),
            server: source.engine.server().clone(),
        });
    }
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

#[cfg(test)]
mod tests;
