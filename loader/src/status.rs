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
        let mut waiting = Vec::new();
        while status_rx.recv_many(&mut waiting, WAITING_MAX).await > 0 {
            for report in by_lane(std::mem::take(&mut waiting)) {
                if let Err(err) = bus.status(&report).await {
                    tracing::error!(source = %report.source, channel = %report.channel, error = %err, "status is not sent");
                }
            }
        }
    });
    (status_tx, task)
}

/// One report for each lane, with the results of all its reports in their order, and what was said last of the node.
fn by_lane(reports: Vec<StatusReport>) -> Vec<StatusReport> {
    let mut lanes: Vec<StatusReport> = Vec::new();
    for report in reports {
        let same = |lane: &&mut StatusReport| lane.source == report.source && lane.channel == report.channel;
        match lanes.iter_mut().find(same) {
            Some(lane) => {
                lane.results.extend(report.results);
                lane.contact = report.contact.or(lane.contact.take());
            }
            None => lanes.push(report),
        }
    }
    lanes
}
