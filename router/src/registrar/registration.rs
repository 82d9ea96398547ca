//! Who may take part: answers to nodes that ask to be registered.
//!
//! An open registration (`sym_node_security.registration_enabled`) admits the node that asks first, once. A
//! node whose answer was lost asks again with the password that it made itself, and gets the same answer.

use super::version::{self, Current};
use super::{Registrar, in_time};
use crate::error::Error;
use std::collections::HashSet;
use std::time::Duration;
use symstream_nats::{BusError, RegistrationCall};
use symstream_shared::db::{DbError, Param, Sql, Tx, TxKind};
use symstream_shared::id::NodeId;
use symstream_shared::model::{self, ModelError};
use symstream_shared::retry::{Backoff, Disposition};
use symstream_shared::wire::{Configuration, RegistrationReply, RegistrationRequest};
use tokio_util::sync::CancellationToken;

/// The width of `sym_node_security.password`.
const PASSWORD_CHARS_MAX: usize = 50;
/// Attempts at one request that collide with others' before the node has to ask again.
const ATTEMPTS_MAX: u32 = 5;
/// Refusals remembered so that each is logged once, however often a node asks.
const REFUSALS_MAX: usize = 1000;

/// What `sym_node` and `sym_node_security` say of a node that asks.
struct Candidate {
    node: NodeId,
    password: String,
    is_open: bool,
    is_registered: bool,
}

/// What is to be done about a request.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// Register the node.
    Admit(NodeId),
    /// It is registered, and its answer was lost.
    Repeat(NodeId),
    /// Say why not.
    Refuse(String),
}

/// Answers requests until asked to stop.
///
/// # Errors
/// [`Error::Database`] when the database refuses the login.
pub(super) async fn run(registrar: Registrar, shutdown: CancellationToken) -> Result<(), Error> {
    let mut refused = HashSet::new();
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
            registrar.answer(&call, &mut refused).await?;
        }
    }
    Ok(())
}

impl Registrar {
    async fn answer(&self, call: &RegistrationCall, refused: &mut HashSet<String>) -> Result<(), Error> {
        let request = &call.request;
        let reply = match self.register_patiently(request).await {
            Ok(reply) => reply,
            Err(ModelError::Database(err)) if err.disposition == Disposition::Fatal => return Err(err.into()),
            // No answer: the node asks again.
            Err(ModelError::Database(err)) => {
                tracing::warn!(external_id = %request.external_id, error = %err, "a registration could not be looked up; the node will ask again");
                return Ok(());
            }
            Err(err) => refusal(format!(
                "the configuration of the registration server is not valid: {err}"
            )),
        };
        match &reply {
            RegistrationReply::Granted {
                node, configuration, ..
            } => {
                // The configuration's loop does the same within a second; the node need not wait for it.
                if let Err(err) = self.publish_now(configuration).await {
                    tracing::debug!(error = %err, "the configuration will be published later");
                }
                tracing::info!(node_id = %node, node_group = %request.group, external_id = %request.external_id, "registered");
            }
            RegistrationReply::Redirected { node, .. } => {
                tracing::info!(external_id = %request.external_id, node_id = %node, "redirected a registration");
            }
            RegistrationReply::Refused { reason } => {
                let (group, external_id) = (&request.group, &request.external_id);
                if refused.len() >= REFUSALS_MAX {
                    refused.clear();
                }
                if refused.insert(format!("{group}/{external_id}: {reason}")) {
                    tracing::warn!(node_group = %group, external_id = %external_id, reason, "refused a registration");
                }
            }
        }
        if let Err(err) = call.respond(reply).await {
            tracing::debug!(error = %err, "an answer to a registration could not be sent");
        }
        Ok(())
    }

    async fn publish_now(&self, configuration: &Configuration) -> Result<(), BusError> {
        let before = self.bus.latest_configuration(self.engine.server()).await?;
        self.publish_version(before.as_ref(), configuration).await
    }

