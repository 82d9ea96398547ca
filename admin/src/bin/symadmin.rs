//! `symadmin`: the operator's commands.

use clap::Parser;
use std::process::ExitCode;
use symstream_admin::commands::{self, Command};
use symstream_admin::engine_args::EngineArgs;
use symstream_admin::failure;

/// Looks after the nodes of a SymStream deployment.
#[derive(Debug, Parser)]
#[command(
    name = "symadmin",
    version,
    after_help = "Example:\n  symadmin --engine cloud-1 status"
)]
struct Cli {
    #[command(flatten)]
    engine: EngineArgs,
    #[command(subcommand)]
    command: Command,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let cli: Cli = failure::parse();
    failure::exit(commands::run(&cli.engine, cli.command).await)
}
