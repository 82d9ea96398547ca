//! `sym_load`: what is known of the loads of other nodes from this one.

use super::requests;
use crate::batch_store::{self, Attempts};
use crate::error::Error;
use crate::source::Source;
use symstream_shared::db::{Param, Row, Sql, TxKind};
use symstream_shared::id::NodeId;
use symstream_shared::schema::Tables;

/// The states of a load that is not over, as they stand in SQL.
pub(super) const UNFINISHED: &str = "('RQ', 'NE', 'SE', 'AB')";

/// How far a load is (`sym_load.status`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LoadStatus {
    /// `RQ`: it is wanted.
    Requested,
    /// `NE`: its snapshot is taken.
    Begun,
    /// `SE`: all of it is published.
    Sent,
    /// `AB`: interrupted; another one follows.
    Interrupted,
}

/// The newest load of a node, as long as it is not over.
#[derive(Debug, Clone)]
pub(super) struct Unfinished {
    pub load_id: i64,
    pub node: NodeId,
    pub status: LoadStatus,
    pub clear_first: bool,
    pub rows_loaded: i64,
}

/// The newest load of each node that has one which is not over.
pub(super) async fn unfinished(sql: &mut dyn Sql, tables: &Tables) -> Result<Vec<Unfinished>, Error> {
    let load = tables.name("load");
    let statement = format!(
        "select l.load_id, l.node_id, l.status, l.clear_first, l.rows_loaded from {load} l \
         where l.status in {UNFINISHED} and not exists \
         (select 1 from {load} m where m.node_id = l.node_id and m.load_id > l.load_id) order by l.load_id, l.node_id"
    );
    let rows = sql.query(&statement, &[]).await?;
    rows.iter().map(|row| read(row, &load)).collect()
}

fn read(row: &Row, table: &str) -> Result<Unfinished, Error> {
    let damaged = |why: String| Error::Damaged {
        table: table.to_owned(),
        why,
    };
    let status = match row.text(2)?.as_str() {
        "RQ" => LoadStatus::Requested,
        "NE" => LoadStatus::Begun,
        "SE" => LoadStatus::Sent,
        "AB" => LoadStatus::Interrupted,
        other => return Err(damaged(format!("{other:?} is no status of an unfinished load"))),
    };
    Ok(Unfinished {
        load_id: row.int(0)?,
        node: NodeId::new(row.text(1)?).map_err(|err| damaged(err.to_string()))?,
        status,
        clear_first: row.int(3)? != 0,
        rows_loaded: row.int(4)?,
    })
}

/// Notes which nodes want to be loaded and were not noted yet, under a new number.
pub(super) async fn announce(source: &Source) -> Result<(), Error> {
    let mut attempts = Attempts::default();
    loop {
        match announce_once(source).await {
            Err(err) if attempts.has_another(&err) => {}
            announced => return announced,
        }
    }
}

async fn announce_once(source: &Source) -> Result<(), Error> {
    let tables = &source.tables;
    let mut tx = source.database.begin(TxKind::Write).await?;
    // The number comes first: nobody else announces the same until it is committed.
    let load_id = batch_store::allocate(&mut tx, tables, 1).await?;
    let nodes = requests::unannounced(&mut tx, tables, &source.node).await?;
    if nodes.is_empty() {
        return Ok(tx.rollback().await?);
    }
    for node in &nodes {
        insert(&mut tx, tables, load_id, node, "RQ", false).await?;
    }
    Ok(tx.commit().await?)
}

