//! Logging: to stderr, filtered by `SYM_LOG` (default `info`).

use tracing_subscriber::EnvFilter;

/// Starts logging for this process. Called once, at the start of each service binary.
pub fn init() {
    let filter = EnvFilter::try_from_env("SYM_LOG")
        .unwrap_or_else(|_| EnvFilter::new("info,async_nats=off,sqlx=warn"));
    let started = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .try_init();
    if let Err(err) = started {
        eprintln!("logging was started before: {err}");
    }
}
