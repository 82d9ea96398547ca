//! The typed groups of settings.

use crate::id::EngineName;
use secrecy::SecretString;
use std::path::PathBuf;
use std::time::Duration;

/// Where the registration server is: `nats://host:port/<engine name>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerUrl {
    /// The NATS server, e.g. `nats://host:4222`.
    pub nats: String,
    /// The registration server's engine.
    pub engine: EngineName,
}

/// How to reach NATS, and who to be there.
#[derive(Debug, Clone, Default)]
pub struct NatsOptions {
    /// `nats.url`: one or more servers of one cluster.
    pub urls: Vec<String>,
    /// `nats.user`.
    pub user: Option<String>,
    /// `nats.password`, or what the file `nats.password.file` holds.
    pub password: Option<SecretString>,
    /// `nats.creds`: a credentials file.
    pub creds: Option<PathBuf>,
    /// `nats.nkey`: a file with the user's nkey seed.
    pub nkey: Option<PathBuf>,
    /// `nats.tls.ca`: a file with the certificates to trust; the system's where it is not given.
    pub tls_ca: Option<PathBuf>,
    /// `nats.tls.cert`: a file with the client's certificate.
    pub tls_cert: Option<PathBuf>,
    /// `nats.tls.key`: a file with the client's key.
    pub tls_key: Option<PathBuf>,
}

/// What can be tuned. Every setting has a default that is safe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `capture.poll.interval.max`, in milliseconds: how long the reader of a database that sends no notifications
    /// (MySQL, SQLite) waits between two looks when nothing happens; it looks every 5 ms while something does.
    /// Default 100, least 10. Lower costs queries, higher costs latency after a pause.
    pub capture_poll_interval_max: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            capture_poll_interval_max: Duration::from_millis(100),
        }
    }
}
