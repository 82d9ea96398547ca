//! How a node gets its identity.
//!
//! The password is random and stored before it is sent for the first time: with it a lost answer can be asked for
//! again, by nobody else, and a node whose database was restored proves itself. The answer (identity, own node, password,
//! configuration) is written in one transaction.

use crate::error::Error;
use crate::state;
use secrecy::{ExposeSecret, SecretString};
use std::time::Duration;
use symstream_nats::Bus;
use symstream_shared::db::{Database, Param, Sql, TxKind};
use symstream_shared::engine::Engine;
use symstream_shared::id::{EngineName, NodeId};
use symstream_shared::model::{self, adopt_configuration};
use symstream_shared::registration::{is_removed, unmark_removed};
use symstream_shared::retry::{Backoff, Disposition};
use symstream_shared::schema::{Tables, version_query};
use symstream_shared::wire::{Configuration, RegistrationReply, RegistrationRequest};
use tokio_util::sync::CancellationToken;

/// Pauses after a refusal: a person has to do something about it.
const REFUSED_FIRST: Duration = Duration::from_secs(1);
const REFUSED_MAX: Duration = Duration::from_secs(300);
/// Pauses while nobody answers.
const AWAY_FIRST: Duration = Duration::from_millis(100);
const AWAY_MAX: Duration = Duration::from_secs(10);
/// What works again at the third attempt, within half a second, is not worth a line.
const SILENT_ATTEMPTS: u32 = 2;
/// More engines than any chain of redirects has.
const REDIRECTS_MAX: usize = 8;

