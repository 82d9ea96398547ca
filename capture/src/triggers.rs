//! The loop that keeps the triggers as the configuration and the tables want them.

mod nightly;
mod notes;

use crate::configuration::in_force;
use crate::error::Error;
use crate::local_time;
use crate::source::{ConfigReceiver, Source};
use crate::sync_triggers::{BusyTables, SyncReport, sync_sparing};
use nightly::Nightly;
use notes::Notes;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use symstream_shared::model::Config;
use time::OffsetDateTime;
use tokio::sync::{Mutex, watch};

/// How often the tables are compared with their histories: an `alter table` is noticed within this time.
const LOOK_EVERY: Duration = Duration::from_secs(3);

/// Synchronises the triggers at the start, whenever `changed` changes, and every [`LOOK_EVERY`].
pub(crate) async fn run(
    source: Source,
    keeper: Arc<Mutex<Keeper>>,
    config: ConfigReceiver,
    mut changed: watch::Receiver<u64>,
) -> Result<Infallible, Error> {
    // Nobody else asks for it: an attempt that failed is over when the next one begins.
    let mut keeper = keeper.lock().await;
    loop {
        changed.borrow_and_update();
        let config = in_force(&source, &config).await?;
        keeper.synchronise(&source, &config, local_time::now()).await?;
        // A sender that is gone means that the agent stops; the timeout makes no hot loop of it.
        if let Ok(Err(_)) = tokio::time::timeout(LOOK_EVERY, changed.changed()).await {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

/// What is remembered from one synchronisation to the next, until the nightly one: of the agent's life, not of an
/// attempt, so that an error neither costs a night nor says everything again.
pub(crate) struct Keeper {
    nightly: Nightly,
    notes: Notes,
    busy: BusyTables,
}

impl Keeper {
    /// Nights count from `now`, which is in local time.
    pub(crate) fn new(now: OffsetDateTime) -> Self {
        Self {
            nightly: Nightly::from(now),
            notes: Notes::default(),
            busy: BusyTables::default(),
        }
    }

    /// One synchronisation. The nightly one (`sync.triggers.time`)
    /// says again what is the matter, and leaves no table alone. Returns what was said.
    async fn synchronise(
        &mut self,
        source: &Source,
        config: &Config,
        now: OffsetDateTime,
    ) -> Result<Vec<String>, Error> {
        let minute = source.parameters.borrow().sync_triggers_minute;
        let is_nightly = self.nightly.is_due(now, minute);
        if is_nightly {
            self.notes = Notes::default();
            self.busy = BusyTables::default();
        }
        let report = sync_sparing(
            &source.database,
            &source.tables,
            config,
            &source.engine.group,
            false,
            &mut self.busy,
        )
        .await?;
        self.nightly.is_done(now);
        if is_nightly {
            tracing::info!(
                node_id = %source.node,
                built = report.built.len(),
                removed = report.removed.len(),
                unchanged = report.unchanged,
                problems = report.problems.len(),
                "nightly synchronisation of triggers"
            );
        }
        log_changes(&report);
        Ok(self.notes.say(&report))
    }
}

fn log_changes(report: &SyncReport) {
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
}

#[cfg(test)]
mod tests;