/// Notes that the load of `nodes` begins, with its first batch. Whether their tables are cleared first: they are when
/// something was kept from them, be it before an earlier load that was interrupted.
///
/// # Errors
/// [`Error::Displaced`] when that is so for some of them only: their tables must not be cleared for another's sake.
pub(super) async fn begin(
    tx: &mut dyn Sql,
    tables: &Tables,
    load_id: i64,
    nodes: &[NodeId],
    configuration_version: i64,
) -> Result<bool, Error> {
    let (load, need) = (tables.name("load"), tables.name("reload_need"));
    let mut clear = Vec::with_capacity(nodes.len());
    let mut requests = Vec::with_capacity(nodes.len());
    for node in nodes {
        let statement = format!(
            "select load_id, clear_first, case when status in {UNFINISHED} then 1 else 0 end from {load} \
             where node_id = ? order by load_id desc limit 1"
        );
        let key = [Param::from(node.as_str())];
        let mut clear_first = false;
        if let Some(before) = tx.query_opt(&statement, &key).await?
            && before.int(2)? != 0
        {
            requests.push((node, before.int(0)?));
            clear_first = before.int(1)? != 0;
        }
        let statement = format!("select 1 from {need} where node_id = ?");
        clear.push(clear_first || tx.query_opt(&statement, &key).await?.is_some());
    }
    let clear_first = clear.iter().all(|clear| *clear);
    if !clear_first && clear.contains(&true) {
        return Err(Error::Displaced);
    }
    for (node, request) in requests {
        // The batches between the two numbers go on to name the older one.
        let statement = format!(
            "update {load} set status = 'AB', clear_first = ?, message = ? where node_id = ? and load_id = ?"
        );
        let params = [
            i64::from(clear_first).into(),
            format!("load {load_id} takes its place").into(),
            node.as_str().into(),
            request.into(),
        ];
        tx.execute(&statement, &params).await?;
    }
    for node in nodes {
        let statement = format!("delete from {need} where node_id = ?");
        tx.execute(&statement, &[node.as_str().into()]).await?;
        insert(tx, tables, load_id, node, "NE", clear_first).await?;
        let statement = format!(
            "update {} set initial_load_time = {} where node_id = ?",
            tables.name("node_security"),
            tx.kind().now()
        );
        tx.execute(&statement, &[node.as_str().into()]).await?;
    }
    let batch = batch_store::LoadBatch {
        batch_id: load_id,
        load_id,
        target: single(nodes),
        configuration_version,
        row_count: 0,
        byte_count: 0,
    };
    batch_store::put_load(tx, tables, &batch).await?;
    Ok(clear_first)
}

/// The node of a load or batch that has one only.
pub(super) fn single(nodes: &[NodeId]) -> Option<&NodeId> {
    match nodes {
        [node] => Some(node),
        _ => None,
    }
}

async fn insert(
    tx: &mut dyn Sql,
    tables: &Tables,
    load_id: i64,
    node: &NodeId,
    status: &str,
    clear_first: bool,
) -> Result<(), Error> {
    let statement = format!(
        "insert into {} (load_id, node_id, status, reason, clear_first, create_time) values (?, ?, ?, ?, ?, {})",
        tables.name("load"),
        tx.kind().now()
    );
    let reason = if clear_first {
        "changes were kept from the node"
    } else {
        "requested"
    };
    let params = [
        load_id.into(),
        node.as_str().into(),
        status.into(),
        reason.into(),
        i64::from(clear_first).into(),
    ];
    tx.execute(&statement, &params).await?;
    Ok(())
}

/// Notes that nobody takes care of a load any more. Batches may name it already, so its row stays whatever was published;
/// where nothing was, it takes the place of the request or the attempt before it.
pub(super) async fn interrupted(
    tx: &mut dyn Sql,
    tables: &Tables,
    load_id: i64,
    why: &str,
) -> Result<(), Error> {
    let (load, batch) = (tables.name("load"), tables.name("capture_batch"));
    let key: [Param; 2] = [load_id.into(), load_id.into()];
    if is_published(tx, tables, load_id).await? {
        // What is not routed of it never has to be.
        let statement =
            format!("update {batch} set routed = 1 where batch_id >= ? and load_id = ? and routed = 0");
        tx.execute(&statement, &key).await?;
    } else {
        let statement = format!("select node_id from {load} where load_id = ? and status = 'NE'");
        for node in tx.query(&statement, &[load_id.into()]).await? {
            replace_before(tx, tables, load_id, &node.text(0)?).await?;
        }
        let statement = format!("delete from {batch} where batch_id = ? and load_id = ?");
        tx.execute(&statement, &key).await?;
    }
    let statement = format!(
        "update {load} set status = 'AB', message = ?, end_time = {} where load_id = ? and status in ('NE', 'SE')",
        tx.kind().now()
    );
    tx.execute(&statement, &[why.into(), load_id.into()]).await?;
    Ok(())
}

