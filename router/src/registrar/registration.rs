//! Who may take part: answers to nodes that ask to be registered.
//!
//! An open registration (`sym_node_security.registration_enabled`) admits one node, once: where the broker asks for
//! logins, the one that shows the secret that `open-registration` printed; elsewhere the one that asks first. A node
//! whose answer was lost, or whose database was restored, proves itself by the password that it made.

pub(super) mod openings;
mod records;
mod redirect;
mod refused;
mod verdict;

use super::version::{self, Current};
use super::{Registrar, in_time};
use crate::error::Error;
use redirect::Way;
use refused::Told;
use std::time::Duration;
use symstream_nats::{BusError, RegistrationCall};
use symstream_shared::db::{DbError, TxKind};
use symstream_shared::id::NodeId;
use symstream_shared::model::{self, Config, ModelError};
use symstream_shared::parameter::Parameters;
use symstream_shared::registration;
use symstream_shared::retry::{Backoff, Disposition};
use symstream_shared::wire::{Configuration, RegistrationReply, RegistrationRequest};
use tokio_util::sync::CancellationToken;
use verdict::{Case, Refusal, Verdict, verdict};

/// Attempts at one request that collide with others' before the node has to ask again.
const ATTEMPTS_MAX: u32 = 5;

/// Why a request can not be answered now.
#[derive(Debug, thiserror::Error)]
enum AnswerError {
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Bus(#[from] BusError),
}

impl From<DbError> for AnswerError {
    fn from(err: DbError) -> Self {
        Self::Model(err.into())
    }
}

/// What came of looking at a request.
enum Outcome {
    Granted {
        reply: RegistrationReply,
        config: Box<Config>,
    },
    Redirected(RegistrationReply),
    Refused(Refusal),
    /// What waits for the node is of an earlier life of it and has to go first.
    ToClear(NodeId),
}

/// Answers requests until asked to stop.
///
/// # Errors
/// [`Error::Database`] when the database refuses the login.
pub(super) async fn run(registrar: Registrar, shutdown: CancellationToken) -> Result<(), Error> {
    let mut told = Told::default();
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
    while !shutdown.is_cancelled() {
        let mut calls = match registrar.bus.registrations(registrar.engine.server()).await {
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
            registrar.answer(&call, &mut told).await?;
        }
    }
    Ok(())
}

impl Registrar {
    async fn answer(&self, call: &RegistrationCall, told: &mut Told) -> Result<(), Error> {
        let request = &call.request;
        let outcome = match self.register_patiently(request).await {
            Ok(outcome) => outcome,
            Err(AnswerError::Model(ModelError::Database(err))) if err.disposition == Disposition::Fatal => {
                return Err(err.into());
            }
            // No answer: the node asks again.
            Err(AnswerError::Model(ModelError::Database(err))) => {
                tracing::warn!(external_id = %request.external_id, error = %err, "a registration could not be looked up; the node will ask again");
                return Ok(());
            }
            Err(AnswerError::Bus(err)) => {
                tracing::warn!(external_id = %request.external_id, error = %err, "what waits for a node's earlier database could not be cleared; the node will ask again");
                return Ok(());
            }
            Err(AnswerError::Model(err)) => Outcome::Refused(Refusal::plain(format!(
                "the configuration of the registration server is not valid: {err}"
            ))),
        };
        let reply = match outcome {
            Outcome::Granted { reply, config } => {
                if let RegistrationReply::Granted {
                    node, configuration, ..
                } = &reply
                {
                    // The configuration's loop does the same within a second; the node need not wait for it.
                    if let Err(err) = self.publish_now(node, configuration, &config).await {
                        tracing::debug!(error = %err, "the configuration will be published later");
                    }
                    tracing::info!(node_id = %node, node_group = %request.group, external_id = %request.external_id, "registered");
                }
                reply
            }
            Outcome::Redirected(reply) => {
                tracing::debug!(external_id = %request.external_id, ?reply, "redirected a registration");
                reply
            }
            Outcome::Refused(refusal) => {
                self.note_refusal(request, &refusal, told).await;
                RegistrationReply::Refused { reason: refusal.told }
            }
            Outcome::ToClear(_) => return Ok(()),
        };
        if let Err(err) = call.respond(reply).await {
            tracing::debug!(error = %err, "an answer to a registration could not be sent");
        }
        Ok(())
    }

