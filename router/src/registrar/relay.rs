//! Passing on registrations: where nodes are sent to this engine by `sym_registration_redirect`, it asks the registration
//! server for them.
//!
//! The nodes count as registered by this engine's node: it is what they know as their server.

use crate::error::Error;
use std::time::Duration;
use symstream_nats::{Bus, BusError, RegistrationCall};
use symstream_shared::db::{Database, DbError};
use symstream_shared::engine::Engine;
use symstream_shared::id::NodeId;
use symstream_shared::model;
use symstream_shared::retry::{Backoff, Disposition};
use symstream_shared::schema::Tables;
use symstream_shared::wire::{RegistrationReply, RegistrationRequest};
use tokio_util::sync::CancellationToken;

/// What the relay works with. The database is asked for nothing but the node's identity, and only when somebody asks.
pub(crate) struct Relay {
    bus: Bus,
    engine: Engine,
    database: Database,
    tables: Tables,
}

impl Relay {
    /// Connects to no database yet.
    ///
    /// # Errors
    /// [`Error::Settings`], [`Error::Database`] when the engine's settings can not work.
    pub(crate) fn new(engine: Engine, bus: Bus) -> Result<Self, Error> {
        let tables = Tables::new(&engine.table_prefix).map_err(|err| Error::Settings(err.to_string()))?;
        Ok(Self {
            bus,
            database: engine.database()?,
            tables,
            engine,
        })
    }

    /// Passes requests on until asked to stop.
    ///
    /// # Errors
    /// None: what goes wrong, the asking node hears or asks again.
    pub(crate) async fn run(self, shutdown: CancellationToken) -> Result<(), Error> {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
        while !shutdown.is_cancelled() {
            let mut calls = match self.bus.registrations(&self.engine.name).await {
                Ok(calls) => calls,
                Err(err) => {
                    tracing::debug!(error = %err, "registrations can not be heard now");
                    tokio::time::sleep(backoff.next_pause()).await;
                    continue;
                }
            };
            loop {
                let call = tokio::select! {
                    biased;
                    () = shutdown.cancelled() => return Ok(()),
                    call = calls.next() => call,
                };
                let Some(call) = call else { break };
                self.answer(&call).await;
            }
        }
        Ok(())
    }

    async fn answer(&self, call: &RegistrationCall) {
        let external_id = &call.request.external_id;
        let reply = match super::in_time(self.identity()).await {
            Ok(Some(own)) => match self.pass_on(&call.request, own).await {
                Ok(reply) => reply,
                Err(err) => {
                    tracing::warn!(%external_id, error = %err, "a registration could not be passed on; the node will ask again");
                    return;
                }
            },
            Ok(None) => refused(format!(
                "engine {} is to register it, but is not registered at {} itself yet",
                self.engine.name,
                self.engine.server()
            )),
            Err(err) => {
                tracing::warn!(%external_id, error = %err, "a registration could not be passed on; the node will ask again");
                return;
            }
        };
        tracing::info!(%external_id, answer = ?reply, "passed on a registration");
        if let Err(err) = call.respond(reply).await {
            tracing::debug!(error = %err, "an answer to a registration could not be sent");
        }
    }

    /// What the registration server says, as if this node had said it. A request that another node passed on already goes
    /// on as that one's; one that comes back goes round in a circle.
    async fn pass_on(
        &self,
        request: &RegistrationRequest,
        own: NodeId,
    ) -> Result<RegistrationReply, BusError> {
        if request.via.as_ref() == Some(&own) {
            return Ok(refused(format!(
                "registration.url of engine {} leads back to it: no engine on the way is the registration server",
                self.engine.name
            )));
        }
        let mut request = request.clone();
        request.via.get_or_insert_with(|| own.clone());
        Ok(match self.bus.register(self.engine.server(), &request).await? {
            RegistrationReply::Granted {
                node,
                password,
                configuration,
                ..
            } => RegistrationReply::Granted {
                node,
                password,
                server_node: own,
                configuration,
            },
            other => other,
        })
    }

    async fn identity(&self) -> Result<Option<NodeId>, DbError> {
        let mut conn = self.database.conn().await?;
        match model::identity(&mut conn, &self.tables).await {
            // The engine's capture agent makes the tables.
            Err(err) if err.disposition == Disposition::Hold => Ok(None),
            identity => identity,
        }
    }
}

fn refused(reason: String) -> RegistrationReply {
    RegistrationReply::Refused { reason }
}
