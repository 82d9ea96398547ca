//! What the measurements share.

use crate::engine::{EngineFile, Engines};
use crate::eventually::eventually;
use crate::network::{SERVICES, Site};
use crate::server::{PostgresOptions, PostgresServer};
use std::fmt::Display;
use std::time::{Duration, Instant};

/// A PostgreSQL server as in production: it waits for its disk, and has memory.
///
/// # Panics
/// When it does not start.
pub async fn durable_postgres() -> PostgresServer {
    let settings = [
        "wal_level=logical",
        "shared_buffers=512MB",
        "max_wal_size=4GB",
        "checkpoint_timeout=30min",
    ];
    let settings = settings.map(str::to_owned).to_vec();
    PostgresServer::start_with(PostgresOptions {
        durable: true,
        settings,
    })
    .await
}

/// A node whose database is there already, without any process.
pub fn site(engines: &Engines, engine: EngineFile, database: &crate::database::TestDatabase) -> Site {
    engines.write(&engine);
    Site {
        engine,
        database: database.clone(),
        processes: Vec::new(),
    }
}

/// Starts a site's services, each in a process of its own, and the router where it is the registration server.
///
/// # Panics
/// When one can not be started.
pub fn run_services(engines: &Engines, site: &mut Site) {
    let is_server = site.engine.get("registration.url").is_empty();
    for service in SERVICES.into_iter().chain(is_server.then_some("sym-router")) {
        let name = format!("{}.{service}", site.engine.name);
        let args = ["--engine", &site.engine.name];
        site.processes.push(engines.start(&name, service, &args));
    }
}

/// Waits until a query of a site's database gives `expected`; returns how long that took.
///
/// # Panics
/// When it takes too long.
pub async fn until(
    site: &Site,
    what: impl Display,
    sql: &str,
    expected: &str,
    patience: Duration,
) -> Duration {
    let begin = Instant::now();
    eventually(patience, what, || async {
        let found = site.database.try_rows(sql).await.map_err(|err| err.to_string())?;
        if found == [[expected]] {
            Ok(())
        } else {
            Err(format!("{found:?}"))
        }
    })
    .await;
    begin.elapsed()
}

/// A percentile of durations, in milliseconds; 0 where there is none.
pub fn percentile(durations: &[Duration], percent: usize) -> f64 {
    let mut sorted = durations.to_vec();
    sorted.sort();
    let index = sorted.len().saturating_sub(1) * percent / 100;
    sorted.get(index).map_or(0.0, |one| one.as_secs_f64() * 1000.0)
}

/// A number in an environment variable, else `default`.
pub fn setting(name: &str, default: u64) -> u64 {
    crate::seeds::number(name).unwrap_or(default)
}

/// How many in a second.
#[allow(clippy::cast_precision_loss)]
pub fn rate(count: u64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}
