//! Who wants to be loaded (`sym_node_security.initial_load_enabled`).

use super::book::UNFINISHED;
use crate::error::Error;
use std::collections::HashMap;
use symstream_shared::db::Sql;
use symstream_shared::id::NodeId;
use symstream_shared::schema::Tables;

/// What a request waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Request {
    /// Nothing.
    Ready,
    /// The node needs the load and was not heard of yet.
    Unheard,
}

/// The registered nodes that want a load, but for `own`.
pub(super) async fn requested(
    sql: &mut dyn Sql,
    tables: &Tables,
    own: &NodeId,
) -> Result<HashMap<NodeId, Request>, Error> {
    let security = tables.name("node_security");
    let statement = format!(
        "select s.node_id, case when exists (select 1 from {} n where n.node_id = s.node_id and n.contact_time is null) \
         then 1 else 0 end from {security} s \
         where s.initial_load_enabled = 1 and s.registration_time is not null and s.node_id <> ?",
        tables.name("reload_need")
    );
    let rows = sql.query(&statement, &[own.as_str().into()]).await?;
    rows.iter()
        .map(|row| {
            let node = NodeId::new(row.text(0)?).map_err(|err| Error::Damaged {
                table: security.clone(),
                why: err.to_string(),
            })?;
            let request = if row.int(1)? == 0 {
                Request::Ready
            } else {
                Request::Unheard
            };
            Ok((node, request))
        })
        .collect()
}

/// The nodes whose requests are to be announced: they wait for nothing, and their newest load is over.
pub(super) async fn unannounced(
    sql: &mut dyn Sql,
    tables: &Tables,
    own: &NodeId,
) -> Result<Vec<NodeId>, Error> {
    let (security, load) = (tables.name("node_security"), tables.name("load"));
    let statement = format!(
        "select s.node_id from {security} s where s.initial_load_enabled = 1 and s.registration_time is not null \
         and s.node_id <> ? and not exists (select 1 from {} n where n.node_id = s.node_id and n.contact_time is null) \
         and not exists (select 1 from {load} l where l.node_id = s.node_id and l.status in {UNFINISHED} and not exists \
         (select 1 from {load} m where m.node_id = l.node_id and m.load_id > l.load_id)) order by s.node_id",
        tables.name("reload_need")
    );
    let rows = sql.query(&statement, &[own.as_str().into()]).await?;
    let damaged = |why: String| Error::Damaged {
        table: security.clone(),
        why,
    };
    rows.iter()
        .map(|row| NodeId::new(row.text(0)?).map_err(|err| damaged(err.to_string())))
        .collect()
}

/// Nodes that need a load and are not asked for one yet: what waits for them is not theirs any more.
pub(super) async fn needing(sql: &mut dyn Sql, tables: &Tables) -> Result<Vec<String>, Error> {
    let statement = format!("select node_id from {}", tables.name("reload_need"));
    let rows = sql.query(&statement, &[]).await?;
    Ok(rows.iter().map(|row| row.text(0)).collect::<Result<_, _>>()?)
}

/// The batches below `below` with a statement (`S`) that has not ended at the node: its load would pass over them.
pub(super) async fn open_statements(
    sql: &mut dyn Sql,
    tables: &Tables,
    node: &NodeId,
    below: i64,
) -> Result<Vec<i64>, Error> {
    let statement = format!(
        "select distinct o.batch_id from {outgoing} o join {event} e on e.batch_id = o.batch_id and e.node_id = o.node_id \
         join {data} d on d.data_id = e.data_id where o.node_id = ? and o.batch_id < ? \
         and o.status in ('NE', 'SE', 'ER') and o.batch_type = 'EV' and d.event_type = 'S' order by 1",
        outgoing = tables.name("outgoing_batch"),
        event = tables.name("data_event"),
        data = tables.name("data"),
    );
    let rows = sql
        .query(&statement, &[node.as_str().into(), below.into()])
        .await?;
    Ok(rows.iter().map(|row| row.int(0)).collect::<Result<_, _>>()?)
}
