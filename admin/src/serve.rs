//! Runs the services of engines in one process, until it is asked to stop or one of them gives up.

use crate::failure::Failure;
use clap::ValueEnum;
use std::collections::HashMap;
use std::fmt;
use std::time::Duration;
use symstream_shared::engine::Engine;
use symstream_shared::id::EngineName;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

/// How long services may take to finish what they have in hand.
const STOP_WITHIN: Duration = Duration::from_secs(30);

/// A service that an engine can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, ValueEnum)]
pub enum Role {
    /// Reads changes out of the engine's database
    Capture,
    /// Decides which nodes get a change; registers nodes
    Router,
    /// Passes on the registrations of nodes that are sent to the engine: the part of the router role that each engine has
    /// for itself
    #[value(skip)]
    Relay,
    /// Brings batches into the engine's database
    Loader,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Capture => "capture",
            Self::Router => "router",
            Self::Relay => "relay",
            Self::Loader => "loader",
        })
    }
}

/// One service of one engine.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Service {
    engine: EngineName,
    role: Role,
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "engine {}, {}", self.engine, self.role)
    }
}

/// Which engine gets which roles. `asked` empty: capture and loader for each, the router where an engine is the
/// registration server. A router serves all nodes of a registration server, so each server gets one in this
/// process: the server's own engine has it, if it is among them. Nodes may be
/// sent to any other engine to be registered: its router passes that on, or a relay where another engine has the router.
pub fn plan(engines: &[Engine], asked: &[Role]) -> Vec<(Engine, Role)> {
    let wants = |role: Role| asked.contains(&role) || (asked.is_empty() && role != Role::Router);
    let mut services = Vec::new();
    for engine in engines {
        let is_first_of_server = || {
            let own = |other: &&Engine| other.is_registration_server() && other.server() == engine.server();
            let first = engines.iter().find(own);
            let first = first.or_else(|| engines.iter().find(|other| other.server() == engine.server()));
            first.is_some_and(|first| first.name == engine.name)
        };
        let routes = match asked.is_empty() {
            true => engine.is_registration_server(),
            false => asked.contains(&Role::Router) && is_first_of_server(),
        };
        let relays = !routes && asked.contains(&Role::Router) && !engine.is_registration_server();
        let roles = [
            (Role::Router, routes),
            (Role::Relay, relays),
            (Role::Capture, wants(Role::Capture)),
            (Role::Loader, wants(Role::Loader)),
        ];
        services.extend(
            roles
                .into_iter()
                .filter(|(_, runs)| *runs)
                .map(|(role, _)| (engine.clone(), role)),
        );
    }
    services
}

/// Runs services until SIGTERM or SIGINT. Then, or when one of them gives up, all finish what they have in hand;
/// a second signal ends the process at once.
///
/// # Errors
/// [`Failure::Failed`] that names the first service that gave up, or those that did not stop in time.
pub async fn run(services: Vec<(Engine, Role)>) -> Result<(), Failure> {
    let no_signals = |err: std::io::Error| Failure::Failed(format!("signals can not be received: {err}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(no_signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(no_signals)?;
    let shutdown = CancellationToken::new();
    let mut running = Running::start(services, &shutdown);

    // 1. Work until a signal, or until a service ends by itself: that is news, whatever it says.
    let mut outcome = Ok(());
    // Why the first service gave up: the process's last line says it.
    let mut reason: Option<String> = None;
    tokio::select! {
        biased;
        name = next_signal(&mut terminate, &mut interrupt) => tracing::info!("{name}: stopping"),
        Some(ended) = running.next() => {
            let failure = ended.failure.unwrap_or_else(|| "ended without being asked to".to_owned());
            tracing::warn!("{}: gave up; stopping the other services", ended.service);
            outcome = Err(Failure::Failed(format!("{}: {failure}", ended.service)));
            reason = Some(failure);
        }
    }

    // 2. Ask all to stop, and wait for them; nobody waits for a second signal, or beyond the deadline.
    shutdown.cancel();
    let deadline = tokio::time::sleep(STOP_WITHIN);
    tokio::pin!(deadline);
    loop {
        tokio::select! {
            biased;
            name = next_signal(&mut terminate, &mut interrupt) => {
                return Err(Failure::Failed(format!("a second {name}: stopped at once")));
            }
            () = &mut deadline => {
                let names = running.names();
                return Err(Failure::Failed(format!("not stopped within {} s: {names}", STOP_WITHIN.as_secs())));
            }
            ended = running.next() => match ended {
                None => return outcome,
                Some(Ended { service, failure: None }) => tracing::info!("{service}: stopped"),
                Some(Ended { service, failure: Some(failure) }) => {
                    match &reason {
                        None => {
                            outcome = Err(Failure::Failed(format!("{service}: {failure}")));
                            reason = Some(failure);
                        }
                        Some(reason) if is_same(reason, &failure) => {
                            tracing::warn!("{service}: gave up for the same reason");
                        }
                        Some(_) => tracing::error!(error = %failure, "{service}: gave up"),
                    }
                }
            },
        }
    }
}

/// Whether two services failed with the same: what each was doing stands in front of it.
fn is_same(one: &str, other: &str) -> bool {
    let cause = |text: &str| {
        text.split_once(": ")
            .map_or_else(|| text.to_owned(), |(_, cause)| cause.to_owned())
    };
    one == other || cause(one) == cause(other)
}

async fn next_signal(terminate: &mut Signal, interrupt: &mut Signal) -> &'static str {
    tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    }
}

