//! Removing what every target has, once it is old.
//!
//! Old are batches that were cut longer ago than `purge.retention`. What is removed, and what stays however old it is:
//! - a captured batch with its rows, their events and its histories, when it was routed and every node that got rows of
//!   it said `OK`. A node that is no longer in `sym_node` is not waited for, or it would keep its rows here for ever; one
//!   that is only disabled is, because it gets them when it is enabled again. Nor is one that needs a reload
//!   ([`crate::backlog`]);
//! - histories of triggers that no captured row can name any more ([`histories`]);
//! - loads that a newer one of the same node has followed ([`loads`]).
//!
//! Records of batches that were applied at the node are the loader's, which purges them itself.
//!
//! All of it in transactions of some milliseconds, with pauses between them, so that the application does not feel it.

mod histories;
mod loads;
mod outgoing;
mod pace;

use crate::configuration::in_force;
use crate::error::Error;
use crate::parameters::{self, wait_until_over};
use crate::source::{ConfigReceiver, Source, now_ms};
use pace::Pace;
use std::convert::Infallible;
use std::time::{Duration, Instant};
use symstream_shared::model::Config;

/// Purges for ever.
pub(crate) async fn run(source: Source, config: ConfigReceiver) -> Result<Infallible, Error> {
    let mut parameters = source.parameters.clone();
    loop {
        let began = Instant::now();
        // As the tables say now: where they say something wrong, a default would remove what is to be kept.
        let now = parameters::read(&source.database, &source.tables, &source.engine).await?;
        let config = in_force(&source, &config).await?;
        purge(&source, &config, now.purge_retention).await?;
        wait_until_over(&mut parameters, began, |parameters| parameters.purge_interval).await;
    }
}

/// How much was removed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Figures {
    /// Rows of `sym_data`.
    rows: u64,
    /// Captured batches.
    batches: u64,
    /// Of them, those that were not `OK` at a node that is no longer in `sym_node`, or that needs a reload.
    batches_not_ok: u64,
    /// Histories of triggers.
    trigger_histories: u64,
    /// Loads of other nodes.
    loads: u64,
}

/// One round.
async fn purge(source: &Source, config: &Config, retention: Duration) -> Result<Figures, Error> {
    let began = Instant::now();
    let before_ms = now_ms().saturating_sub(i64::try_from(retention.as_millis()).unwrap_or(i64::MAX));
    let mut pace = Pace::default();
    let mut figures = Figures::default();
    outgoing::purge(source, config, before_ms, &mut pace, &mut figures).await?;
    histories::purge(source, before_ms, &mut figures).await?;
    loads::purge(source, before_ms, &mut figures).await?;
    if figures != Figures::default() {
        tracing::info!(
            node_id = %source.node, rows = figures.rows, batches = figures.batches,
            batches_not_ok_at_removed_nodes = figures.batches_not_ok,
            trigger_histories = figures.trigger_histories, loads = figures.loads, took_ms = began.elapsed().as_millis(),
            "purged what every target has"
        );
    }
    Ok(figures)
}

#[cfg(test)]
mod tests;
