//! Loads of other nodes that are over.

use super::Figures;
use crate::error::Error;
use crate::source::Source;
use symstream_shared::db::{Param, Sql};

/// Removes loads older than the retention that another one of the same node has followed, and that no batch which is still
/// to be published can name.
pub(super) async fn purge(source: &Source, before_ms: i64, figures: &mut Figures) -> Result<(), Error> {
    let (load, batch) = (source.tables.name("load"), source.tables.name("capture_batch"));
    let mut conn = source.database.conn().await?;
    let statement = format!(
        "select l.load_id, l.node_id from {load} l where l.create_time < ? \
         and exists (select 1 from {load} m where m.node_id = l.node_id and m.load_id > l.load_id) \
         and not exists (select 1 from {batch} b where b.routed = 0 and b.batch_id <= l.load_id)"
    );
    let old = conn.query(&statement, &[Param::Time(before_ms)]).await?;
    let statement = format!("delete from {load} where load_id = ? and node_id = ?");
    for row in &old {
        let key = [row.int(0)?.into(), row.text(1)?.as_str().into()];
        figures.loads += conn.execute(&statement, &key).await?;
    }
    Ok(())
}
