//! The servers that tests run against.

mod mariadb;
mod nats;
mod postgres;
mod template;

pub use mariadb::MariaDb;
pub use nats::NatsServer;
pub use postgres::{PostgresOptions, PostgresServer};

use std::time::Duration;

/// How long a server may take to start or to stop.
const PATIENCE: Duration = Duration::from_secs(60);

/// The user who runs the tests is root.
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0)
}
