//! Telling the sources what became of their batches.

use symstream_nats::Bus;
use symstream_shared::wire::StatusReport;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Reports that may wait while NATS is away; the channels wait behind them.
const WAITING_MAX: usize = 256;

/// Starts sending reports, in their order, until every sender is gone.
pub(crate) fn sender(bus: Bus) -> (mpsc::Sender<StatusReport>, JoinHandle<()>) {
    let (status_tx, mut status_rx) = mpsc::channel::<StatusReport>(WAITING_MAX);
    let task = tokio::spawn(async move {
        while let Some(report) = status_rx.recv().await {
            if let Err(err) = bus.status(&report).await {
                tracing::error!(source = %report.source, channel = %report.channel, error = %err, "status is not sent");
            }
        }
    });
    (status_tx, task)
}
