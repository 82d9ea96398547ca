//! A router's report: which nodes get which rows of a batch.
//!
//! Rows that all nodes of a group get have one row of `sym_data_event` for all of them, whose node is `*<group>`; each
//! of the nodes has its own `sym_outgoing_batch`.

use super::History;
use crate::data_runs::{DataRuns, RUNS_MAX};
use crate::error::Error;
use std::collections::HashSet;
use symstream_shared::batch_status::{BatchEvent, BatchStatus};
use symstream_shared::db::{Param, Sql};
use symstream_shared::id::NodeId;
use symstream_shared::schema::Tables;
use symstream_shared::wire::{GroupRows, RoutedReport};

/// Rows of `sym_data_event` that one statement writes.
const EVENTS_MAX: i64 = 20_000;
/// Nodes that one statement writes of.
const NODES_MAX: usize = 200;
/// The node of rows that go to nobody.
const NOBODY: &str = "-1";
/// What `sym_data_event.node_id` holds.
const NODE_CHARS_MAX: usize = 50;

/// What a node gets of a batch.
struct Target<'a> {
    node: &'a NodeId,
    change_count: u64,
    ignored: bool,
}

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
        let batch_id = Some(report.batch_id);
        for target in &report.targets {
            let runs = DataRuns::from(target.ranges.as_slice());
            add_events(tx, tables, target.node.as_str(), batch_id, &runs).await?;
        }
        for rows in &report.groups {
            let runs = DataRuns::from(rows.ranges.as_slice());
            for node in event_nodes(rows) {
                add_events(tx, tables, &node, batch_id, &runs).await?;
            }
        }
        let unrouted = DataRuns::from(report.unrouted.as_slice());
        add_events(tx, tables, NOBODY, None, &unrouted).await?;
    }
    if !report.last || is_routed {
        return Ok(());
    }
    let targets: Vec<Target<'_>> = targets(report).collect();
    for targets in targets.chunks(NODES_MAX) {
        add_outgoing(tx, tables, report, targets, &batch_type).await?;
    }
    let statement = format!("update {capture_batch} set routed = 1 where batch_id = ?");
    tx.execute(&statement, &[report.batch_id.into()]).await?;
    Ok(())
}

/// Whom the events of a group's rows name: the group, or its nodes where its name is too long for the column.
fn event_nodes(rows: &GroupRows) -> Vec<String> {
    let group = format!("*{}", rows.group);
    if group.chars().count() <= NODE_CHARS_MAX {
        vec![group]
    } else {
        rows.nodes.iter().map(ToString::to_string).collect()
    }
}

/// Every node that the batch is for, once.
fn targets(report: &RoutedReport) -> impl Iterator<Item = Target<'_>> {
    let single = report.targets.iter().map(|target| Target {
        node: &target.node,
        change_count: target.change_count,
        ignored: target.ignored,
    });
    let of_groups = report.groups.iter().flat_map(|rows| {
        rows.nodes.iter().map(|node| Target {
            node,
            change_count: rows.change_count,
            ignored: false,
        })
    });
    let mut seen = HashSet::new();
    single
        .chain(of_groups)
        .filter(move |target| seen.insert(target.node))
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

/// `sym_outgoing_batch` for some nodes, with its first two histories: `NE` and `SE`, or `OK` where the channel is ignored
/// for the node, to which nothing was sent.
async fn add_outgoing(
    tx: &mut dyn Sql,
    tables: &Tables,
    report: &RoutedReport,
    targets: &[Target<'_>],
    batch_type: &str,
) -> Result<(), Error> {
    let table = tables.name("outgoing_batch");
    let known = nodes_where(
        tx,
        &format!("select node_id from {table} o where o.batch_id = ?"),
        vec![report.batch_id.into()],
        targets,
    )
    .await?;
    let passed = passed(tx, tables, report, targets).await?;
    let mut rows = Vec::with_capacity(targets.len());
    let mut histories = Vec::with_capacity(targets.len() * 2);
    for target in targets {
        let event = if target.ignored {
            BatchEvent::Ignored
        } else {
            BatchEvent::Published
        };
        let after_new = super::transition(BatchStatus::New, event)?;
        let status = if passed.contains(target.node.as_str()) {
            BatchStatus::Ok
        } else {
            after_new
        };
        if !known.contains(target.node.as_str()) {
            rows.extend([
                report.batch_id.into(),
                target.node.as_str().into(),
                report.channel.as_str().into(),
                batch_type.into(),
                status.as_str().into(),
                Param::Time(report.created_ms),
            ]);
        }
        let new = History {
            batch_id: report.batch_id,
            node: target.node,
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
        let sent = History {
            status: after_new.as_str(),
            start_ms: report.started_ms,
            end_ms: report.sent_ms,
            data_event_count: None,
            network_ms: (!target.ignored).then_some((report.sent_ms - report.started_ms).max(0)),
            database_ms: None,
            ..new
        };
        histories.extend([new, sent]);
    }
    if !rows.is_empty() {
        let statement = format!(
            "insert into {table} (batch_id, node_id, channel_id, batch_type, status, create_time) values {}",
            vec!["(?, ?, ?, ?, ?, ?)"; rows.len() / 6].join(", ")
        );
        tx.execute(&statement, &rows).await?;
    }
    History::insert_all(&histories, tx, tables).await?;
    Ok(())
}

/// The nodes that said `OK` to a later batch of the lane, which says it for this one too. A batch that was ignored is
/// `OK` without the node having said anything: it was new once, and never sent.
async fn passed(
    tx: &mut dyn Sql,
    tables: &Tables,
    report: &RoutedReport,
    targets: &[Target<'_>],
) -> Result<HashSet<String>, Error> {
    let had = |status: BatchStatus| {
        format!(
            "exists (select 1 from {} h where h.batch_id = o.batch_id and h.node_id = o.node_id and h.status = '{status}')",
            tables.name("outgoing_batch_hist")
        )
    };
    let statement = format!(
        "select distinct o.node_id from {} o where o.channel_id = ? and o.batch_id > ? and o.status = 'OK' \
         and ({} or not {})",
        tables.name("outgoing_batch"),
        had(BatchStatus::Sent),
        had(BatchStatus::New),
    );
    let params = vec![report.channel.as_str().into(), report.batch_id.into()];
    nodes_where(tx, &statement, params, targets).await
}

/// Those of the targets that a query finds, whose table is aliased `o`.
async fn nodes_where(
    tx: &mut dyn Sql,
    query: &str,
    mut params: Vec<Param>,
    targets: &[Target<'_>],
) -> Result<HashSet<String>, Error> {
    let marks = vec!["?"; targets.len()].join(", ");
    let statement = format!("{query} and o.node_id in ({marks})");
    params.extend(targets.iter().map(|target| Param::from(target.node.as_str())));
    let rows = tx.query(&statement, &params).await?;
    Ok(rows.iter().map(|row| row.text(0)).collect::<Result<_, _>>()?)
}
