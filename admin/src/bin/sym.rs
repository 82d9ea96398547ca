//! `sym`: runs capture, router and loader of any engines in one process.

use clap::Parser;
use std::path::PathBuf;
use std::process::ExitCode;
use symstream_admin::engine_args::EngineContext;
use symstream_admin::failure::{self, Failure};
use symstream_admin::serve::{self, Role};
use symstream_shared::engine::{EngineFolder, Override};
use symstream_shared::telemetry;

/// Runs engines until SIGTERM or SIGINT, then finishes the batch in hand.
#[derive(Debug, Parser)]
#[command(
    name = "sym",
    version,
    after_help = "Examples:\n  sym --engine cloud-1\n  sym --engines-dir /etc/symstream/engines --roles capture,loader"
)]
struct Cli {
    /// An engine to run; may be given several times [default: all of the engines folder]
    #[arg(long = "engine", value_name = "NAME")]
    engines: Vec<String>,
    /// The folder with the engines' files [default: $SYM_ENGINES_DIR, else ./engines]
    #[arg(long, value_name = "DIR")]
    engines_dir: Option<PathBuf>,
    /// What to run for each engine [default: capture,loader, and router for a registration server]
    #[arg(long, value_name = "ROLES", value_delimiter = ',')]
    roles: Vec<Role>,
    /// An engine key or a parameter; goes before the files, sym_parameter and the environment; may be given
    /// several times
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<Override>,
    /// Only check the engine files
    #[arg(long)]
    check_config: bool,
}

fn main() -> ExitCode {
    let cli: Cli = failure::parse();
    let result = match tokio::runtime::Runtime::new() {
        Ok(runtime) => {
            let result = runtime.block_on(run(cli));
            // What did not stop in time must not keep the process.
            runtime.shutdown_background();
            result
        }
        Err(err) => Err(Failure::Failed(format!(
            "the process can not start its threads: {err}"
        ))),
    };
    failure::exit(result)
}

async fn run(cli: Cli) -> Result<(), Failure> {
    let engines = EngineFolder::new(cli.engines_dir, cli.overrides).engines(&cli.engines)?;
    for engine in &engines {
        EngineContext::new(engine.clone())?;
    }
    if cli.check_config {
        for engine in &engines {
            eprintln!(
                "engine {} of group {}: its file is valid",
                engine.name, engine.group
            );
        }
        return Ok(());
    }
    telemetry::init();
    serve::run(serve::plan(&engines, &cli.roles)).await
}
