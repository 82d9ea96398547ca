//! The loader as a service of its own.

use clap::Parser;
use std::path::PathBuf;
use std::process::ExitCode;
use symstream_loader::{Agent, Error};
use symstream_shared::engine::{Engine, EngineError, EngineFolder, Override};
use symstream_shared::telemetry;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Applies batches to the databases of engines.
#[derive(Parser)]
#[command(name = "sym-loader", version)]
struct Cli {
    /// An engine to load; all engines of the folder where none is named.
    #[arg(long = "engine", value_name = "NAME")]
    engines: Vec<String>,
    /// The folder with the engines' files [default: $SYM_ENGINES_DIR, else ./engines].
    #[arg(long, value_name = "DIR")]
    engines_dir: Option<PathBuf>,
    /// An engine key or a parameter; goes before the files, sym_parameter and the environment; may be given
    /// several times.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<Override>,
}

impl Cli {
    fn load(self) -> Result<Vec<Engine>, EngineError> {
        EngineFolder::new(self.engines_dir, self.overrides).engines(&self.engines)
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    telemetry::init();
    let engines = match cli.load() {
        Ok(engines) => engines,
        Err(err) => {
            tracing::error!(error = %err, "engines are not loaded");
            return ExitCode::from(2);
        }
    };
    let shutdown = CancellationToken::new();
    tokio::spawn(stop_on_signal(shutdown.clone()));
    let mut agents = JoinSet::new();
    for engine in engines {
        let name = engine.name.clone();
        let agent = Agent::new(engine).run(shutdown.clone());
        agents.spawn(async move { (name, agent.await) });
    }
    let mut code = ExitCode::SUCCESS;
    while let Some(ended) = agents.join_next().await {
        match ended {
            Ok((_, Ok(()))) => {}
            Ok((engine, Err(err))) => {
                code = ExitCode::FAILURE;
                report(&engine.to_string(), &err);
            }
            Err(err) => {
                code = ExitCode::FAILURE;
                tracing::error!(error = %err, "a loader ended unexpectedly");
            }
        }
    }
    code
}

fn report(engine: &str, err: &Error) {
    tracing::error!(%engine, error = %err, "the loader gives up; other engines go on");
}

/// The first signal lets batches in hand finish; the second ends the process.
async fn stop_on_signal(shutdown: CancellationToken) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::error!("signals can not be caught; the loader stops only when it is killed");
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