/// Who the node is: as it stands in its database, or as the registration server says once it admits the node. Asks again
/// with growing pauses, and says what it waits for, once for each reason. `None` when asked to stop.
///
/// # Errors
/// [`Error`] that only a person can do something about, other than the registration server's.
pub(crate) async fn identity(
    engine: &Engine,
    database: &Database,
    tables: &Tables,
    shutdown: &CancellationToken,
) -> Result<Option<NodeId>, Error> {
    let what = format!(
        "capture of engine {}: registration at {}",
        engine.name,
        engine.server()
    );
    let mut asking = Asking {
        engine,
        database,
        tables,
        bus: None,
    };
    let mut refused = Backoff::new(REFUSED_FIRST, REFUSED_MAX);
    let mut away = Backoff::new(AWAY_FIRST, AWAY_MAX);
    let mut told = String::new();
    loop {
        let result = tokio::select! {
            biased;
            () = shutdown.cancelled() => return Ok(None),
            result = asking.known_or_granted() => result,
        };
        let err = match result {
            Ok(node) => {
                if !told.is_empty() {
                    tracing::info!("{what} goes on");
                }
                return Ok(Some(node));
            }
            Err(err) if err.disposition() == Disposition::Fatal => return Err(err),
            Err(err) => err,
        };
        let is_refused = matches!(err, Error::Refused(_));
        let text = err.to_string();
        if text != told && (is_refused || away.attempts() >= SILENT_ATTEMPTS) {
            tracing::warn!(error = %text, "{what} waits");
            told = text;
        }
        let pause = if is_refused {
            away.reset();
            refused.next_pause()
        } else {
            refused.reset();
            away.next_pause()
        };
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return Ok(None),
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// A node that asks.
struct Asking<'a> {
    engine: &'a Engine,
    database: &'a Database,
    tables: &'a Tables,
    /// Kept from one attempt to the next.
    bus: Option<Bus>,
}

impl Asking<'_> {
    async fn known_or_granted(&mut self) -> Result<NodeId, Error> {
        let mut conn = self.database.conn().await?;
        if let Some(node) = model::identity(&mut conn, self.tables).await?
            && !is_removed(&mut conn, self.tables).await?
        {
            return Ok(node);
        }
        drop(conn);
        let bus = match &self.bus {
            Some(bus) => bus.clone(),
            None => self
                .bus
                .insert(Bus::connect(self.engine, "registration").await?)
                .clone(),
        };
        let (request, unread) = self.request().await?;
        match ask(&bus, self.engine.server(), &request).await? {
            RegistrationReply::Granted {
                node,
                password,
                server_node,
                configuration,
            } => {
                self.adopt(&node, password, &server_node, &configuration).await?;
                tracing::info!(node_id = %node, server = %self.engine.server(), "registered");
                Ok(node)
            }
            RegistrationReply::Refused { reason } => Err(Error::Refused(match unread {
                Some(unread) => format!("{reason} ({unread})"),
                None => reason,
            })),
            // `ask` follows these.
            RegistrationReply::Redirected { node, .. } => {
                Err(Error::Refused(format!("node {node} registers it")))
            }
        }
    }

    /// What the node asks with, and why its secret could not be read where that is so: it may not be needed.
    async fn request(&self) -> Result<(RegistrationRequest, Option<String>), Error> {
        let password = password(self.database, self.tables).await?;
        let version = self
            .database
            .query_opt(version_query(self.database.kind()), &[])
            .await?;
        let version = version.map(|row| row.text(0)).transpose()?.unwrap_or_default();
        let (secret, unread) = match self.engine.registration_secret.read() {
            Ok(secret) => (secret, None),
            Err(err) => (
                None,
                Some(format!("registration.secret.file can not be read: {err}")),
            ),
        };
        let engine = self.engine;
        let request = RegistrationRequest {
            group: engine.group.clone(),
            external_id: engine.external_id.clone(),
            password,
            database_type: self.database.kind().product_of(&version).to_owned(),
            database_version: version,
            symmetric_version: env!("CARGO_PKG_VERSION").to_owned(),
            sync_url: engine.sync_url(),
            secret: secret
                .as_ref()
                .map(SecretString::expose_secret)
                .map(str::to_owned),
            via: None,
        };
        Ok((request, unread))
    }

    async fn adopt(
        &self,
        node: &NodeId,
        password: String,
        server_node: &NodeId,
        configuration: &Configuration,
    ) -> Result<(), Error> {
        let tables = self.tables;
        let mut tx = self.database.begin(TxKind::Write).await?;
        let kind = tx.kind();
        let table = tables.name("node_identity");
        // A node that was removed has one.
        let identity = match model::identity(&mut tx, tables).await? {
            Some(_) => format!("update {table} set node_id = ?"),
            None => format!("insert into {table} (node_id) values (?)"),
        };
        tx.execute(&identity, &[node.as_str().into()]).await?;
        adopt_configuration(&mut tx, tables, configuration).await?;
        // When it was registered is in the configuration, by the server's clock, and is compared with what the server's
        // clock says elsewhere: only where the configuration has no row of the node is it the own clock's.
        let security = format!(
            "insert into {} (node_id, password, registration_enabled, registration_time, initial_load_enabled, \
             created_at_node_id) values (?, ?, 0, {}, 0, ?){}",
            tables.name("node_security"),
            kind.now(),
            kind.or_update(
                &["node_id"],
                &["password", "registration_enabled", "created_at_node_id"]
            ),
        );
        let params: [Param; 3] = [node.as_str().into(), password.into(), server_node.as_str().into()];
        tx.execute(&security, &params).await?;
        // In its group's lanes it takes part anew, from where the router says.
        let groups = format!(
            "update {} set group_batch_id = null",
            tables.name("incoming_lane")
        );
        tx.execute(&groups, &[]).await?;
        unmark_removed(&mut tx, tables).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// Asks the registration server, and where it sends the node to another engine, that one.
async fn ask(
    bus: &Bus,
    server: &EngineName,
    request: &RegistrationRequest,
) -> Result<RegistrationReply, Error> {
    let mut reply = bus.register(server, request).await?;
    let mut asked = vec![server.to_string()];
    while let RegistrationReply::Redirected { node, sync_url } = &reply {
        let engine = sync_url
            .rsplit_once('/')
            .and_then(|(_, engine)| EngineName::new(engine).ok());
        let engine = engine.ok_or_else(|| {
            Error::Refused(format!(
                "node {node} is to register it, but sync_url {sync_url:?} of that one names no engine"
            ))
        })?;
        let goes_round = asked.iter().any(|known| known == engine.as_str());
        asked.push(engine.to_string());
        if goes_round || asked.len() > REDIRECTS_MAX {
            return Err(Error::Refused(format!(
                "it is sent round in a circle: {} (sym_registration_redirect)",
                asked.join(", ")
            )));
        }
        let unanswered = |err| {
            Error::Unanswered(format!(
                "node {node} is to register it, but nobody answers there ({err}); engine {engine} needs the role router: \
                 sym --engine {engine} --roles capture,router,loader"
            ))
        };
        reply = bus.register(&engine, request).await.map_err(unanswered)?;
    }
    Ok(reply)
}

/// The password that the node asks with, made when it asks for the first time.
async fn password(database: &Database, tables: &Tables) -> Result<String, Error> {
    let mut conn = database.conn().await?;
    if let Some(password) = state::get(&mut conn, tables, state::REGISTRATION_PASSWORD).await? {
        return Ok(password);
    }
    let password = uuid::Uuid::new_v4().simple().to_string();
    state::replace(&mut conn, tables, state::REGISTRATION_PASSWORD, None, &password).await?;
    Ok(password)
}

#[cfg(test)]
mod tests;
