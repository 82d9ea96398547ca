//! `symadmin sync-triggers`

use crate::engine_args::EngineContext;
use crate::failure::Failure;
use crate::listing::print_text;
use symstream_capture::sync_triggers::{Note, SyncReport, sync_triggers};
use symstream_shared::model;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Change nothing, only print the SQL
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn run(context: &EngineContext, args: &Args) -> Result<(), Failure> {
    context.require_tables().await?;
    let config = model::local_configuration(&mut context.database.conn().await?, &context.tables)
        .await
        .map_err(|err| Failure::Failed(err.to_string()))?;
    let group = &context.engine.group;
    let report = sync_triggers(&context.database, &context.tables, &config, group, args.dry_run).await?;
    print_text(&statements(&report));
    for Note {
        trigger_id,
        table,
        message,
    } in &report.warnings
    {
        eprintln!("warning: trigger {trigger_id}, table {table}: {message}");
    }
    let would = if args.dry_run { "would be " } else { "" };
    eprintln!(
        "engine {}: {} triggers {would}built, {} {would}removed, {} up to date",
        context.engine.name,
        report.built.len(),
        report.removed.len(),
        report.unchanged
    );
    match report.problems.as_slice() {
        [] => Ok(()),
        problems => {
            let problems: Vec<_> = problems.iter().map(Note::to_string).collect();
            Err(Failure::Failed(problems.join("; ")))
        }
    }
}

/// The SQL that was run, or would be.
fn statements(report: &SyncReport) -> String {
    let built = report
        .built
        .iter()
        .map(|built| (&built.trigger_id, &built.table, &built.statements));
    let removed = report
        .removed
        .iter()
        .map(|removed| (&removed.trigger_id, &removed.table, &removed.statements));
    let mut text = String::new();
    for (trigger, table, statements) in built.chain(removed) {
        text.push_str(&format!("-- trigger {trigger}, table {table}\n"));
        for statement in statements {
            text.push_str(statement.trim_end());
            text.push_str(";\n");
        }
    }
    text
}
