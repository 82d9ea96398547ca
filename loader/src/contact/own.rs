//! What the node's own tables say of its changes and its sources.

use std::collections::{BTreeMap, HashMap};
use symstream_shared::db::{DbError, Sql};
use symstream_shared::id::{ChannelId, NodeId};
use symstream_shared::schema::Tables;

/// The newest captured rows among which it is looked for some that are not cut yet: older ones are cut first.
const NEWEST: i64 = 1000;

/// What concerns one source.
#[derive(Debug, Default)]
pub(super) struct OfSource {
    /// Batches of the node's changes that the source has not applied.
    pub unsent: i64,
    /// The newest load from it; 0 for none.
    pub load_id: i64,
    /// Whether one of its lanes is held.
    pub held: bool,
    /// How far its lanes are.
    pub positions: HashMap<ChannelId, i64>,
}

/// What concerns all of them.
#[derive(Debug)]
pub(super) struct Own {
    /// Changes and batches of which nobody knows yet whom they are for. Where it is off that a channel is published, they
    /// wait for an operator, and nothing waits for them.
    pub unrouted: i64,
    /// The nodes that send this one something.
    pub sources: BTreeMap<NodeId, OfSource>,
}

impl Own {
    pub(super) async fn read(sql: &mut dyn Sql, tables: &Tables, node: &NodeId) -> Result<Self, DbError> {
        Ok(Self {
            unrouted: unrouted(sql, tables).await?,
            sources: sources(sql, tables, node).await?,
        })
    }
}

async fn unrouted(sql: &mut dyn Sql, tables: &Tables) -> Result<i64, DbError> {
    let data = tables.name("data");
    let published = format!(
        "channel_id in (select c.channel_id from {} c where c.enabled = 1)",
        tables.name("channel")
    );
    let rows = format!(
        "select count(*) from {data} d where d.data_id > (select coalesce(max(m.data_id), 0) - {NEWEST} from {data} m) \
         and d.{published} and not exists (select 1 from {} e where e.data_id = d.data_id)",
        tables.name("data_event")
    );
    let batches = format!(
        "select count(*) from {} b where b.routed = 0 and b.batch_type = 'EV' and b.{published}",
        tables.name("capture_batch")
    );
    let mut unrouted = 0;
    for statement in [rows, batches] {
        let row = sql.query_opt(&statement, &[]).await?;
        unrouted += row.map_or(Ok(0), |row| row.int(0))?;
    }
    Ok(unrouted)
}

/// The nodes with lanes or loads to this one, and the one where it was registered; not those that are disabled or gone:
/// nobody would take what they are told.
async fn sources(
    sql: &mut dyn Sql,
    tables: &Tables,
    node: &NodeId,
) -> Result<BTreeMap<NodeId, OfSource>, DbError> {
    let id = |text: String| NodeId::new(text).map_err(|err| DbError::unexpected(err.to_string()));
    let table = tables.name("node");
    let known = format!(
        "select n.node_id, coalesce(l.load_id, 0) from {table} n left join {load} l on l.source_node_id = n.node_id \
         where n.node_id <> ? and n.sync_enabled = 1 and (l.source_node_id is not null \
         or n.node_id in (select i.source_node_id from {lane} i) \
         or n.node_id in (select o.created_at_node_id from {table} o where o.node_id = ?))",
        load = tables.name("incoming_load"),
        lane = tables.name("incoming_lane"),
    );
    let mut sources = BTreeMap::new();
    for row in sql
        .query(&known, &[node.as_str().into(), node.as_str().into()])
        .await?
    {
        let of = OfSource {
            load_id: row.int(1)?,
            ..OfSource::default()
        };
        sources.insert(id(row.text(0)?)?, of);
    }
    let lanes = format!(
        "select source_node_id, channel_id, batch_id, held_batch_id from {}",
        tables.name("incoming_lane")
    );
    for row in sql.query(&lanes, &[]).await? {
        let channel = ChannelId::new(row.text(1)?).map_err(|err| DbError::unexpected(err.to_string()))?;
        if let Some(of) = sources.get_mut(&id(row.text(0)?)?) {
            of.positions.insert(channel, row.int(2)?);
            of.held |= row.opt_int(3)?.is_some();
        }
    }
    // What is sent to a node that needs a reload itself, or on a channel that an operator stopped, waits for more than this.
    let open = format!(
        "select o.node_id, count(*) from {} o where o.status in ('NE', 'SE', 'ER') and coalesce(o.batch_type, 'EV') <> 'IL' \
         and o.channel_id in (select c.channel_id from {} c where c.enabled = 1) \
         and not exists (select 1 from {} n where n.node_id = o.node_id) \
         and not exists (select 1 from {} s where s.node_id = o.node_id and s.channel_id = o.channel_id \
         and s.suspend_enabled = 1) group by o.node_id",
        tables.name("outgoing_batch"),
        tables.name("channel"),
        tables.name("reload_need"),
        tables.name("node_channel_ctl"),
    );
    for row in sql.query(&open, &[]).await? {
        if let Some(of) = sources.get_mut(&id(row.text(0)?)?) {
            of.unsent = row.int(1)?;
        }
    }
    Ok(sources)
}
