//! Which nodes a batch of changes has to wait for, or is not for.

use super::book::UNFINISHED;
use crate::error::Error;
use std::collections::BTreeMap;
use symstream_shared::db::Sql;
use symstream_shared::id::NodeId;
use symstream_shared::schema::Tables;
use symstream_shared::wire::Loading;

/// What `Part.loading` and `Part.absent` say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Reservations {
    pub loading: Vec<Loading>,
    pub absent: Vec<NodeId>,
}

/// What holds for batch `batch_id`, in the snapshot in which it is encoded. The newest load below its number counts for
/// each node, also one that was interrupted, until another one has begun at the node.
pub(crate) async fn reservations(
    sql: &mut dyn Sql,
    tables: &Tables,
    batch_id: i64,
) -> Result<Reservations, Error> {
    let load = tables.name("load");
    let statement = format!(
        "select l.load_id, l.node_id from {load} l where l.status in {UNFINISHED} and l.load_id < ? and not exists \
         (select 1 from {load} m where m.node_id = l.node_id and m.load_id > l.load_id and m.load_id < ?) \
         union all select null, n.node_id from {} n order by 1, 2",
        tables.name("reload_need")
    );
    let mut loading: BTreeMap<i64, Vec<NodeId>> = BTreeMap::new();
    let mut absent = Vec::new();
    for row in sql.query(&statement, &[batch_id.into(), batch_id.into()]).await? {
        let node = NodeId::new(row.text(1)?).map_err(|err| Error::Damaged {
            table: load.clone(),
            why: err.to_string(),
        })?;
        match row.opt_int(0)? {
            Some(load_id) => loading.entry(load_id).or_default().push(node),
            None => absent.push(node),
        }
    }
    let loading = loading
        .into_iter()
        .map(|(load_id, nodes)| Loading { load_id, nodes })
        .collect();
    Ok(Reservations { loading, absent })
}
