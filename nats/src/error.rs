//! Why the bus said no.

/// Why the bus said no.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// The engine's settings can not work.
    #[error("{0}")]
    Settings(String),
    /// The server is too old for what SymStream relies on.
    #[error("nats-server {found} at {address} is too old; install 2.14 or newer")]
    OldServer {
        /// Its version.
        found: String,
        /// Its address.
        address: String,
    },
    /// The server can not be reached, or did not answer in time.
    #[error("nats at {address}: {message}")]
    Unreachable {
        /// The address.
        address: String,
        /// What went wrong.
        message: String,
    },
    /// The registration server has not made this stream or consumer yet, or somebody deleted it.
    #[error("{0} does not exist yet; the router of the registration server makes it")]
    Missing(String),
    /// Another process writes the same subject.
    #[error("another process writes {subject}: it holds {found}, which is newer than {wanted}")]
    Fenced {
        /// The subject.
        subject: String,
        /// What stands there.
        found: String,
        /// What should have followed.
        wanted: String,
    },
    /// The stream has lost messages that it had acknowledged, or gave up by their age.
    #[error("messages that were stored on {subject} are gone; what the source still has is published again")]
    Lost {
        /// The subject.
        subject: String,
    },
    /// A message lacks a header or has one that is not understood.
    #[error("message on {subject}: {message}")]
    Malformed {
        /// The message's subject.
        subject: String,
        /// What is wrong with it.
        message: String,
    },
    /// JetStream refused a request.
    #[error("JetStream refused {what}: {message}")]
    Refused {
        /// What was asked for.
        what: String,
        /// Its answer.
        message: String,
    },
}

impl BusError {
    /// Whether only a person can help: waiting and trying again will not.
    pub fn is_fatal(&self) -> bool {
        matches!(self, Self::Settings(_) | Self::OldServer { .. })
    }

    pub(crate) fn refused(what: impl Into<String>, err: impl std::fmt::Display) -> Self {
        Self::Refused {
            what: what.into(),
            message: err.to_string(),
        }
    }
}
