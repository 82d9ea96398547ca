//! What became of a load at its nodes, and its end.

use super::book::Unfinished;
use super::requests;
use crate::error::Error;
use crate::source::{Source, now_ms};
use std::time::Duration;
use symstream_shared::db::{Param, Sql, TxKind};
use symstream_shared::hostname::hostname;
use symstream_shared::schema::Tables;

/// What was published since is in the stream of captured batches, which keeps it a day longer.
const YOUNG: Duration = Duration::from_secs(6 * 24 * 3600);

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
         where b.routed in (0, 1) and b.channel_id = 'reload' and b.batch_id >= ? and b.load_id = ? \
         and (b.target_node_id is null or b.target_node_id = ?)",
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
        load.node.as_str().into(),
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

/// Whether the stream of captured batches would still have what was published of the load: younger than the stream's age
/// as well as what no router has reported.
pub(super) async fn is_kept_by_nats(source: &Source, load: &Unfinished) -> Result<bool, Error> {
    let (batch, table) = (source.tables.name("capture_batch"), source.tables.name("load"));
    let statement = format!(
        "select 1 from {table} where load_id = ? and node_id = ? and sent_time > ? or exists \
         (select 1 from {batch} where routed = 0 and channel_id = 'reload' and batch_id >= ? and load_id = ?) limit 1"
    );
    let young = i64::try_from(YOUNG.as_millis()).unwrap_or(i64::MAX);
    let params = [
        load.load_id.into(),
        load.node.as_str().into(),
        Param::Time(now_ms() - young),
        load.load_id.into(),
        load.load_id.into(),
    ];
    Ok(source.database.query_opt(&statement, &params).await?.is_some())
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
    let message = format!("held by initial load {}", load.load_id);
    end_before(&mut tx, tables, load.load_id, &node, &message).await?;
    for batch_id in &statements {
        let statement = format!(
            "update {} set sql_message = ? where batch_id = ? and node_id = ? and status = 'OK'",
            tables.name("outgoing_batch_hist")
        );
        let message = format!("passed over by initial load {}; send it again", load.load_id);
        tx.execute(&statement, &[message.into(), (*batch_id).into(), node.clone()])
            .await?;
    }
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

/// Ends the batches below a load that a node has not said `OK` to, and says why. How many there were.
async fn end_before(
    tx: &mut dyn Sql,
    tables: &Tables,
    load_id: i64,
    node: &Param,
    message: &str,
) -> Result<u64, Error> {
    let (outgoing, now) = (tables.name("outgoing_batch"), tx.kind().now());
    let statement = format!(
        "insert into {} (batch_id, node_id, status, start_time, end_time, hostname, sql_message) \
         select batch_id, node_id, 'OK', {now}, {now}, ?, ? from {outgoing} \
         where node_id = ? and batch_id < ? and status in ('NE', 'SE', 'ER')",
        tables.name("outgoing_batch_hist"),
    );
    let params = [hostname().into(), message.into(), node.clone(), load_id.into()];
    tx.execute(&statement, &params).await?;
    let statement = format!(
        "update {outgoing} set status = 'OK' where node_id = ? and batch_id < ? and status in ('NE', 'SE', 'ER')"
    );
    Ok(tx.execute(&statement, &[node.clone(), load_id.into()]).await?)
}

/// Ends what cancelled loads let their nodes jump over: it never comes there.
pub(super) async fn end_passed_over(source: &Source) -> Result<(), Error> {
    let tables = &source.tables;
    let (load, outgoing) = (tables.name("load"), tables.name("outgoing_batch"));
    let statement = format!(
        "select l.load_id, l.node_id from {load} l where l.status = 'CA' \
         and exists (select 1 from {outgoing} o where o.batch_id = l.load_id and o.node_id = l.node_id and o.status = 'OK') \
         and exists (select 1 from {outgoing} p where p.node_id = l.node_id and p.batch_id < l.load_id \
         and p.status in ('NE', 'SE', 'ER')) order by l.load_id"
    );
    for row in source.database.query(&statement, &[]).await? {
        let (load_id, node) = (row.int(0)?, row.text(1)?);
        let mut tx = source.database.begin(TxKind::Write).await?;
        let message = format!("passed over by the cancelled load {load_id}");
        let batches = end_before(&mut tx, tables, load_id, &Param::from(node.as_str()), &message).await?;
        tx.commit().await?;
        tracing::warn!(
            node_id = node,
            load_id,
            batches,
            "a cancelled load had begun at its node, which passed over the batches before it: load it again to have what \
             they hold"
        );
    }
    Ok(())
}
