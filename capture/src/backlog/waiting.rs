//! What waits for each node.

use crate::error::Error;
use crate::source::Source;
use symstream_shared::db::time_ms;
use symstream_shared::id::NodeId;

/// What waits for one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Waiting {
    /// Batches that are not `OK`.
    pub batches: u64,
    /// What their messages took.
    pub bytes: u64,
    /// When the oldest was cut, in milliseconds since 1970.
    pub oldest_ms: Option<i64>,
}

/// The nodes that something waits for, but for those that are marked already. Batches of initial loads do not count, nor
/// what a load that is not over ends: its batches stay open until all of it is applied, and a node that is marked for them
/// would be loaded for ever. No node is judged while a load of it is asked for or being read.
pub(super) async fn waiting(source: &Source) -> Result<Vec<(NodeId, Waiting)>, Error> {
    let tables = &source.tables;
    let kind = source.database.kind();
    let outgoing = tables.name("outgoing_batch");
    let statement = format!(
        "select o.node_id, count(*), {bytes}, {oldest} from {outgoing} o \
         left join {batch} b on b.batch_id = o.batch_id \
         where o.status in ('NE', 'SE', 'ER') and coalesce(o.batch_type, 'EV') <> 'IL' \
         and not exists (select 1 from {need} n where n.node_id = o.node_id) \
         and not exists (select 1 from {load} l where l.node_id = o.node_id and l.status in ('RQ', 'NE')) \
         and not exists (select 1 from {load} l where l.node_id = o.node_id and l.load_id > o.batch_id \
         and l.status in ('SE', 'AB') \
         and not exists (select 1 from {load} m where m.node_id = l.node_id and m.load_id > l.load_id)) \
         group by o.node_id order by o.node_id",
        bytes = kind.as_text("coalesce(sum(b.byte_count), 0)"),
        oldest = kind.time_as_text("min(o.create_time)"),
        batch = tables.name("capture_batch"),
        need = tables.name("reload_need"),
        load = tables.name("load"),
    );
    let damaged = |why: String| Error::Damaged {
        table: outgoing.clone(),
        why,
    };
    let rows = source.database.query(&statement, &[]).await?;
    rows.iter()
        .map(|row| {
            let node = NodeId::new(row.text(0)?).map_err(|err| damaged(err.to_string()))?;
            let waiting = Waiting {
                batches: u64::try_from(row.int(1)?).unwrap_or(0),
                bytes: row
                    .text(2)?
                    .parse()
                    .map_err(|_| damaged("byte_count is no number".to_owned()))?,
                oldest_ms: row.opt_text(3)?.as_deref().and_then(time_ms),
            };
            Ok((node, waiting))
        })
        .collect()
}
