//! `sym_reload_need`: the nodes that are sent nothing until they are loaded anew, and why.
//!
//! A row is made by the limits of [`crate::backlog`] or by the node's own wish, and deleted by the load that begins. That load
//! is owed from then on: where it is cancelled, the row is there again.

use crate::error::Error;
use crate::source::now_ms;
use symstream_shared::db::{Param, Sql};
use symstream_shared::id::NodeId;
use symstream_shared::schema::Tables;

/// Notes that a node needs a reload; whether that is new. What waits for it is not sent any more, so a load that is on its
/// way to it ends, and none begins before the node is heard of.
pub(crate) async fn add(
    tx: &mut dyn Sql,
    tables: &Tables,
    node: &NodeId,
    reason: &str,
) -> Result<bool, Error> {
    let need = tables.name("reload_need");
    let statement = format!("select 1 from {need} where node_id = ?");
    if tx.query_opt(&statement, &[node.as_str().into()]).await?.is_some() {
        return Ok(false);
    }
    let statement = format!("insert into {need} (node_id, reason, create_time, freed) values (?, ?, ?, 0)");
    let params = [node.as_str().into(), reason.into(), Param::Time(now_ms())];
    tx.execute(&statement, &params).await?;
    let statement = format!(
        "update {} set status = 'AB', message = ?, end_time = ? where node_id = ? and status in ('RQ', 'NE', 'SE')",
        tables.name("load")
    );
    let params = [
        format!("the node needs another one: {reason}").into(),
        Param::Time(now_ms()),
        node.as_str().into(),
    ];
    tx.execute(&statement, &params).await?;
    let statement = format!(
        "update {} set initial_load_enabled = 0 where node_id = ?",
        tables.name("node_security")
    );
    tx.execute(&statement, &[node.as_str().into()]).await?;
    Ok(true)
}

/// Whether a load of the node is asked for or on its way and did not begin there yet. One that has begun and lacks
/// something needs another.
pub(crate) async fn is_loading(tx: &mut dyn Sql, tables: &Tables, node: &NodeId) -> Result<bool, Error> {
    let load = tables.name("load");
    let statement = format!(
        "select 1 from {load} l where l.node_id = ? and l.status in ('RQ', 'NE', 'SE') and not (l.status = 'SE' \
         and exists (select 1 from {} o where o.batch_id = l.load_id and o.node_id = l.node_id and o.status = 'OK')) \
         union all select 1 from {} s where s.node_id = ? and s.initial_load_enabled = 1 \
         and not exists (select 1 from {load} r where r.node_id = s.node_id and r.status in ('NE', 'SE'))",
        tables.name("outgoing_batch"),
        tables.name("node_security")
    );
    let params = [node.as_str().into(), node.as_str().into()];
    Ok(tx.query_opt(&statement, &params).await?.is_some())
}