    async fn register_patiently(
        &self,
        request: &RegistrationRequest,
    ) -> Result<RegistrationReply, ModelError> {
        let mut backoff = Backoff::new(Duration::from_millis(20), Duration::from_millis(500));
        loop {
            match in_time(self.register(request)).await {
                Err(ModelError::Database(err))
                    if err.disposition == Disposition::Retry && backoff.attempts() + 1 < ATTEMPTS_MAX =>
                {
                    tokio::time::sleep(backoff.next_pause()).await;
                }
                done => return done,
            }
        }
    }

    /// Decides about a request and, where it is granted, stores the node and the configuration's new version in
    /// one transaction: whoever sees the node registered sees a version in which it is.
    async fn register(&self, request: &RegistrationRequest) -> Result<RegistrationReply, ModelError> {
        let mut tx = self.database.begin(TxKind::Snapshot).await?;
        let Some(server_node) = model::identity(&mut tx, &self.tables).await? else {
            return Ok(refusal(
                "the registration server has no identity; its table node_identity is empty".to_owned(),
            ));
        };
        let node = match verdict(
            request,
            self.candidates(&mut tx, request).await?,
            self.engine.name.as_str(),
        ) {
            Verdict::Refuse(reason) => return Ok(refusal(reason)),
            Verdict::Admit(node) => {
                self.admit(&mut tx, &node, &server_node, request).await?;
                node
            }
            Verdict::Repeat(node) => node,
        };
        let current: Current = version::read(&mut tx, &self.tables).await?;
        version::store(&mut tx, &self.tables, &current).await?;
        tx.commit().await?;
        Ok(RegistrationReply::Granted {
            node,
            password: request.password.clone(),
            server_node,
            configuration: current.configuration,
        })
    }

    async fn candidates(
        &self,
        tx: &mut Tx,
        request: &RegistrationRequest,
    ) -> Result<Vec<Candidate>, DbError> {
        let select = format!(
            "select n.node_id, s.password, s.registration_enabled, \
             case when s.registration_time is null then 0 else 1 end, n.node_group_id, n.external_id \
             from {} n join {} s on s.node_id = n.node_id \
             where n.node_group_id = ? and n.external_id = ? order by n.node_id",
            self.tables.name("node"),
            self.tables.name("node_security")
        );
        let key: [Param; 2] = [request.group.as_str().into(), request.external_id.as_str().into()];
        let rows = tx.query(&select, &key).await?;
        let mut candidates = Vec::new();
        for row in rows {
            // MySQL takes texts that differ in upper and lower case for the same.
            if row.text(4)? != request.group.as_str() || row.text(5)? != request.external_id.as_str() {
                continue;
            }
            candidates.push(Candidate {
                node: NodeId::new(row.text(0)?).map_err(|err| DbError::unexpected(err.to_string()))?,
                password: row.text(1)?,
                is_open: row.int(2)? != 0,
                is_registered: row.int(3)? != 0,
            });
        }
        Ok(candidates)
    }

    async fn admit(
        &self,
        tx: &mut Tx,
        node: &NodeId,
        server_node: &NodeId,
        request: &RegistrationRequest,
    ) -> Result<(), DbError> {
        let (id, server) = (
            || Param::from(node.as_str()),
            || Param::from(server_node.as_str()),
        );
        let security = format!(
            "update {} set registration_enabled = 0, registration_time = {}, password = ?, \
             created_at_node_id = coalesce(created_at_node_id, ?) \
             where node_id = ? and registration_enabled <> 0",
            self.tables.name("node_security"),
            tx.kind().now()
        );
        let values = [request.password.as_str().into(), server(), id()];
        if tx.execute(&security, &values).await? == 0 {
            let message = "another router used the open registration meanwhile";
            return Err(DbError {
                disposition: Disposition::Retry,
                ..DbError::unexpected(message)
            });
        }
        let update = format!(
            "update {} set sync_enabled = 1, sync_url = ?, database_type = ?, database_version = ?, \
             symmetric_version = ?, created_at_node_id = coalesce(created_at_node_id, ?) where node_id = ?",
            self.tables.name("node")
        );
        let values = [
            request.sync_url.as_str().into(),
            request.database_type.as_str().into(),
            request.database_version.as_str().into(),
            request.symmetric_version.as_str().into(),
            server(),
            id(),
        ];
        tx.execute(&update, &values).await.map(drop)
    }
}

