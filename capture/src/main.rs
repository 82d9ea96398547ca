//! `sym-capture`: the capture agents of one or more engines, as a service.

use clap::Parser;
use std::path::PathBuf;
use std::process::ExitCode;
use symstream_capture::Agent;
use symstream_shared::engine::{Engine, EngineError, EngineFolder, Override};
use symstream_shared::telemetry;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Captures the changes of engines' databases until it is asked to stop (SIGTERM, SIGINT).
///
/// Example: sym-capture --engines-dir engines --engine cloud-1
#[derive(Parser)]
#[command(version)]
struct Cli {
    /// An engine to run; all engines of the folder if none is named
    #[arg(long = "engine", value_name = "NAME")]
    engines: Vec<String>,
    /// The folder with the engine files [default: $SYM_ENGINES_DIR or ./engines]
    #[arg(long, value_name = "DIR")]
    engines_dir: Option<PathBuf>,
    /// An engine key or a parameter; goes before the files, sym_parameter and the environment; may be given
    /// several times
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
    let mut agents = JoinSet::new();
    for engine in engines {
        let shutdown = shutdown.clone();
        agents.spawn(async move {
            let name = engine.name.clone();
            Agent::new(engine).run(shutdown).await.map_err(|err| (name, err))
        });
    }
    tokio::spawn(stop_on_signal(shutdown.clone()));
    let mut exit = ExitCode::SUCCESS;
    while let Some(ended) = agents.join_next().await {
        match ended {
            Ok(Ok(())) => {}
            Ok(Err((engine, err))) => {
                tracing::error!(%engine, error = %err, "capture gives up; other engines go on");
                exit = ExitCode::FAILURE;
            }
            Err(err) => {
                tracing::error!(error = %err, "a capture agent ended unexpectedly");
                exit = ExitCode::FAILURE;
            }
        }
    }
    exit
}

fn load(cli: Cli) -> Result<Vec<Engine>, EngineError> {
    EngineFolder::new(cli.engines_dir, cli.overrides).engines(&cli.engines)
}

/// The first signal lets batches in hand finish; the second ends the process.
async fn stop_on_signal(shutdown: CancellationToken) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::error!("signals can not be caught; the service stops only when it is killed");
        return;
    };
    for round in 0..2 {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        if round == 1 {
            std::process::exit(1);
        }
        shutdown.cancel();
    }
}
