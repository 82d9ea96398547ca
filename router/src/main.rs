//! `sym-router`: the router as a service of its own.

use clap::Parser;
use std::path::PathBuf;
use std::process::ExitCode;
use symstream_router::Service;
use symstream_shared::engine::{Engine, EngineError, EngineFolder, Override};
use symstream_shared::telemetry;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Routes captured changes to the nodes that get them; where an engine has no registration.url, also registers
/// nodes and publishes the configuration.
///
/// Example: sym-router --engines-dir /etc/symstream/engines --engine cloud
#[derive(Parser)]
#[command(name = "sym-router", version)]
struct Cli {
    /// An engine to run; all in the folder where none is given.
    #[arg(long = "engine", value_name = "NAME")]
    engines: Vec<String>,
    /// The folder of the engine files [default: $SYM_ENGINES_DIR or ./engines].
    #[arg(long, value_name = "DIR")]
    engines_dir: Option<PathBuf>,
    /// An engine key or a parameter; goes before the files, sym_parameter and the environment; may be given
    /// several times.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<Override>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    telemetry::init();
    let engines = match load(cli) {
        Ok(engines) => engines,
        Err(err) => {
            tracing::error!("{err}");
            return ExitCode::from(2);
        }
    };
    let shutdown = CancellationToken::new();
    if let Err(err) = stop_on_signals(shutdown.clone()) {
        tracing::error!(error = %err, "signals can not be heard");
        return ExitCode::FAILURE;
    }
    let mut services = JoinSet::new();
    for engine in engines {
        let name = engine.name.clone();
        let run = Service::new(engine).run(shutdown.clone());
        services.spawn(async move { (name, run.await) });
    }
    let mut status = ExitCode::SUCCESS;
    while let Some(ended) = services.join_next().await {
        match ended {
            Ok((_, Ok(()))) => continue,
            Ok((name, Err(err))) => tracing::error!(engine = %name, "{err}"),
            Err(err) => tracing::error!(error = %err, "the router crashed"),
        }
        status = ExitCode::FAILURE;
        shutdown.cancel();
    }
    status
}

fn load(cli: Cli) -> Result<Vec<Engine>, EngineError> {
    EngineFolder::new(cli.engines_dir, cli.overrides).engines(&cli.engines)
}

/// The first SIGTERM or SIGINT stops after the batches in hand, the second at once.
fn stop_on_signals(shutdown: CancellationToken) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if shutdown.is_cancelled() {
                std::process::exit(1);
            }
            shutdown.cancel();
        }
    });
    Ok(())
}
