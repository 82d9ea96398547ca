//! Requests to the registration server and their answers.

use super::Configuration;
use crate::id::{ExternalId, GroupId, NodeId};
use serde::{Deserialize, Serialize};

/// A node asks to be registered.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct RegistrationRequest {
    /// The group it says it belongs to.
    pub group: GroupId,
    /// Its external id.
    pub external_id: ExternalId,
    /// Random, made and stored by the node before it asks for the first time: an answer that was lost can be
    /// asked for again with it, by nobody else. It becomes the node's password.
    pub password: String,
    /// Its database, e.g. `PostgreSQL`.
    pub database_type: String,
    /// Its database's version.
    pub database_version: String,
    /// The version of SymStream that it runs.
    pub symmetric_version: String,
    /// Its own address, `nats://…/<engine name>`.
    pub sync_url: String,
    /// The one-time secret that `open-registration` printed (`registration.secret`).
    #[serde(default)]
    pub secret: Option<String>,
    /// The node that passed the request on, because the asking one was redirected to it.
    #[serde(default)]
    pub via: Option<NodeId>,
}

impl std::fmt::Debug for RegistrationRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "registration of {} in {}", self.external_id, self.group)
    }
}

/// A node's sign of life: what `sym_node` says of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// The node.
    pub node: NodeId,
    /// `heartbeat_time`, in milliseconds since 1970 by the node's clock.
    pub time_ms: i64,
    /// `timezone_offset` in the form of RFC 822 with a colon, e.g. `+01:00`.
    pub timezone_offset: String,
    /// `sync_url`
    pub sync_url: String,
    /// `schema_version`; `None` where the parameter `schema.version` is not set.
    pub schema_version: Option<String>,
    /// `symmetric_version`
    pub symmetric_version: String,
    /// `database_type`
    pub database_type: String,
    /// `database_version`
    pub database_version: String,
}

/// The registration server's answer.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub enum RegistrationReply {
    /// The node is registered.
    Granted {
        /// Its id.
        node: NodeId,
        /// Its password.
        password: String,
        /// The node that runs the registration server.
        server_node: NodeId,
        /// The configuration in force.
        configuration: Configuration,
    },
    /// It is not, and why.
    Refused {
        /// For the node's operator.
        reason: String,
    },
    /// Another node registers it (`sym_registration_redirect`).
    Redirected {
        /// That node.
        node: NodeId,
        /// Its address, `nats://…/<engine name>` (`sym_node.sync_url`).
        sync_url: String,
    },
}

impl std::fmt::Debug for RegistrationReply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Granted { node, .. } => write!(f, "granted to {node}"),
            Self::Refused { reason } => write!(f, "refused: {reason}"),
            Self::Redirected { node, sync_url } => write!(f, "redirected to {node} at {sync_url}"),
        }
    }
}

/// A node needs a reload: what waits for it from this source will never be applied. Asked twice: first where its lanes
/// end ([`super::Message::LanesEnd`]), then to free what is before that, so that a question that is answered late can not
/// take what was sent since.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FreeLanes {
    /// The source, which asks.
    pub source: NodeId,
    /// The node.
    pub target: NodeId,
    /// The stream's sequence from which on nothing is freed; `None` to ask for it.
    #[serde(default)]
    pub before: Option<u64>,
}
