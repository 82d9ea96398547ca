//! `sym_incoming_load`: the newest load of each source.

use super::Load;
use std::collections::HashMap;
use symstream_shared::csv;
use symstream_shared::db::{DbError, Row, Sql};
use symstream_shared::id::NodeId;
use symstream_shared::schema::Tables;

/// The table.
#[derive(Debug, Clone)]
pub(crate) struct LoadRecords {
    table: String,
}

impl LoadRecords {
    pub(crate) fn new(tables: &Tables) -> Self {
        Self {
            table: tables.name("incoming_load"),
        }
    }

    /// The loads of all sources.
    ///
    /// # Errors
    /// [`DbError`] as the database says.
    pub(crate) async fn all(&self, sql: &mut dyn Sql) -> Result<HashMap<NodeId, Load>, DbError> {
        let question = format!(
            "select load_id, status, floor_batch_id, source_node_id from {}",
            self.table
        );
        let rows = sql.query(&question, &[]).await?;
        rows.iter()
            .map(|row| {
                let source = NodeId::new(row.text(3)?)
                    .map_err(|err| DbError::unexpected(format!("{}: {err}", self.table)))?;
                Ok((source, load(row)?))
            })
            .collect()
    }

    /// The load of one source; [`Load::NONE`] where there was none.
    ///
    /// # Errors
    /// [`DbError`] as the database says.
    pub(crate) async fn of(&self, sql: &mut dyn Sql, source: &NodeId) -> Result<Load, DbError> {
        let question = format!(
            "select load_id, status, floor_batch_id from {} where source_node_id = ?",
            self.table
        );
        let row = sql.query_opt(&question, &[source.as_str().into()]).await?;
        row.map_or(Ok(Load::NONE), |row| load(&row))
    }

    /// How far the newest load's source knew this node's own changes, channel by channel.
    ///
    /// # Errors
    /// [`DbError`] as the database says.
    pub(crate) async fn seen(
        &self,
        sql: &mut dyn Sql,
        source: &NodeId,
    ) -> Result<Vec<(String, i64)>, DbError> {
        let question = format!("select seen_batches from {} where source_node_id = ?", self.table);
        let row = sql.query_opt(&question, &[source.as_str().into()]).await?;
        let text = row.map_or(Ok(None), |row| row.opt_text(0))?;
        let wrong = || DbError::unexpected(format!("{}: seen_batches is not like channel=17", self.table));
        let pairs = csv::decode_names(&text.unwrap_or_default()).map_err(|_| wrong())?;
        pairs
            .iter()
            .map(|pair| {
                // A channel's name may have the sign in it, a number not.
                let (channel, batch_id) = pair.rsplit_once('=').ok_or_else(wrong)?;
                Ok((channel.to_owned(), batch_id.parse().map_err(|_| wrong())?))
            })
            .collect()
    }

    /// A load begins. `seen` is how far its source knew this node's own changes.
    ///
    /// # Errors
    /// [`DbError`] as the database says.
    pub(crate) async fn begin(
        &self,
        sql: &mut dyn Sql,
        source: &NodeId,
        load_id: i64,
        seen: &[(&str, i64)],
    ) -> Result<(), DbError> {
        let columns = [
            "load_id",
            "status",
            "row_count",
            "create_time",
            "end_time",
            "seen_batches",
            "floor_batch_id",
        ];
        let statement = format!(
            "insert into {} (source_node_id, {}) values (?, ?, 'NE', 0, {}, null, ?, ?){}",
            self.table,
            columns.join(", "),
            sql.kind().now(),
            sql.kind().or_update(&["source_node_id"], &columns)
        );
        let seen = seen
            .iter()
            .map(|(channel, batch_id)| format!("{channel}={batch_id}"));
        let params = [
            source.as_str().into(),
            load_id.into(),
            csv::encode_names(seen.collect::<Vec<_>>().iter().map(String::as_str)).into(),
            load_id.into(),
        ];
        sql.execute(&statement, &params).await.map(drop)
    }

    /// The load in hand is complete.
    ///
    /// # Errors
    /// [`DbError`] as the database says.
    pub(crate) async fn complete(
        &self,
        sql: &mut dyn Sql,
        source: &NodeId,
        load_id: i64,
    ) -> Result<(), DbError> {
        let statement = format!(
            "update {} set status = 'OK', end_time = {} where source_node_id = ? and load_id = ? and status = 'NE'",
            self.table,
            sql.kind().now()
        );
        let params = [source.as_str().into(), load_id.into()];
        sql.execute(&statement, &params).await.map(drop)
    }

    /// A load is cancelled, whether it has begun here or not. A newer one stays as it is.
    ///
    /// # Errors
    /// [`DbError`] as the database says.
    pub(crate) async fn cancel(
        &self,
        sql: &mut dyn Sql,
        source: &NodeId,
        load_id: i64,
    ) -> Result<(), DbError> {
        let now = sql.kind().now();
        let known = format!(
            "update {} set row_count = case when load_id = ? then row_count else 0 end, load_id = ?, status = 'CA', \
             end_time = {now} where source_node_id = ? and (load_id < ? or load_id = ? and status = 'NE')",
            self.table
        );
        let params = [
            load_id.into(),
            load_id.into(),
            source.as_str().into(),
            load_id.into(),
            load_id.into(),
        ];
        if sql.execute(&known, &params).await? > 0 {
            return Ok(());
        }
        let unknown = format!(
            "insert into {} (source_node_id, load_id, status, create_time, end_time) \
             values (?, ?, 'CA', {now}, {now}){}",
            self.table,
            sql.kind().or_ignore(&["source_node_id"])
        );
        let params = [source.as_str().into(), load_id.into()];
        sql.execute(&unknown, &params).await.map(drop)
    }

    /// Rows of the load in hand were written.
    ///
    /// # Errors
    /// [`DbError`] as the database says.
    pub(crate) async fn count(
        &self,
        sql: &mut dyn Sql,
        source: &NodeId,
        load_id: i64,
        rows: i64,
    ) -> Result<(), DbError> {
        let statement = format!(
            "update {} set row_count = row_count + ? where source_node_id = ? and load_id = ?",
            self.table
        );
        let params = [rows.into(), source.as_str().into(), load_id.into()];
        sql.execute(&statement, &params).await.map(drop)
    }
}

fn load(row: &Row) -> Result<Load, DbError> {
    Ok(Load {
        load_id: row.int(0)?,
        is_over: row.text(1)? != "NE",
        floor: row.int(2)?,
    })
}
