//! `symadmin uninstall`

use crate::confirm::confirm;
use crate::engine_args::EngineContext;
use crate::failure::Failure;
use symstream_capture::sync_triggers::drop_all_triggers;
use symstream_shared::schema;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

pub(super) async fn run(context: &EngineContext, args: &Args) -> Result<(), Failure> {
    context.require_tables().await?;
    let engine = &context.engine.name;
    if !args.yes {
        confirm(&format!(
            "This removes the {} tables of engine {engine} with its identity, its configuration and every change \
             that is not delivered yet. The engine must not run. Go on?",
            context.tables
        ))?;
    }
    // The triggers first: without their tables they would make the application's statements fail.
    let report = drop_all_triggers(&context.database, &context.tables).await?;
    schema::drop_all(&context.database, &context.tables).await?;
    eprintln!(
        "removed the triggers of {} tables and the {} tables of engine {engine}",
        report.removed.len(),
        context.tables
    );
    Ok(())
}