/// Whether anything of a load may have been published.
async fn is_published(tx: &mut dyn Sql, tables: &Tables, load_id: i64) -> Result<bool, Error> {
    let statement = format!(
        "select 1 from {} where batch_id >= ? and load_id = ? and byte_count > 0 limit 1",
        tables.name("capture_batch")
    );
    let key = [load_id.into(), load_id.into()];
    Ok(tx.query_opt(&statement, &key).await?.is_some())
}

/// Removes what load `load_id` follows, unless something of it was published: attempts do not pile up.
async fn replace_before(tx: &mut dyn Sql, tables: &Tables, load_id: i64, node: &str) -> Result<(), Error> {
    let load = tables.name("load");
    let statement = format!("select max(load_id) from {load} where node_id = ? and load_id < ?");
    let row = tx.query_opt(&statement, &[node.into(), load_id.into()]).await?;
    let Some(before) = row.map(|row| row.opt_int(0)).transpose()?.flatten() else {
        return Ok(());
    };
    if !is_published(tx, tables, before).await? {
        let statement = format!("delete from {load} where node_id = ? and load_id = ? and status = 'AB'");
        tx.execute(&statement, &[node.into(), before.into()]).await?;
    }
    Ok(())
}

/// Ends the loads, and the needs, of nodes that do not take part any more.
pub(super) async fn end_of_removed(source: &Source) -> Result<(), Error> {
    let (load, need, node) = (
        source.tables.name("load"),
        source.tables.name("reload_need"),
        source.tables.name("node"),
    );
    let is_removed =
        |table: &str| format!("not exists (select 1 from {node} n where n.node_id = {table}.node_id)");
    let statement = format!(
        "update {load} set status = 'CA', message = 'the node was removed', end_time = {} \
         where status in {UNFINISHED} and {}",
        source.database.kind().now(),
        is_removed(&load)
    );
    let ended = source.database.execute(&statement, &[]).await?;
    let statement = format!("delete from {need} where {}", is_removed(&need));
    let forgotten = source.database.execute(&statement, &[]).await?;
    if ended + forgotten > 0 {
        tracing::info!(node_id = %source.node, loads = ended, needs = forgotten, "initial loads of removed nodes are over");
    }
    Ok(())
}

/// Notes that a load that was published whole has not come to one of its nodes.
pub(super) async fn interrupted_for(source: &Source, load: &Unfinished, why: &str) -> Result<(), Error> {
    let statement = format!(
        "update {} set status = 'AB', message = ?, end_time = {} where load_id = ? and node_id = ? and status = 'SE'",
        source.tables.name("load"),
        source.database.kind().now()
    );
    let params = [why.into(), load.load_id.into(), load.node.as_str().into()];
    source.database.execute(&statement, &params).await?;
    Ok(())
}

/// Interrupts the loads whose snapshot holds what a batch from `from_batch` on holds, because such batches get numbers
/// above the loads': what they hold would be applied again on top of the rows.
pub(crate) async fn interrupt_above(
    tx: &mut dyn Sql,
    tables: &Tables,
    from_batch: i64,
    why: &str,
) -> Result<(), Error> {
    let statement = format!(
        "select distinct load_id from {} where status in ('NE', 'SE') and load_id > ?",
        tables.name("load")
    );
    for row in tx.query(&statement, &[from_batch.into()]).await? {
        interrupted(tx, tables, row.int(0)?, why).await?;
    }
    Ok(())
}
