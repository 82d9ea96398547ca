//! Telling the target's triggers where the changes come from that are being written.

use crate::dialect::Dialect;
use symstream_shared::csv;
use symstream_shared::db::{DbError, Sql};
use symstream_shared::id::NodeId;
use symstream_shared::schema::Tables;

/// The switch in a batch's transaction: the nodes that a change has been at, the batch's source last. While it is
/// set, nothing is captured but by triggers with `sync_on_incoming_batch`, and those write it into
/// `sym_data.source_node_id`.
pub(crate) struct Origin<'a> {
    dialect: &'static dyn Dialect,
    tables: &'a Tables,
    source: &'a NodeId,
    /// What it is set to; `None` before the first change.
    path: Option<Vec<NodeId>>,
}

impl<'a> Origin<'a> {
    /// The switch for a batch of `source`, not set yet.
    pub(crate) fn new(dialect: &'static dyn Dialect, tables: &'a Tables, source: &'a NodeId) -> Self {
        Self {
            dialect,
            tables,
            source,
            path: None,
        }
    }

    /// Sets it for changes that came to the source by `path`. Asks the database only where it is another path than
    /// before: nearly always once in a batch.
    ///
    /// # Errors
    /// [`DbError`] as the database says.
    pub(crate) async fn set(&mut self, sql: &mut dyn Sql, path: &[NodeId]) -> Result<(), DbError> {
        if self.path.as_deref() == Some(path) {
            return Ok(());
        }
        let nodes = path.iter().chain(std::iter::once(self.source));
        let origin = csv::encode_names(nodes.map(NodeId::as_str));
        let on = self.dialect.origin_on(self.tables, &origin);
        sql.execute(&on.sql, &on.params).await?;
        self.path = Some(path.to_vec());
        Ok(())
    }

    /// Sets it once more, where it may have been taken back with a savepoint.
    ///
    /// # Errors
    /// [`DbError`] as the database says.
    pub(crate) async fn set_again(&mut self, sql: &mut dyn Sql) -> Result<(), DbError> {
        match self.path.take() {
            Some(path) => self.set(sql, &path).await,
            None => Ok(()),
        }
    }

    /// Takes it back.
    ///
    /// # Errors
    /// [`DbError`] as the database says.
    pub(crate) async fn clear(&mut self, sql: &mut dyn Sql) -> Result<(), DbError> {
        if self.path.take().is_some()
            && let Some(off) = self.dialect.origin_off(self.tables)
        {
            sql.execute(&off.sql, &off.params).await?;
        }
        Ok(())
    }
}
