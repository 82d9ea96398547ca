//! The lanes of a source jump when its initial load begins.

use super::Ledger;
use symstream_shared::db::{DbError, Sql};
use symstream_shared::id::{ChannelId, NodeId};

impl Ledger {
    /// Lets every lane of a source but that of its loads stand at `load_id` or behind it, and be held by nothing.
    /// Also lanes that nothing has come in yet: a task that makes one meanwhile finds it made.
    ///
    /// # Errors
    /// [`DbError`] as the database says.
    pub(crate) async fn jump(&self, sql: &mut dyn Sql, source: &NodeId, load_id: i64) -> Result<(), DbError> {
        let now = sql.kind().now();
        let missing = format!(
            "insert into {lane} (source_node_id, channel_id, batch_id, attempt_count, update_time) \
             select ?, channel_id, ?, 0, {now} from {} where channel_id <> ?{}",
            self.configured,
            sql.kind()
                .or_ignore_selected(&self.lane, &["source_node_id", "channel_id"]),
            lane = self.lane,
        );
        let reload = ChannelId::reload();
        let params = [source.as_str().into(), load_id.into(), reload.as_str().into()];
        sql.execute(&missing, &params).await?;
        let jump = format!(
            "update {} set batch_id = ?, held_batch_id = null, attempt_count = 0, next_attempt_time = null, \
             statement_batch_id = null, update_time = {now} \
             where source_node_id = ? and channel_id <> ? and batch_id < ?",
            self.lane
        );
        let params = [
            load_id.into(),
            source.as_str().into(),
            reload.as_str().into(),
            load_id.into(),
        ];
        sql.execute(&jump, &params).await?;
        // What they failed with is settled by the load.
        let settled = format!(
            "update {} set status = 'OK' where node_id = ? and batch_id < ? and status = 'ER'",
            self.batch
        );
        let params = [source.as_str().into(), load_id.into()];
        sql.execute(&settled, &params).await.map(drop)
    }
}
