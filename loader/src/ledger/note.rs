//! What a lane's row says of statements (`statement_batch_id`): one that was begun, or an operator's word to pass over one.

use super::Ledger;
use symstream_shared::db::{DatabaseKind, DbError, Sql};
use symstream_shared::id::NodeId;

/// What an operator writes there to pass over the statement that holds the lane.
pub(super) const PASSED_OVER: i64 = 0;

impl Ledger {
    /// What is noted of a statement that was begun: its batch's id, with a sign ([`crate::statement`]).
    ///
    /// # Errors
    /// [`DbError`] as the database says.
    pub(crate) async fn statement(&self, sql: &mut dyn Sql, source: &NodeId) -> Result<Option<i64>, DbError> {
        let question = format!(
            "select statement_batch_id from {} where source_node_id = ? and channel_id = ?",
            self.lane
        );
        let params = [source.as_str().into(), self.channel.as_str().into()];
        match sql.query_opt(&question, &params).await? {
            Some(row) => row.opt_int(0),
            None => Ok(None),
        }
    }

    /// Notes a statement. `false` when the lane does not stand at `previous`.
    ///
    /// # Errors
    /// [`DbError`] as the database says.
    pub(crate) async fn note_statement(
        &self,
        sql: &mut dyn Sql,
        source: &NodeId,
        previous: i64,
        note: i64,
    ) -> Result<bool, DbError> {
        let statement = format!(
            "update {} set statement_batch_id = ? where source_node_id = ? and channel_id = ? and batch_id = ?",
            self.lane
        );
        let params = [
            note.into(),
            source.as_str().into(),
            self.channel.as_str().into(),
            previous.into(),
        ];
        Ok(sql.execute(&statement, &params).await? == 1)
    }

    /// Takes the note back: the statement left nothing behind.
    ///
    /// # Errors
    /// [`DbError`] as the database says.
    pub(crate) async fn clear_statement(
        &self,
        sql: &mut dyn Sql,
        source: &NodeId,
        batch_id: i64,
    ) -> Result<(), DbError> {
        let statement = format!(
            "update {} set statement_batch_id = null where source_node_id = ? and channel_id = ? \
             and statement_batch_id in (?, ?)",
            self.lane
        );
        let params = [
            source.as_str().into(),
            self.channel.as_str().into(),
            batch_id.into(),
            (-batch_id).into(),
        ];
        sql.execute(&statement, &params).await.map(drop)
    }

    /// Whether an operator passes over this batch, which holds the lane.
    ///
    /// # Errors
    /// [`DbError`] as the database says.
    pub(crate) async fn is_passed_over(
        &self,
        sql: &mut dyn Sql,
        source: &NodeId,
        batch_id: i64,
    ) -> Result<bool, DbError> {
        let question = format!(
            "select 1 from {} where source_node_id = ? and channel_id = ? and held_batch_id = ? \
             and statement_batch_id = {PASSED_OVER}",
            self.lane
        );
        let params = [
            source.as_str().into(),
            self.channel.as_str().into(),
            batch_id.into(),
        ];
        Ok(sql.query_opt(&question, &params).await?.is_some())
    }

    /// What an operator does to pass over the statement that holds the lane.
    pub(crate) fn how_to_pass_over(&self, kind: DatabaseKind, source: &NodeId) -> String {
        format!(
            "update {} set statement_batch_id = {PASSED_OVER} where source_node_id = {} and channel_id = {}",
            self.lane,
            kind.literal(source.as_str()),
            kind.literal(self.channel.as_str()),
        )
    }
}
