//! `symadmin sync-triggers`

use crate::engine_args::EngineContext;
use crate::failure::Failure;
use crate::listing::print_text;
use symstream_capture::sync_triggers::{
    BuildReason, Built, Note, Removed, SyncReport, Updated, sync_triggers,
};
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

/// The SQL that was run, or would be, with why.
fn statements(report: &SyncReport) -> String {
    let mut text = String::new();
    for built in &report.built {
        let Built {
            trigger_id, table, ..
        } = built;
        text.push_str(&format!(
            "-- trigger {trigger_id}, table {table}: {}\n",
            why(built)
        ));
        add_statements(&mut text, &built.statements);
    }
    for removed in &report.removed {
        let Removed {
            trigger_id, table, ..
        } = removed;
        text.push_str(&format!(
            "-- trigger {trigger_id}, table {table}: not configured any more\n"
        ));
        add_statements(&mut text, &removed.statements);
    }
    text
}

fn add_statements(text: &mut String, statements: &[String]) {
    for statement in statements {
        text.push_str(statement.trim_end());
        text.push_str(";\n");
    }
}

/// As `sym_trigger_hist.last_trigger_build_reason` has it, in words.
fn why(built: &Built) -> String {
    let reason = match built.reason {
        BuildReason::New => "new",
        BuildReason::SchemaChanged => "the table has changed",
        BuildReason::ConfigurationChanged => "the configuration, or the table's other triggers, have changed",
        BuildReason::TriggerMissing => "it was missing",
    };
    let updated = built.updated.as_ref().map(|Updated { by, time }| {
        let by = by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
        let at = time
            .as_ref()
            .map(|time| format!(" at {time}"))
            .unwrap_or_default();
        format!(", last updated{by}{at}")
    });
    format!(
        "{reason} ({}){}",
        built.reason.as_str(),
        updated.unwrap_or_default()
    )
}
