//! Messages that wait in the target's database (`sym_incoming_spool`).

use crate::lane::{Arrival, LoadTie};
use symstream_shared::db::{DbError, Param, Sql};
use symstream_shared::id::{ChannelId, NodeId};
use symstream_shared::schema::Tables;

/// The spool of one channel.
#[derive(Debug, Clone)]
pub(crate) struct Spool {
    table: String,
    channel: ChannelId,
}

/// A message to put into the spool.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SpoolPart<'a> {
    pub source: &'a NodeId,
    pub batch_id: i64,
    pub previous: i64,
    pub part: u32,
    pub part_last: u32,
    /// When the router sent it, in milliseconds since 1970.
    pub sent_ms: i64,
    /// The initial load that it names.
    pub load_id: Option<i64>,
    pub body: &'a [u8],
}

/// A message out of the spool.
#[derive(Debug)]
pub(crate) struct SpooledBody {
    pub part: u32,
    pub sent_ms: i64,
    pub body: Vec<u8>,
}

impl Spool {
    pub(crate) fn new(tables: &Tables, channel: &ChannelId) -> Self {
        Self {
            table: tables.name("incoming_spool"),
            channel: channel.clone(),
        }
    }

    /// Stores a message; one that is there already stays as it is.
    ///
    /// # Errors
    /// [`DbError`] as the database says.
    pub(crate) async fn put(&self, sql: &mut dyn Sql, part: SpoolPart<'_>) -> Result<(), DbError> {
        let statement = format!(
            "insert into {} (source_node_id, channel_id, batch_id, part, part_last, previous_batch_id, body, \
             receive_time, sent_ms, load_id) values (?, ?, ?, ?, ?, ?, ?, {}, ?, ?){}",
            self.table,
            sql.kind().now(),
            sql.kind()
                .or_ignore(&["source_node_id", "channel_id", "batch_id", "part"])
        );
        let params = [
            part.source.as_str().into(),
            self.channel.as_str().into(),
            part.batch_id.into(),
            i64::from(part.part).into(),
            i64::from(part.part_last).into(),
            part.previous.into(),
            Param::Bytes(part.body.to_vec()),
            part.sent_ms.into(),
            part.load_id.into(),
        ];
        sql.execute(&statement, &params).await.map(drop)
    }

    /// What waits: one arrival for each message, in the order of batches and parts.
    ///
    /// # Errors
    /// [`DbError`] as the database says.
    pub(crate) async fn waiting(&self, sql: &mut dyn Sql) -> Result<Vec<(NodeId, Arrival)>, DbError> {
        self.select(sql, "", &[self.channel.as_str().into()]).await
    }

    /// The same of one source.
    ///
    /// # Errors
    /// [`DbError`] as the database says.
    pub(crate) async fn waiting_of(
        &self,
        sql: &mut dyn Sql,
        source: &NodeId,
    ) -> Result<Vec<(NodeId, Arrival)>, DbError> {
        let params = [self.channel.as_str().into(), source.as_str().into()];
        self.select(sql, " and source_node_id = ?", &params).await
    }

    async fn select(
        &self,
        sql: &mut dyn Sql,
        condition: &str,
        params: &[Param],
    ) -> Result<Vec<(NodeId, Arrival)>, DbError> {
        let question = format!(
            "select source_node_id, batch_id, part, part_last, previous_batch_id, load_id from {} \
             where channel_id = ?{condition} order by source_node_id, batch_id, part",
            self.table
        );
        let mut waiting = Vec::new();
        sql.query_each(&question, params, &mut |row| {
            let source = NodeId::new(row.text(0)?)
                .map_err(|err| DbError::unexpected(format!("{}: {err}", self.table)))?;
            let batch_id = row.int(1)?;
            let arrival = Arrival {
                batch_id,
                previous: row.int(4)?,
                last: row.int(2)? == row.int(3)?,
                whole: false,
                tie: LoadTie::new(&self.channel, batch_id, row.opt_int(5)?),
            };
            waiting.push((source, arrival));
            Ok(())
        })
        .await?;
        Ok(waiting)
    }

    /// The first message of a batch whose part's number is above `after`.
    ///
    /// # Errors
    /// [`DbError`] as the database says.
    pub(crate) async fn next(
        &self,
        sql: &mut dyn Sql,
        source: &NodeId,
        batch_id: i64,
        after: u32,
    ) -> Result<Option<SpooledBody>, DbError> {
        let question = format!(
            "select part, sent_ms, body from {} where source_node_id = ? and channel_id = ? and batch_id = ? \
             and part > ? order by part limit 1",
            self.table
        );
        let params = [
            source.as_str().into(),
            self.channel.as_str().into(),
            batch_id.into(),
            i64::from(after).into(),
        ];
        let Some(row) = sql.query_opt(&question, &params).await? else {
            return Ok(None);
        };
        Ok(Some(SpooledBody {
            part: u32::try_from(row.int(0)?)
                .map_err(|_| DbError::unexpected(format!("{}: a part's number is negative", self.table)))?,
            sent_ms: row.opt_int(1)?.unwrap_or(0),
            body: row.bytes(2)?,
        }))
    }

    /// Removes all batches of the source's other lanes up to `batch_id`.
    ///
    /// # Errors
    /// [`DbError`] as the database says.
    pub(crate) async fn remove_others_through(
        &self,
        sql: &mut dyn Sql,
        source: &NodeId,
        batch_id: i64,
    ) -> Result<(), DbError> {
        let statement = format!(
            "delete from {} where source_node_id = ? and channel_id <> ? and batch_id <= ?",
            self.table
        );
        let params = [
            source.as_str().into(),
            self.channel.as_str().into(),
            batch_id.into(),
        ];
        sql.execute(&statement, &params).await.map(drop)
    }

    /// Removes all batches of a lane up to `batch_id`.
    ///
    /// # Errors
    /// [`DbError`] as the database says.
    pub(crate) async fn remove_through(
        &self,
        sql: &mut dyn Sql,
        source: &NodeId,
        batch_id: i64,
    ) -> Result<(), DbError> {
        let statement = format!(
            "delete from {} where source_node_id = ? and channel_id = ? and batch_id <= ?",
            self.table
        );
        let params = [
            source.as_str().into(),
            self.channel.as_str().into(),
            batch_id.into(),
        ];
        sql.execute(&statement, &params).await.map(drop)
    }
}
