//! A router's report: which nodes get which rows of a batch.

use super::History;
use crate::data_runs::{DataRuns, RUNS_MAX};
use crate::error::Error;
use symstream_shared::batch_status::{BatchEvent, BatchStatus};
use symstream_shared::db::{Param, Sql};
use symstream_shared::id::NodeId;
use symstream_shared::schema::Tables;
use symstream_shared::wire::{RoutedReport, TargetRows};

/// Rows of `sym_data_event` that one statement writes.
const EVENTS_MAX: i64 = 20_000;
/// The node of rows that go to nobody.
const NOBODY: &str = "-1";

/// Records one report. The last one of a batch marks it as routed, from when on it may be purged.
pub(super) async fn record(tx: &mut dyn Sql, tables: &Tables, report: &RoutedReport) -> Result<(), Error> {
    let capture_batch = tables.name("capture_batch");
    let statement = format!("select routed, batch_type from {capture_batch} where batch_id = ?");
    let Some(batch) = tx.query_opt(&statement, &[report.batch_id.into()]).await? else {
        tracing::warn!(
            batch_id = report.batch_id,
            "report on a batch that is not known here is passed over"
        );
        return Ok(());
    };
    let (is_routed, batch_type) = (batch.int(0)? != 0, batch.text(1)?);
    if batch_type == "EV" {
        for target in &report.targets {
            add_events(
                tx,
                tables,
                target.node.as_str(),
                Some(report.batch_id),
                &DataRuns::from(target.ranges.as_slice()),
            )
            .await?;
        }
        let unrouted = DataRuns::from(report.unrouted.as_slice());
        add_events(tx, tables, NOBODY, None, &unrouted).await?;
    }
    if !report.last || is_routed {
        return Ok(());
    }
    for target in &report.targets {
        add_outgoing(tx, tables, report, target, &batch_type).await?;
    }
    let statement = format!("update {capture_batch} set routed = 1 where batch_id = ?");
    tx.execute(&statement, &[report.batch_id.into()]).await?;
    Ok(())
}

/// Records a batch that is never published: its rows go to nobody.
pub(crate) async fn record_for_nobody(
    tx: &mut dyn Sql,
    tables: &Tables,
    batch_id: i64,
    runs: &DataRuns,
) -> Result<(), Error> {
    add_events(tx, tables, NOBODY, None, runs).await?;
    let statement = format!(
        "update {} set routed = 1 where batch_id = ?",
        tables.name("capture_batch")
    );
    tx.execute(&statement, &[batch_id.into()]).await?;
    Ok(())
}

/// One row of `sym_data_event` for each of the rows, but for those that have it already.
async fn add_events(
    tx: &mut dyn Sql,
    tables: &Tables,
    node: &str,
    batch_id: Option<i64>,
    runs: &DataRuns,
) -> Result<(), Error> {
    let event = tables.name("data_event");
    for piece in runs.pieces(EVENTS_MAX, RUNS_MAX) {
        let (condition, ids) = piece.condition("d.data_id");
        let statement = format!(
            "insert into {event} (data_id, node_id, channel_id, transaction_id, batch_id, batched) \
             select d.data_id, ?, d.channel_id, d.transaction_id, ?, '{batched}' from {data} d \
             where ({condition}){or_ignore}",
            batched = if batch_id.is_some() { 1 } else { 0 },
            data = tables.name("data"),
            or_ignore = tx.kind().or_ignore_selected(&event, &["data_id", "node_id"]),
        );
        let mut params = vec![node.into(), batch_id.into()];
        params.extend(ids);
        tx.execute(&statement, &params).await?;
    }
    Ok(())
}

/// `sym_outgoing_batch` for one node, with its first two histories: `NE` and `SE`, or `OK` where the channel is ignored
/// for the node, to which nothing was sent.
async fn add_outgoing(
    tx: &mut dyn Sql,
    tables: &Tables,
    report: &RoutedReport,
    target: &TargetRows,
    batch_type: &str,
) -> Result<(), Error> {
    let node = &target.node;
    let event = if target.ignored {
        BatchEvent::Ignored
    } else {
        BatchEvent::Published
    };
    let after_new = super::transition(BatchStatus::New, event)?;
    let table = tables.name("outgoing_batch");
    let key: [Param; 2] = [report.batch_id.into(), node.as_str().into()];
    let statement = format!("select status from {table} where batch_id = ? and node_id = ?");
    let before = tx
        .query_opt(&statement, &key)
        .await?
        .map(|row| row.text(0))
        .transpose()?;
    if before.is_none() {
        let status = if is_passed(tx, tables, report, node).await? {
            BatchStatus::Ok
        } else {
            after_new
        };
        let statement = format!(
            "insert into {table} (batch_id, node_id, channel_id, batch_type, status, create_time) \
             values (?, ?, ?, ?, ?, ?)"
        );
        let params = [
            report.batch_id.into(),
            node.as_str().into(),
            report.channel.as_str().into(),
            batch_type.into(),
            status.as_str().into(),
            Param::Time(report.created_ms),
        ];
        tx.execute(&statement, &params).await?;
    }
    let new = History {
        batch_id: report.batch_id,
        node,
        status: BatchStatus::New.as_str(),
        start_ms: report.created_ms,
        end_ms: report.started_ms,
        hostname: &report.hostname,
        data_event_count: Some(i64::try_from(target.change_count).unwrap_or(i64::MAX)),
        network_ms: None,
        filter_ms: None,
        // Reading the batch and bringing it to the router; the two clocks may differ.
        database_ms: Some((report.started_ms - report.created_ms).max(0)),
        result: None,
    };
    new.insert(tx, tables).await?;
    let sent = History {
        status: after_new.as_str(),
        start_ms: report.started_ms,
        end_ms: report.sent_ms,
        data_event_count: None,
        network_ms: (!target.ignored).then_some((report.sent_ms - report.started_ms).max(0)),
        database_ms: None,
        ..new
    };
    sent.insert(tx, tables).await?;
    Ok(())
}

/// Whether the node said `OK` to a later batch of the lane, which says it for this one too. A batch that was ignored is
/// `OK` without the node having said anything: it was new once, and never sent.
async fn is_passed(
    tx: &mut dyn Sql,
    tables: &Tables,
    report: &RoutedReport,
    node: &NodeId,
) -> Result<bool, Error> {
    let had = |status: BatchStatus| {
        format!(
            "exists (select 1 from {} h where h.batch_id = o.batch_id and h.node_id = o.node_id and h.status = '{status}')",
            tables.name("outgoing_batch_hist")
        )
    };
    let statement = format!(
        "select 1 from {} o where o.node_id = ? and o.channel_id = ? and o.batch_id > ? and o.status = 'OK' \
         and ({} or not {}) limit 1",
        tables.name("outgoing_batch"),
        had(BatchStatus::Sent),
        had(BatchStatus::New),
    );
    let params = [
        node.as_str().into(),
        report.channel.as_str().into(),
        report.batch_id.into(),
    ];
    Ok(tx.query_opt(&statement, &params).await?.is_some())
}