/// A service that ended, with why when it was not asked to.
struct Ended {
    service: Service,
    failure: Option<String>,
}

/// The services' tasks. Dropped, they are aborted.
struct Running {
    tasks: JoinSet<Result<(), String>>,
    services: HashMap<Id, Service>,
}

impl Running {
    fn start(services: Vec<(Engine, Role)>, shutdown: &CancellationToken) -> Self {
        let mut running = Self {
            tasks: JoinSet::new(),
            services: HashMap::new(),
        };
        for (engine, role) in services {
            let service = Service {
                engine: engine.name.clone(),
                role,
            };
            tracing::info!("{service}: starting");
            let span = tracing::info_span!("engine", name = %engine.name, %role);
            let task = run_one(engine, role, shutdown.clone()).instrument(span);
            let id = running.tasks.spawn(task).id();
            running.services.insert(id, service);
        }
        running
    }

    /// The next service that ends; `None` when all have.
    async fn next(&mut self) -> Option<Ended> {
        let ended = self.tasks.join_next_with_id().await?;
        let id = match &ended {
            Ok((id, _)) => *id,
            Err(err) => err.id(),
        };
        let service = self.services.remove(&id)?;
        let failure = match ended {
            Ok((_, result)) => result.err(),
            Err(err) => Some(panic_message(err)),
        };
        Some(Ended { service, failure })
    }

    fn names(&self) -> String {
        self.services
            .values()
            .map(Service::to_string)
            .collect::<Vec<_>>()
            .join("; ")
    }
}

fn panic_message(err: JoinError) -> String {
    match err.try_into_panic() {
        Ok(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("for no known reason");
            format!("panicked: {text}")
        }
        Err(err) => err.to_string(),
    }
}

async fn run_one(engine: Engine, role: Role, shutdown: CancellationToken) -> Result<(), String> {
    match role {
        Role::Router => symstream_router::Service::new(engine)
            .run(shutdown)
            .await
            .map_err(|err| err.to_string()),
        Role::Relay => symstream_router::RelayService::new(engine)
            .run(shutdown)
            .await
            .map_err(|err| err.to_string()),
        Role::Capture => symstream_capture::Agent::new(engine)
            .run(shutdown)
            .await
            .map_err(|err| err.to_string()),
        Role::Loader => symstream_loader::Agent::new(engine)
            .run(shutdown)
            .await
            .map_err(|err| err.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use symstream_shared::db::ConnectOptions;
    use symstream_shared::engine::{NatsOptions, ServerUrl, Settings};

    fn engine(name: &str, server: Option<&str>) -> Engine {
        let url = |server: &str| ServerUrl {
            nats: "nats://h".into(),
            engine: server.parse().expect("id"),
        };
        Engine {
            name: name.parse().expect("id"),
            group: "g".parse().expect("id"),
            external_id: name.parse().expect("id"),
            db: ConnectOptions {
                url: "sqlite://x.db".to_owned().into(),
                user: None,
                password: None,
                init_sql: None,
            },
            registration_url: server.map(url),
            registration_secret: Default::default(),
            nats: NatsOptions::default(),
            table_prefix: "sym".into(),
            settings: Settings::default(),
        }
    }

    fn planned(engines: &[Engine], asked: &[Role]) -> Vec<String> {
        plan(engines, asked)
            .iter()
            .map(|(engine, role)| format!("{} {role}", engine.name))
            .collect()
    }

    #[test]
    fn a_router_runs_where_the_registration_server_is() {
        let engines = [engine("a", Some("s")), engine("s", None)];
        assert_eq!(
            planned(&engines, &[]),
            ["a capture", "a loader", "s router", "s capture", "s loader"]
        );
        assert_eq!(planned(&engines[..1], &[]), ["a capture", "a loader"]);
    }

    #[test]
    fn roles_that_are_asked_for_run_and_no_others() {
        let engines = [engine("a", Some("s")), engine("b", Some("s")), engine("s", None)];
        assert_eq!(
            planned(&engines, &[Role::Router]),
            ["a relay", "b relay", "s router"]
        );
        assert_eq!(planned(&engines[..2], &[Role::Router]), ["a router", "b relay"]);
        assert_eq!(planned(&engines[..1], &[Role::Loader]), ["a loader"]);
    }
}