fn refusal(reason: String) -> RegistrationReply {
    RegistrationReply::Refused { reason }
}

/// Decides about a request. `candidates` are the nodes of its group with its external id.
fn verdict(request: &RegistrationRequest, candidates: Vec<Candidate>, server: &str) -> Verdict {
    let (group, external_id) = (&request.group, &request.external_id);
    let what_to_do =
        format!("to admit it: symadmin --engine {server} open-registration {group} {external_id}");
    let length = request.password.chars().count();
    if length == 0 || length > PASSWORD_CHARS_MAX {
        return Verdict::Refuse(format!(
            "its password has {length} characters, not 1 to {PASSWORD_CHARS_MAX}"
        ));
    }
    let is_own = |candidate: &&Candidate| candidate.is_registered && candidate.password == request.password;
    if let Some(candidate) = candidates
        .iter()
        .find(|candidate| !candidate.is_open && is_own(candidate))
    {
        return Verdict::Repeat(candidate.node.clone());
    }
    if let Some(candidate) = candidates.iter().find(|candidate| candidate.is_open) {
        return Verdict::Admit(candidate.node.clone());
    }
    if candidates.iter().any(|candidate| candidate.is_registered) {
        return Verdict::Refuse(format!(
            "node {external_id} of group {group} is registered already, from another database; {what_to_do}"
        ));
    }
    Verdict::Refuse(format!(
        "no registration is open for node {external_id} of group {group}; {what_to_do}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use symstream_shared::id::{ExternalId, GroupId};

    fn request(password: &str) -> RegistrationRequest {
        RegistrationRequest {
            group: GroupId::new("local").expect("id"),
            external_id: ExternalId::new("7").expect("id"),
            password: password.to_owned(),
            database_type: String::new(),
            database_version: String::new(),
            symmetric_version: String::new(),
            sync_url: String::new(),
            secret: None,
            via: None,
        }
    }

    fn candidate(is_open: bool, is_registered: bool) -> Vec<Candidate> {
        let node = NodeId::new("n7").expect("id");
        vec![Candidate {
            node,
            password: "own".to_owned(),
            is_open,
            is_registered,
        }]
    }

    fn reason(verdict: Verdict) -> String {
        match verdict {
            Verdict::Refuse(reason) => reason,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_open_registration_admits_whoever_asks() {
        let node = NodeId::new("n7").expect("id");
        assert_eq!(
            verdict(&request("new"), candidate(true, false), "cloud"),
            Verdict::Admit(node.clone())
        );
        assert_eq!(
            verdict(&request("new"), candidate(true, true), "cloud"),
            Verdict::Admit(node)
        );
    }

    #[test]
    fn a_lost_answer_is_given_again_to_the_same_node_only() {
        let node = NodeId::new("n7").expect("id");
        assert_eq!(
            verdict(&request("own"), candidate(false, true), "cloud"),
            Verdict::Repeat(node)
        );
        assert!(
            reason(verdict(&request("new"), candidate(false, true), "cloud")).contains("registered already")
        );
        assert!(
            reason(verdict(&request("own"), candidate(false, false), "cloud"))
                .contains("no registration is open")
        );
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        assert_eq!(
            reason(verdict(&request("new"), Vec::new(), "cloud")),
            "no registration is open for node 7 of group local; \
             to admit it: symadmin --engine cloud open-registration local 7"
        );
        assert!(reason(verdict(&request(""), candidate(true, false), "cloud")).contains("password"));
    }
}
