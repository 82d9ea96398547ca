//! Which nodes a batch of changes has to wait for, or is not for.

use super::book::{self, UNFINISHED};
use super::requests;
use crate::error::Error;
use crate::source::Source;
use std::collections::BTreeMap;
use symstream_shared::db::{Sql, Tx, TxKind};
use symstream_shared::id::NodeId;
use symstream_shared::schema::Tables;
use symstream_shared::wire::Loading;

/// What `Part.loading` and `Part.absent` say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Reservations {
    pub loading: Vec<Loading>,
    pub absent: Vec<NodeId>,
}

/// A snapshot to encode batch `batch_id` in, with what holds for the batch there. Requests that nobody has announced yet
/// are announced before: the batch may be the first one for a node that has registered just now, and lacks the rows
/// that it refers to.
pub(crate) async fn reserve(source: &Source, batch_id: i64) -> Result<(Tx, Reservations), Error> {
    loop {
        let mut tx = source.database.begin(TxKind::ReadOnly).await?;
        if requests::unannounced(&mut tx, &source.tables, &source.node)
            .await?
            .is_empty()
        {
            let reservations = reservations(&mut tx, &source.tables, batch_id).await?;
            return Ok((tx, reservations));
        }
        tx.rollback().await?;
        book::announce(source).await?;
    }
}

/// For each node the newest load below the batch's number counts, also one that was interrupted, until another one has
/// begun at the node. Where it is over, or there is none, the newest above does: a batch may be cut before a load is
/// asked for and encoded after it. The load jumps over it.
async fn reservations(sql: &mut dyn Sql, tables: &Tables, batch_id: i64) -> Result<Reservations, Error> {
    let load = tables.name("load");
    let newest = |among: &str, newer: &str| {
        format!(
            "from {load} l where l.status in {UNFINISHED} and {among} and not exists \
             (select 1 from {load} m where m.node_id = l.node_id and m.load_id > l.load_id{newer})"
        )
    };
    let statement = format!(
        "select 1, l.load_id, l.node_id {} union all select 2, l.load_id, l.node_id {} \
         union all select 3, 0, n.node_id from {} n order by 1, 2, 3",
        newest("l.load_id < ?", " and m.load_id < ?"),
        newest("l.load_id > ?", ""),
        tables.name("reload_need")
    );
    let mut load_of: BTreeMap<NodeId, i64> = BTreeMap::new();
    let mut absent = Vec::new();
    let batch = || batch_id.into();
    for row in sql.query(&statement, &[batch(), batch(), batch()]).await? {
        let node = NodeId::new(row.text(2)?).map_err(|err| Error::Damaged {
            table: load.clone(),
            why: err.to_string(),
        })?;
        match row.int(0)? {
            3 => absent.push(node),
            _ => {
                load_of.entry(node).or_insert(row.int(1)?);
            }
        }
    }
    let mut loading: BTreeMap<i64, Vec<NodeId>> = BTreeMap::new();
    for (node, load_id) in load_of {
        loading.entry(load_id).or_default().push(node);
    }
    let loading = loading
        .into_iter()
        .map(|(load_id, nodes)| Loading { load_id, nodes })
        .collect();
    Ok(Reservations { loading, absent })
}