    /// The node's consumers come before the configuration that tells it to use them: they may have been removed with an
    /// earlier life of the node, which the configuration's loop need not have seen.
    async fn publish_now(
        &self,
        node: &NodeId,
        configuration: &Configuration,
        config: &Config,
    ) -> Result<(), BusError> {
        self.ensure_consumers_of(config, node).await?;
        let before = self.bus.latest_configuration(self.engine.server()).await?;
        self.publish_version(before.as_ref(), configuration).await
    }

    async fn register_patiently(&self, request: &RegistrationRequest) -> Result<Outcome, AnswerError> {
        let mut backoff = Backoff::new(Duration::from_millis(20), Duration::from_millis(500));
        let mut cleared = None;
        loop {
            match in_time(self.register(request, cleared.as_ref())).await {
                Ok(Outcome::ToClear(node)) => {
                    self.clear_for_new_life(&node).await?;
                    cleared = Some(node);
                }
                Ok(outcome) => return Ok(outcome),
                Err(ModelError::Database(err))
                    if err.disposition == Disposition::Retry && backoff.attempts() + 1 < ATTEMPTS_MAX =>
                {
                    tokio::time::sleep(backoff.next_pause()).await;
                }
                Err(err) => return Err(err.into()),
            }
        }
    }

    /// Decides about a request and, where it is granted, stores the node and the configuration's new version in
    /// one transaction: whoever sees the node registered sees a version in which it is. `cleared` is the node for which
    /// nothing of an earlier life waits any more.
    async fn register(
        &self,
        request: &RegistrationRequest,
        cleared: Option<&NodeId>,
    ) -> Result<Outcome, ModelError> {
        let mut tx = self.database.begin(TxKind::Snapshot).await?;
        let Some(server_node) = model::identity(&mut tx, &self.tables).await? else {
            return Ok(Outcome::Refused(Refusal::plain(
                "the registration server has no identity; its table node_identity is empty",
            )));
        };
        let registered_by = match self.way(&mut tx, request, &server_node).await? {
            Way::Here(node) => node,
            Way::To(reply) => return Ok(Outcome::Redirected(reply)),
            Way::Refused(refusal) => return Ok(Outcome::Refused(refusal)),
        };
        let parameters = Parameters::read(&mut tx, &self.tables, &self.engine).await?;
        let (group, external_id) = (&request.group, &request.external_id);
        let opening = registration::find(&mut tx, &self.tables, group, external_id).await?;
        let case = Case {
            request,
            server: self.engine.name.as_str(),
            candidates: self.candidates(&mut tx, request).await?,
            opening: opening.filter(|row| row.is_exact),
            needs_secret: self.bus.asks_for_login() || parameters.registration_secret_required,
            is_automatic: parameters.auto_registration,
            is_group_known: self.is_group_known(&mut tx, group).await?,
        };
        let (node, is_new, replaces) = match verdict(&case) {
            Verdict::Refuse(refusal) => return Ok(Outcome::Refused(refusal)),
            Verdict::Admit { node, replaces } => (node, true, replaces),
            Verdict::Create => match self.create(&mut tx, request).await? {
                Some(node) => (node, true, false),
                None => {
                    return Ok(Outcome::Refused(Refusal::plain(format!(
                        "node id {external_id} is another node's; to give it one of its own, insert it into {}",
                        self.tables.name("node")
                    ))));
                }
            },
            Verdict::Repeat(node) => (node, false, false),
        };
        if is_new {
            let removed = self.removal_note(&mut tx, &node).await?;
            if (replaces || removed.is_some()) && cleared != Some(&node) {
                return Ok(Outcome::ToClear(node));
            }
            if let Some(note) = removed {
                self.forget_removal(&mut tx, &node, &note).await?;
            }
            let judged_hash = case.opening.as_ref().and_then(|row| row.secret_hash.as_deref());
            self.admit(&mut tx, &node, &registered_by, request, judged_hash)
                .await?;
        }
        let current: Current = version::read(&mut tx, &self.tables).await?;
        version::store(&mut tx, &self.tables, &current).await?;
        tx.commit().await?;
        Ok(Outcome::Granted {
            reply: RegistrationReply::Granted {
                node,
                password: request.password.clone(),
                server_node,
                configuration: current.configuration,
            },
            config: Box::new(current.config),
        })
    }
}
