//! The service: connects, starts the loops, ends them.

use crate::configuration_cache::ConfigurationCache;
use crate::error::Error;
use crate::forgotten::ForgottenTriggers;
use crate::registrar::{Registrar, Relay};
use crate::removed::RemovedSources;
use crate::route::BatchRouter;
use crate::{held, partition};
use std::sync::Arc;
use std::time::Duration;
use symstream_nats::{Bus, PARTITION_COUNT};
use symstream_shared::engine::Engine;
use symstream_shared::hostname::hostname;
use symstream_shared::retry::Backoff;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

/// How long the batches in hand may take once the service was asked to stop.
const STOP_WITHIN: Duration = Duration::from_secs(20);

/// The router of one engine. Where the engine has a `registration.url` it routes only; else it is the
/// registration server's and runs the registrar too. As many may run as wanted.
pub struct Service {
    engine: Engine,
}

impl Service {
    /// Prepares the service; nothing is connected yet.
    pub fn new(engine: Engine) -> Self {
        Self { engine }
    }

    /// Runs until `shutdown`. Waits for NATS and the database however long they are away. When asked to stop:
    ///
    /// 1. no new message, request or poll is begun;
    /// 2. batches in hand are finished and acknowledged, for at most 20 s; what is not comes again;
    /// 3. what is still buffered for NATS is sent.
    ///
    /// # Errors
    /// [`Error`] for what a person has to change: settings, logins, a server that is too old.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Error> {
        let Some(bus) = connect(&self.engine, &shutdown).await? else {
            return Ok(());
        };
        let stop = shutdown.child_token();
        let mut loops: JoinSet<Result<(), Error>> = JoinSet::new();
        if self.engine.is_registration_server() {
            let Some(registrar) = Registrar::open(&self.engine, &bus, &shutdown).await? else {
                return Ok(());
            };
            loops.spawn(registrar.clone().publish_configurations(stop.clone()));
            loops.spawn(registrar.clone().answer_registrations(stop.clone()));
            loops.spawn(registrar.clone().watch_openings(stop.clone()));
            loops.spawn(registrar.clone().clear_up(stop.clone()));
            loops.spawn(registrar.clone().free_lanes(stop.clone()));
            loops.spawn(registrar.record_heartbeats(stop.clone()));
        } else {
            let relay = Relay::new(self.engine.clone(), bus.clone())?;
            loops.spawn(relay.run(stop.clone()));
        }
        let router = Arc::new(BatchRouter {
            bus: bus.clone(),
            configurations: ConfigurationCache::new(bus.clone(), self.engine.server().clone()),
            hostname: hostname(),
            forgotten: ForgottenTriggers::default(),
            removed: RemovedSources::default(),
        });
        for number in 0..PARTITION_COUNT {
            let loop_run = partition::run(router.clone(), number, stop.clone());
            loops.spawn(async move {
                loop_run.await;
                Ok(())
            });
        }
        let held_run = held::run(router, stop.clone());
        loops.spawn(async move {
            held_run.await;
            Ok(())
        });
        tracing::info!(engine = %self.engine.name, registrar = self.engine.is_registration_server(), "router runs");
        let ended = wait(&mut loops, &stop).await;
        if let Err(err) = bus.flush().await {
            tracing::debug!(error = %err, "the connection to nats ended unflushed");
        }
        ended
    }
}

/// Only what a router does for its own engine where that has a `registration.url`: it passes on the registrations of nodes
/// that are sent to it. For processes in which another engine has the router.
pub struct RelayService {
    engine: Engine,
}

impl RelayService {
    /// Prepares the service; nothing is connected yet.
    pub fn new(engine: Engine) -> Self {
        Self { engine }
    }

    /// Runs until `shutdown`. Waits for NATS however long it is away.
    ///
    /// # Errors
    /// [`Error`] for what a person has to change.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Error> {
        let Some(bus) = connect(&self.engine, &shutdown).await? else {
            return Ok(());
        };
        Relay::new(self.engine, bus)?.run(shutdown).await
    }
}

/// `None` when asked to stop.
async fn connect(engine: &Engine, shutdown: &CancellationToken) -> Result<Option<Bus>, Error> {
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(10));
    loop {
        match Bus::connect(engine, "router").await {
            Ok(bus) => return Ok(Some(bus)),
            Err(err) if err.is_fatal() => return Err(err.into()),
            Err(err) => {
                if backoff.attempts() == 0 {
                    tracing::warn!(error = %err, "waiting for nats");
                }
            }
        }
        tokio::select! {
            () = shutdown.cancelled() => return Ok(None),
            () = tokio::time::sleep(backoff.next_pause()) => {}
        }
    }
}

/// Waits for all loops; the first error stops the others.
async fn wait(loops: &mut JoinSet<Result<(), Error>>, stop: &CancellationToken) -> Result<(), Error> {
    let mut first_error = None;
    loop {
        let ended = tokio::select! {
            biased;
            ended = loops.join_next() => ended,
            () = deadline(stop) => {
                tracing::warn!("batches in hand were not finished in time; they come again");
                loops.shutdown().await;
                break;
            }
        };
        match ended {
            None => break,
            Some(Ok(Ok(()))) => {}
            Some(Ok(Err(err))) => {
                stop.cancel();
                first_error.get_or_insert(err);
            }
            Some(Err(err)) => {
                stop.cancel();
                first_error.get_or_insert(crashed(&err));
            }
        }
    }
    first_error.map_or(Ok(()), Err)
}

async fn deadline(stop: &CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(STOP_WITHIN).await;
}

fn crashed(err: &JoinError) -> Error {
    Error::Crashed(err.to_string())
}
