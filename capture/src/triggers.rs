//! The loop that keeps the triggers as the configuration and the tables want them.

use crate::error::Error;
use crate::source::Source;
use crate::sync_triggers::{BusyTables, SyncReport, sync_sparing};
use std::convert::Infallible;
use std::time::Duration;
use symstream_shared::db::TxKind;
use symstream_shared::model::{Config, local_configuration};
use tokio::sync::watch;

/// How often the tables are compared with their histories: an `alter table` is noticed within this time.
const LOOK_EVERY: Duration = Duration::from_secs(3);

/// Synchronises the triggers whenever `changed` changes, and every [`LOOK_EVERY`].
pub(crate) async fn run(source: Source, mut changed: watch::Receiver<u64>) -> Result<Infallible, Error> {
    let mut said = Vec::new();
    let mut busy = BusyTables::default();
    loop {
        changed.borrow_and_update();
        sync_once(&source, &mut said, &mut busy).await?;
        // A sender that is gone means that the agent stops; the timeout makes no hot loop of it.
        if let Ok(Err(_)) = tokio::time::timeout(LOOK_EVERY, changed.changed()).await {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

/// One synchronisation with the configuration in the node's own tables. `said` are the notes that were logged, which
/// are not repeated as long as they stay; `busy` the tables that are left alone for a while.
async fn sync_once(source: &Source, said: &mut Vec<String>, busy: &mut BusyTables) -> Result<(), Error> {
    let config = own_configuration(source).await?;
    let report = sync_sparing(
        &source.database,
        &source.tables,
        &config,
        &source.engine.group,
        false,
        busy,
    )
    .await?;
    say(&report, said);
    Ok(())
}

/// The configuration in the node's own tables.
pub(crate) async fn own_configuration(source: &Source) -> Result<Config, Error> {
    let mut tx = source.database.begin(TxKind::ReadOnly).await?;
    let config = local_configuration(&mut tx, &source.tables).await?;
    tx.rollback().await?;
    Ok(config)
}

fn say(report: &SyncReport, said: &mut Vec<String>) {
    for built in &report.built {
        let updated = built.updated.as_ref();
        tracing::info!(
            table = %built.table,
            trigger = %built.trigger_id,
            reason = %built.reason,
            last_updated_by = updated.and_then(|updated| updated.by.as_deref()),
            last_updated_time = updated.and_then(|updated| updated.time.as_deref()),
            "triggers built"
        );
    }
    for removed in &report.removed {
        tracing::info!(table = %removed.table, trigger = %removed.trigger_id, "triggers removed");
    }
    let problems: Vec<String> = report.problems.iter().map(ToString::to_string).collect();
    let warnings: Vec<String> = report.warnings.iter().map(ToString::to_string).collect();
    for problem in problems.iter().filter(|problem| !said.contains(problem)) {
        tracing::error!("{problem}");
    }
    for warning in warnings.iter().filter(|warning| !said.contains(warning)) {
        tracing::warn!("{warning}");
    }
    *said = problems.into_iter().chain(warnings).collect();
}
