//! What became of a load at its nodes, and its end.

use super::book::Unfinished;
use super::requests;
use crate::error::Error;
use crate::source::Source;
use symstream_shared::db::{Param, Sql, TxKind};
use symstream_shared::hostname::hostname;

/// What is known of a load's batches at one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Applied {
    /// Rows in batches that are `OK`.
    pub rows: i64,
    /// Batches that are not `OK` there.
    pub open: i64,
    /// Batches that routers sent to others only: the node is not known to them.
    pub passed: i64,
}

/// What became of the load at its node.
pub(super) async fn applied(sql: &mut dyn Sql, source: &Source, load: &Unfinished) -> Result<Applied, Error> {
    let (tables, kind) = (&source.tables, sql.kind());
    // Sums of integers are decimals on PostgreSQL and MySQL.
    let sum = |case: &str| kind.as_text(&format!("coalesce(sum({case}), 0)"));
    // The conditions are as the index of the batches is.
    let statement = format!(
        "select {}, {}, {} from {} b left join {} o on o.batch_id = b.batch_id and o.node_id = ? \
         where b.routed in (0, 1) and b.channel_id = 'reload' and b.batch_id >= ? and b.load_id = ?",
        sum("case when o.status = 'OK' then b.data_count else 0 end"),
        sum("case when o.status = 'OK' then 0 else 1 end"),
        sum("case when o.status is null and b.routed = 1 then 1 else 0 end"),
        tables.name("capture_batch"),
        tables.name("outgoing_batch"),
    );
    let params = [
        load.node.as_str().into(),
        load.load_id.into(),
        load.load_id.into(),
    ];
    let row = sql.query_opt(&statement, &params).await?;
    let number = |column: usize| match &row {
        Some(row) => whole(row, column),
        None => Ok(0),
    };
    Ok(Applied {
        rows: number(0)?,
        open: number(1)?,
        passed: number(2)?,
    })
}

/// A sum that was asked for as text.
fn whole(row: &symstream_shared::db::Row, column: usize) -> Result<i64, Error> {
    let text = row.text(column)?;
    text.trim().parse().map_err(|_| Error::Damaged {
        table: "capture_batch".to_owned(),
        why: format!("{text:?} is no sum of counts"),
    })
}

/// Whether routers have not reported all of it.
pub(super) async fn has_unrouted(source: &Source, load: &Unfinished) -> Result<bool, Error> {
    let statement = format!(
        "select 1 from {} where routed = 0 and channel_id = 'reload' and batch_id >= ? and load_id = ? limit 1",
        source.tables.name("capture_batch")
    );
    let key = [load.load_id.into(), load.load_id.into()];
    Ok(source.database.query_opt(&statement, &key).await?.is_some())
}

/// Notes how many rows the node has.
pub(super) async fn note_rows(source: &Source, load: &Unfinished, rows: i64) -> Result<(), Error> {
    let statement = format!(
        "update {} set rows_loaded = ? where load_id = ? and node_id = ? and rows_loaded < ?",
        source.tables.name("load")
    );
    let params = [
        rows.into(),
        load.load_id.into(),
        load.node.as_str().into(),
        rows.into(),
    ];
    source.database.execute(&statement, &params).await?;
    Ok(())
}

/// Ends the load, all of which is applied: what the node did not get before it, it got with it.
pub(super) async fn finish(source: &Source, load: &Unfinished, rows: i64) -> Result<(), Error> {
    let tables = &source.tables;
    let mut tx = source.database.begin(TxKind::Write).await?;
    let now = tx.kind().now();
    let statement = format!(
        "update {} set status = 'OK', end_time = {now}, rows_loaded = case when rows_loaded < ? then ? else rows_loaded end, \
         current_table = null where load_id = ? and node_id = ? and status = 'SE'",
        tables.name("load")
    );
    let node = Param::from(load.node.as_str());
    let params = [rows.into(), rows.into(), load.load_id.into(), node.clone()];
    if tx.execute(&statement, &params).await? == 0 {
        return Ok(tx.rollback().await?);
    }
    let statement = format!(
        "update {} set initial_load_enabled = 0 where node_id = ?",
        tables.name("node_security")
    );
    tx.execute(&statement, std::slice::from_ref(&node)).await?;
    let statements = requests::open_statements(&mut tx, tables, &load.node, load.load_id).await?;
    let statement = format!(
        "insert into {} (batch_id, node_id, status, start_time, end_time, hostname, sql_message) \
         select batch_id, node_id, 'OK', {now}, {now}, ?, ? from {outgoing} \
         where node_id = ? and batch_id < ? and status in ('NE', 'SE', 'ER')",
        tables.name("outgoing_batch_hist"),
        outgoing = tables.name("outgoing_batch"),
    );
    let params = [
        hostname().into(),
        format!("held by initial load {}", load.load_id).into(),
        node.clone(),
        load.load_id.into(),
    ];
    tx.execute(&statement, &params).await?;
    for batch_id in &statements {
        let statement = format!(
            "update {} set sql_message = ? where batch_id = ? and node_id = ? and status = 'OK'",
            tables.name("outgoing_batch_hist")
        );
        let message = format!("passed over by initial load {}; send it again", load.load_id);
        tx.execute(&statement, &[message.into(), (*batch_id).into(), node.clone()])
            .await?;
    }
    let statement = format!(
        "update {} set status = 'OK' where node_id = ? and batch_id < ? and status in ('NE', 'SE', 'ER')",
        tables.name("outgoing_batch")
    );
    tx.execute(&statement, &[node, load.load_id.into()]).await?;
    tx.commit().await?;
    for batch_id in statements {
        tracing::warn!(
            node_id = %load.node, load_id = load.load_id, batch_id,
            "an initial load passed over a statement (S) that had not run: send it again if it is still wanted"
        );
    }
    tracing::info!(node_id = %load.node, load_id = load.load_id, row_count = rows, "initial load is complete");
    Ok(())
}
