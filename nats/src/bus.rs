//! The connection.

use crate::error::BusError;
use crate::subject::Subjects;
use async_nats::jetstream;
use async_nats::{Client, ConnectOptions, Event};
use secrecy::ExposeSecret;
use std::sync::atomic::Ordering;
use std::time::Duration;
use symstream_shared::engine::Engine;
use tokio::sync::watch;

/// How long a publish waits for its acknowledgement. Shorter than a leader change takes (5 s,
/// `spec/messaging.md`, fact 16): the acknowledgements in flight are lost with every connection, and since each
/// publish here is fenced or harmless when repeated, asking again early only shortens the pause after a fault.
const ACK_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a request waits for its answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// Publishes that may wait for their acknowledgements at once.
const ACKS_IN_FLIGHT: usize = 512;

/// Said once in a process, however many of its connections find it.
static NO_LOGIN: std::sync::Once = std::sync::Once::new();

/// A connection to NATS for one engine. Clones share it; it reconnects by itself for ever.
#[derive(Clone)]
pub struct Bus {
    pub(crate) client: Client,
    /// For requests to the JetStream API.
    pub(crate) jetstream: jetstream::Context,
    /// For publishing, with a timeout of its own.
    pub(crate) publishing: jetstream::Context,
    pub(crate) subjects: Subjects,
    pub(crate) address: String,
    connections: watch::Receiver<u64>,
}

impl Bus {
    /// Connects for `engine`; `role` names the connection in the server's lists.
    ///
    /// # Errors
    /// [`BusError::Unreachable`] when no server answers now (try again), [`BusError::Settings`] for
    /// credentials that can not be read or are refused, [`BusError::OldServer`].
    pub async fn connect(engine: &Engine, role: &str) -> Result<Self, BusError> {
        let settings = &engine.nats;
        let address = settings
            .urls
            .iter()
            .map(|url| without_login(url))
            .collect::<Vec<_>>()
            .join(",");
        let unreachable = |message: String| BusError::Unreachable {
            address: address.clone(),
            message,
        };
        let (connected_tx, connections) = watch::channel(0);
        let mut options = ConnectOptions::new()
            .name(format!("{} {role}", engine.name))
            .connection_timeout(Duration::from_secs(5))
            .request_timeout(Some(REQUEST_TIMEOUT))
            .ping_interval(Duration::from_secs(10))
            .max_reconnects(None)
            .reconnect_delay_callback(|attempt| {
                symstream_shared::retry::Backoff::pause_after(
                    Duration::from_millis(50),
                    Duration::from_secs(2),
                    u32::try_from(attempt).unwrap_or(u32::MAX),
                )
            })
            .event_callback(move |event| {
                if matches!(event, Event::Connected) {
                    connected_tx.send_modify(|connections| *connections += 1);
                }
                async move {
                    match event {
                        Event::Connected => tracing::info!("connected to nats"),
                        Event::Disconnected => tracing::warn!("connection to nats lost; reconnecting"),
                        // A denied publish or subscription is silent to its caller; this is where it shows.
                        Event::ServerError(err) => tracing::error!(error = %err, "nats refused something"),
                        other => tracing::debug!(event = %other, "nats"),
                    }
                }
            });
        if let (Some(user), Some(password)) = (&settings.user, &settings.password) {
            options = options.user_and_password(user.clone(), password.expose_secret().to_owned());
        }
        if let Some(nkey) = &settings.nkey {
            let seed = std::fs::read_to_string(nkey)
                .map_err(|err| BusError::Settings(format!("nats.nkey: {}: {err}", nkey.display())))?;
            options = options.nkey(seed.trim().to_owned());
        }
        if let Some(creds) = &settings.creds {
            options = options
                .credentials_file(creds)
                .await
                .map_err(|err| BusError::Settings(format!("nats.creds: {}: {err}", creds.display())))?;
        }
        if let Some(ca) = &settings.tls_ca {
            options = options.add_root_certificates(ca.clone()).require_tls(true);
        }
        if let (Some(cert), Some(key)) = (&settings.tls_cert, &settings.tls_key) {
            options = options
                .add_client_certificate(cert.clone(), key.clone())
                .require_tls(true);
        }
        let client = options
            .connect(settings.urls.as_slice())
            .await
            .map_err(|err| match err.kind() {
                async_nats::ConnectErrorKind::Authentication
                | async_nats::ConnectErrorKind::AuthorizationViolation => BusError::Settings(format!(
                    "nats at {address} refuses the login; check nats.user, nats.password, nats.creds"
                )),
                _ => unreachable(err.to_string()),
            })?;
        let info = client.server_info();
        if !is_new_enough(&info.version) {
            return Err(BusError::OldServer {
                found: info.version,
                address,
            });
        }
        if !info.auth_required {
            NO_LOGIN.call_once(|| {
                tracing::warn!(%address, "nats asks for no login: whoever reaches it can read and change everything");
            });
        }
        let jetstream = jetstream::context::ContextBuilder::new()
            .timeout(REQUEST_TIMEOUT)
            .build(client.clone());
        let publishing = jetstream::context::ContextBuilder::new()
            .timeout(ACK_TIMEOUT)
            .ack_timeout(ACK_TIMEOUT)
            .max_ack_inflight(ACKS_IN_FLIGHT)
            .backpressure_on_inflight(true)
            .build(client.clone());
        Ok(Self {
            client,
            jetstream,
            publishing,
            subjects: Subjects::new(&engine.table_prefix),
            address,
            connections,
        })
    }

    /// How often a connection was made. It grows soon after each, the first one included.
    pub fn connections(&self) -> watch::Receiver<u64> {
        self.connections.clone()
    }

    /// The connection that is there now, by its number: every new one has another. `None` while there is none.
    pub fn connection(&self) -> Option<u64> {
        // The client counts a connection before it says that it is connected.
        let is_connected = self.client.connection_state() == async_nats::connection::State::Connected;
        is_connected.then(|| self.client.statistics().connects.load(Ordering::Acquire))
    }

    /// Sends what is still buffered and waits until the server has it.
    ///
    /// # Errors
    /// [`BusError::Unreachable`] when the connection is lost.
    pub async fn flush(&self) -> Result<(), BusError> {
        self.client.flush().await.map_err(|err| self.unreachable(err))
    }

    pub(crate) fn unreachable(&self, err: impl std::fmt::Display) -> BusError {
        BusError::Unreachable {
            address: self.address.clone(),
            message: err.to_string(),
        }
    }
}

/// A server's address as messages may show it.
fn without_login(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}"),
        (None, Some((_, host))) => host.to_owned(),
        _ => url.to_owned(),
    }
}

/// Atomic publish, consumer reset and what else we rely on came with 2.14 (`spec/messaging.md`, facts 7, 10).
fn is_new_enough(version: &str) -> bool {
    let mut numbers = version
        .split(['.', '-'])
        .map(|number| number.parse::<u32>().unwrap_or(0));
    let (major, minor) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    (major, minor) >= (2, 14)
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_address_shows_no_login() {
        assert_eq!(super::without_login("nats://u:p@h:4222"), "nats://h:4222");
        assert_eq!(super::without_login("u:p@h"), "h");
        assert_eq!(super::without_login("nats://h:4222"), "nats://h:4222");
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(super::is_new_enough("2.15.1"));
        assert!(super::is_new_enough("2.14.0-RC.1"));
        assert!(super::is_new_enough("3.0.0"));
        assert!(!super::is_new_enough("2.9.10"));
        assert!(!super::is_new_enough("junk"));
    }
}
