//! A loader's report: what became of batches at one node.

use super::{History, contact, transition};
use crate::error::Error;
use symstream_shared::batch_status::{BatchEvent, BatchStatus};
use symstream_shared::db::{Param, Sql};
use symstream_shared::schema::Tables;
use symstream_shared::wire::{BatchResult, StatusReport};

/// Records one report.
pub(super) async fn record(tx: &mut dyn Sql, tables: &Tables, report: &StatusReport) -> Result<(), Error> {
    if let Some(contact) = &report.contact {
        contact::record(tx, tables, report, contact).await?;
    }
    for result in &report.results {
        match result.status {
            BatchStatus::Ok | BatchStatus::Skipped => applied(tx, tables, report, result).await?,
            BatchStatus::Error => failed(tx, tables, report, result).await?,
            BatchStatus::New | BatchStatus::Sent => {
                tracing::warn!(batch_id = result.batch_id, status = %result.status, "status is none that a loader reports");
            }
        }
    }
    Ok(())
}

/// `OK` for a batch says it for all before it in its lane: a report may have been lost.
async fn applied(
    tx: &mut dyn Sql,
    tables: &Tables,
    report: &StatusReport,
    result: &BatchResult,
) -> Result<(), Error> {
    make_sure_of_row(tx, tables, report, result.batch_id).await?;
    let statement = format!(
        "select batch_id, status from {} where node_id = ? and channel_id = ? and batch_id <= ? and status in ('NE', 'SE', 'ER') \
         order by batch_id",
        tables.name("outgoing_batch")
    );
    let params = [
        report.target.as_str().into(),
        report.channel.as_str().into(),
        result.batch_id.into(),
    ];
    for row in tx.query(&statement, &params).await? {
        let (batch_id, before) = (row.int(0)?, row.text(1)?);
        set_status(tx, tables, report, batch_id, &before, BatchEvent::Applied).await?;
        let is_this = batch_id == result.batch_id;
        history(report, result, batch_id, BatchStatus::Ok, is_this)
            .insert(tx, tables)
            .await?;
    }
    Ok(())
}

/// `ER`: one history for each attempt.
async fn failed(
    tx: &mut dyn Sql,
    tables: &Tables,
    report: &StatusReport,
    result: &BatchResult,
) -> Result<(), Error> {
    make_sure_of_row(tx, tables, report, result.batch_id).await?;
    let statement = format!(
        "select status from {} where batch_id = ? and node_id = ?",
        tables.name("outgoing_batch")
    );
    let key: [Param; 2] = [result.batch_id.into(), report.target.as_str().into()];
    let Some(before) = tx
        .query_opt(&statement, &key)
        .await?
        .map(|row| row.text(0))
        .transpose()?
    else {
        return Ok(());
    };
    if set_status(tx, tables, report, result.batch_id, &before, BatchEvent::Failed).await?
        != BatchStatus::Error
    {
        return Ok(());
    }
    let known = format!(
        "select 1 from {} where batch_id = ? and node_id = ? and status = 'ER' and end_time = ? limit 1",
        tables.name("outgoing_batch_hist")
    );
    let params = [
        result.batch_id.into(),
        report.target.as_str().into(),
        Param::Time(result.end_ms),
    ];
    if tx.query_opt(&known, &params).await?.is_none() {
        history(report, result, result.batch_id, BatchStatus::Error, true)
            .insert(tx, tables)
            .await?;
        if let Some(failure) = &result.failure {
            tracing::error!(
                node_id = %report.target, channel = %report.channel, batch_id = result.batch_id,
                data_id = failure.data_id, sql_state = %failure.sql_state, error = %failure.message,
                "batch failed at its target; its lane waits there and is tried again"
            );
        }
    }
    Ok(())
}

/// The row of a batch whose routing was not reported yet. A batch that is not known any more was purged: it was
/// `OK` everywhere.
async fn make_sure_of_row(
    tx: &mut dyn Sql,
    tables: &Tables,
    report: &StatusReport,
    batch_id: i64,
) -> Result<(), Error> {
    let outgoing = tables.name("outgoing_batch");
    let node = tx.kind().literal(report.target.as_str());
    let statement = format!(
        "insert into {outgoing} (batch_id, node_id, channel_id, batch_type, status, create_time) \
         select b.batch_id, {node}, b.channel_id, b.batch_type, '{status}', b.create_time from {batch} b \
         where b.batch_id = ? and not exists \
         (select 1 from {outgoing} o where o.batch_id = b.batch_id and o.node_id = {node})",
        status = BatchStatus::New,
        batch = tables.name("capture_batch"),
    );
    tx.execute(&statement, &[batch_id.into()]).await?;
    Ok(())
}

async fn set_status(
    tx: &mut dyn Sql,
    tables: &Tables,
    report: &StatusReport,
    batch_id: i64,
    before: &str,
    event: BatchEvent,
) -> Result<BatchStatus, Error> {
    let damaged = |why: String| Error::Damaged {
        table: tables.name("outgoing_batch"),
        why,
    };
    let before: BatchStatus = before
        .parse()
        .map_err(|err| damaged(format!("batch {batch_id}: {err}")))?;
    let after = transition(before, event)?;
    if after != before {
        let statement = format!(
            "update {} set status = ? where batch_id = ? and node_id = ?",
            tables.name("outgoing_batch")
        );
        let params = [
            after.as_str().into(),
            batch_id.into(),
            report.target.as_str().into(),
        ];
        tx.execute(&statement, &params).await?;
    }
    Ok(after)
}

/// The measures belong to the batch that was reported; the others before it only have their time.
fn history<'a>(
    report: &'a StatusReport,
    result: &'a BatchResult,
    batch_id: i64,
    status: BatchStatus,
    is_this: bool,
) -> History<'a> {
    History {
        batch_id,
        node: &report.target,
        status: status.as_str(),
        start_ms: result.start_ms,
        end_ms: result.end_ms,
        hostname: &result.hostname,
        data_event_count: None,
        network_ms: is_this.then_some(result.network_ms),
        filter_ms: is_this.then_some(result.filter_ms),
        database_ms: is_this.then_some(result.database_ms),
        result: is_this.then_some(result),
    }
}
