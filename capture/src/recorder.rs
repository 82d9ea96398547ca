//! Recording what became of batches: `sym_data_event`, `sym_outgoing_batch` and its history.
//!
//! Two streams: the routers' reports (which nodes get which rows) and the loaders' (what became of a batch there).
//! The reports that have come by now are recorded in one transaction and acknowledged after its commit; a report that
//! comes twice changes nothing the second time. The two streams have no order between them: an `OK` may come before the report that the
//! batch was routed.

mod contact;
mod routed;
mod status;

pub(crate) use routed::record_for_nobody;

use crate::batch_store::Attempts;
use crate::error::Error;
use crate::source::Source;
use futures_util::future::try_join_all;
use std::convert::Infallible;
use symstream_nats::{Bus, Deliveries, Delivery, Report};
use symstream_shared::batch_status::{BatchEvent, BatchStatus};
use symstream_shared::db::{DbError, Param, Sql, TxKind};
use symstream_shared::id::NodeId;
use symstream_shared::schema::Tables;
use symstream_shared::wire::BatchResult;
use tokio::sync::mpsc;

/// Reports that are recorded at once.
const REPORTS_MAX: usize = 32;

/// Records for ever: both streams in one task, so that no two transactions write the same batch.
pub(crate) async fn run(source: Source, bus: Bus) -> Result<Infallible, Error> {
    let (reports_tx, reports_rx) = mpsc::channel(REPORTS_MAX);
    tokio::select! {
        // Neither is interrupted by the other's deliveries while it opens its consumer.
        () = forward(bus.routed_deliveries(&source.node), reports_tx.clone()) => {}
        () = forward(bus.status_deliveries(&source.node), reports_tx) => {}
        ended = record(&source, reports_rx) => return ended,
    }
    std::future::pending().await
}

async fn forward(mut deliveries: Deliveries, reports_tx: mpsc::Sender<Delivery>) {
    while reports_tx.send(deliveries.next().await).await.is_ok() {}
}

async fn record(source: &Source, mut reports_rx: mpsc::Receiver<Delivery>) -> Result<Infallible, Error> {
    loop {
        let mut deliveries = Vec::with_capacity(REPORTS_MAX);
        reports_rx.recv_many(&mut deliveries, REPORTS_MAX).await;
        let reports = in_order(deliveries.iter().filter_map(readable).collect());
        let mut attempts = Attempts::default();
        loop {
            match store(source, &reports).await {
                Err(err) if attempts.has_another(&err) => {}
                stored => break stored?,
            }
        }
        try_join_all(deliveries.iter().map(Delivery::ack)).await?;
    }
}

/// Routed batches first, by their ids: others who write several batches do it in the same order, and nobody waits in a
/// circle.
fn in_order(mut reports: Vec<Report>) -> Vec<Report> {
    reports.sort_by_key(|report| match report {
        Report::Routed(report) => (0, report.batch_id),
        Report::Status(_) => (1, 0),
    });
    reports
}

/// Records them in one transaction.
async fn store(source: &Source, reports: &[Report]) -> Result<(), Error> {
    let mut tx = source.database.begin(TxKind::Write).await?;
    for report in reports {
        match report {
            Report::Routed(report) => routed::record(&mut tx, &source.tables, report).await?,
            Report::Status(report) => status::record(&mut tx, &source.tables, report).await?,
        }
    }
    Ok(tx.commit().await?)
}

/// The report. One that can not be read, or is of another than who sent it, never will be, and would stop all behind it:
/// it is named and passed over; its batch stays unreported and is not purged.
fn readable(delivery: &Delivery) -> Option<Report> {
    delivery
        .report()
        .inspect_err(|err| tracing::error!(error = %err, "a report is passed over"))
        .ok()
}

/// The status after an event; an impossible one means that the table was edited by hand.
fn transition(before: BatchStatus, event: BatchEvent) -> Result<BatchStatus, Error> {
    before.on(event).map_err(|err| Error::Damaged {
        table: "outgoing_batch".to_owned(),
        why: err.to_string(),
    })
}

/// One row of `sym_outgoing_batch_hist`.
#[derive(Clone, Copy)]
struct History<'a> {
    batch_id: i64,
    node: &'a NodeId,
    status: &'static str,
    start_ms: i64,
    end_ms: i64,
    hostname: &'a str,
    /// Only with `NE`.
    data_event_count: Option<i64>,
    network_ms: Option<i64>,
    filter_ms: Option<i64>,
    database_ms: Option<i64>,
    /// Only with `ER`.
    result: Option<&'a BatchResult>,
}

impl History<'_> {
    async fn insert(self, tx: &mut dyn Sql, tables: &Tables) -> Result<(), DbError> {
        Self::insert_all(&[self], tx, tables).await
    }

    /// All of them with one statement.
    async fn insert_all(histories: &[Self], tx: &mut dyn Sql, tables: &Tables) -> Result<(), DbError> {
        if histories.is_empty() {
            return Ok(());
        }
        let statement = format!(
            "insert into {} (batch_id, node_id, status, start_time, end_time, data_event_count, failed_data_id, \
             hostname, network_millis, filter_millis, database_millis, sql_state, sql_code, sql_message) values {}",
            tables.name("outgoing_batch_hist"),
            vec!["(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"; histories.len()].join(", ")
        );
        let params: Vec<Param> = histories.iter().flat_map(Self::params).collect();
        tx.execute(&statement, &params).await.map(drop)
    }

    fn params(&self) -> [Param; 14] {
        let failure = self.result.and_then(|result| result.failure.as_ref());
        [
            self.batch_id.into(),
            self.node.as_str().into(),
            self.status.into(),
            Param::Time(self.start_ms),
            Param::Time(self.end_ms),
            self.data_event_count.into(),
            failure.map(|failure| failure.data_id).into(),
            self.hostname.into(),
            self.network_ms.into(),
            self.filter_ms.into(),
            self.database_ms.into(),
            failure.map(|failure| failure.sql_state.as_str()).into(),
            failure.map(|failure| failure.sql_code).into(),
            failure.map(|failure| failure.message.as_str()).into(),
        ]
    }
}

#[cfg(test)]
mod tests;
