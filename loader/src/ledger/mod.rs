//! What this node knows of its incoming batches: `sym_incoming_batch`, its history, and the lanes' positions.
//!
//! **Invariant:** a lane's position is written in the transaction that writes the batch's rows, over the
//! position that the batch follows. So a batch is applied once however often it comes, also by two loaders
//! that were started by mistake.

mod jump;
mod note;

use note::PASSED_OVER;
use symstream_shared::batch_status::BatchStatus;
use symstream_shared::db::{DbError, Param, Row, Sql, time_ms};
use symstream_shared::id::{ChannelId, NodeId};
use symstream_shared::schema::Tables;
use symstream_shared::wire::{BatchFailure, BatchResult};

/// A lane as its table has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LaneRecord {
    /// The source.
    pub source: NodeId,
    /// The highest batch applied.
    pub position: i64,
    /// The failed batch that holds the lane, and how often it was tried.
    pub held: Option<(i64, u32)>,
    /// Whether an operator passes over the statement that holds it.
    pub passed_over: bool,
}

/// The records of one channel.
#[derive(Debug, Clone)]
pub(crate) struct Ledger {
    lane: String,
    batch: String,
    history: String,
    load: String,
    configured: String,
    channel: ChannelId,
}

impl Ledger {
    pub(crate) fn new(tables: &Tables, channel: &ChannelId) -> Self {
        Self {
            lane: tables.name("incoming_lane"),
            batch: tables.name("incoming_batch"),
            history: tables.name("incoming_batch_hist"),
            load: tables.name("incoming_load"),
            configured: tables.name("channel"),
            channel: channel.clone(),
        }
    }

    /// All lanes of the channel.
    ///
    /// # Errors
    /// [`DbError`] as the database says.
    pub(crate) async fn lanes(&self, sql: &mut dyn Sql) -> Result<Vec<LaneRecord>, DbError> {
        let question = format!("{} where channel_id = ?", self.select_lanes());
        let rows = sql.query(&question, &[self.channel.as_str().into()]).await?;
        rows.iter().map(|row| self.lane_record(row)).collect()
    }

    /// The lane of one source; `None` where nothing of it has come yet.
    ///
    /// # Errors
    /// [`DbError`] as the database says.
    pub(crate) async fn lane(
        &self,
        sql: &mut dyn Sql,
        source: &NodeId,
    ) -> Result<Option<LaneRecord>, DbError> {
        let question = format!(
            "{} where channel_id = ? and source_node_id = ?",
            self.select_lanes()
        );
        let params = [self.channel.as_str().into(), source.as_str().into()];
        let row = sql.query_opt(&question, &params).await?;
        row.map(|row| self.lane_record(&row)).transpose()
    }

    fn select_lanes(&self) -> String {
        format!(
            "select source_node_id, batch_id, held_batch_id, attempt_count, statement_batch_id from {}",
            self.lane
        )
    }

    fn lane_record(&self, row: &Row) -> Result<LaneRecord, DbError> {
        let source =
            NodeId::new(row.text(0)?).map_err(|err| DbError::unexpected(format!("{}: {err}", self.lane)))?;
        let attempts = u32::try_from(row.int(3)?).unwrap_or(u32::MAX);
        Ok(LaneRecord {
            source,
            position: row.int(1)?,
            held: row.opt_int(2)?.map(|batch_id| (batch_id, attempts)),
            passed_over: row.opt_int(4)? == Some(PASSED_OVER),
        })
    }

    /// Makes the lane of a source that is heard of for the first time; behind the source's initial load where it had one.
    ///
    /// # Errors
    /// [`DbError`] as the database says.
    pub(crate) async fn add_lane(&self, sql: &mut dyn Sql, source: &NodeId) -> Result<(), DbError> {
        let statement = format!(
            "insert into {} (source_node_id, channel_id, batch_id, attempt_count, update_time) \
             values (?, ?, coalesce((select floor_batch_id from {} where source_node_id = ?), 0), 0, {}){}",
            self.lane,
            self.load,
            sql.kind().now(),
            sql.kind().or_ignore(&["source_node_id", "channel_id"])
        );
        let source = source.as_str();
        let params = [source.into(), self.channel.as_str().into(), source.into()];
        sql.execute(&statement, &params).await.map(drop)
    }

    /// Records a batch as applied and moves the lane to it. `false` when the lane does not stand at `previous`: then the
    /// transaction must not be committed.
    ///
    /// # Errors
    /// [`DbError`] as the database says.
    pub(crate) async fn applied(
        &self,
        sql: &mut dyn Sql,
        source: &NodeId,
        previous: i64,
        result: &BatchResult,
    ) -> Result<bool, DbError> {
        self.record(sql, source, result).await?;
        self.advance(sql, source, previous, result.batch_id).await
    }

    async fn advance(
        &self,
        sql: &mut dyn Sql,
        source: &NodeId,
        previous: i64,
        batch_id: i64,
    ) -> Result<bool, DbError> {
        let statement = format!(
            "update {} set batch_id = ?, held_batch_id = null, attempt_count = 0, next_attempt_time = null, \
             statement_batch_id = null, update_time = {} where source_node_id = ? and channel_id = ? and batch_id = ?",
            self.lane,
            sql.kind().now()
        );
        let params = [
            batch_id.into(),
            source.as_str().into(),
            self.channel.as_str().into(),
            previous.into(),
        ];
        Ok(sql.execute(&statement, &params).await? == 1)
    }

    /// Holds the lane at its failed batch. `false` when it does not stand at the batch's predecessor `previous`:
    /// then another loader went on, and the transaction must not be committed.
    ///
    /// # Errors
    /// [`DbError`] as the database says.
    pub(crate) async fn hold(
        &self,
        sql: &mut dyn Sql,
        source: &NodeId,
        (previous, batch_id): (i64, i64),
        attempts: u32,
        next_attempt_ms: i64,
    ) -> Result<bool, DbError> {
        // A 0 from before this batch held the lane was not meant for it. MySQL assigns from left to right.
        let statement = format!(
            "update {} set statement_batch_id = case when statement_batch_id = {PASSED_OVER} \
             and coalesce(held_batch_id, 0) <> ? then null else statement_batch_id end, \
             held_batch_id = ?, attempt_count = ?, next_attempt_time = ?, update_time = {} \
             where source_node_id = ? and channel_id = ? and batch_id = ?",
            self.lane,
            sql.kind().now()
        );
        let params = [
            batch_id.into(),
            batch_id.into(),
            i64::from(attempts).into(),
            Param::Time(next_attempt_ms),
            source.as_str().into(),
            self.channel.as_str().into(),
            previous.into(),
        ];
        Ok(sql.execute(&statement, &params).await? == 1)
    }

    /// Records what became of a batch. A skipped one keeps the status that it had.
    ///
    /// # Errors
    /// [`DbError`] as the database says.
    pub(crate) async fn record(
        &self,
        sql: &mut dyn Sql,
        source: &NodeId,
        result: &BatchResult,
    ) -> Result<(), DbError> {
        if result.status != BatchStatus::Skipped {
            let statement = format!(
                "insert into {} (batch_id, node_id, status, create_time) values (?, ?, ?, {}){}",
                self.batch,
                sql.kind().now(),
                sql.kind().or_update(&["batch_id", "node_id"], &["status"])
            );
            let params = [
                result.batch_id.into(),
                source.as_str().into(),
                result.status.as_str().into(),
            ];
            sql.execute(&statement, &params).await?;
        }
        let statement = format!(
            "insert into {} (batch_id, node_id, status, start_time, end_time, failed_row_number, hostname, \
             network_millis, filter_millis, database_millis, sql_state, sql_code, sql_message) \
             values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            self.history
        );
        let failure = result.failure.as_ref();
        let params = [
            result.batch_id.into(),
            source.as_str().into(),
            result.status.as_str().into(),
            Param::Time(result.start_ms),
            Param::Time(result.end_ms),
            failure.map(|failure| failure.row_number).into(),
            result.hostname.as_str().into(),
            result.network_ms.into(),
            result.filter_ms.into(),
            result.database_ms.into(),
            failure.map(|failure| failure.sql_state.clone()).into(),
            failure.map(|failure| failure.sql_code).into(),
            failure.map(|failure| failure.message.clone()).into(),
        ];
        sql.execute(&statement, &params).await.map(drop)
    }

    /// What was recorded last of a batch with this status.
    ///
    /// # Errors
    /// [`DbError`] as the database says.
    pub(crate) async fn result(
        &self,
        sql: &mut dyn Sql,
        source: &NodeId,
        batch_id: i64,
        status: BatchStatus,
    ) -> Result<Option<BatchResult>, DbError> {
        let kind = sql.kind();
        let question = format!(
            "select {}, {}, failed_row_number, hostname, network_millis, filter_millis, database_millis, \
             sql_state, sql_code, sql_message from {} where batch_id = ? and node_id = ? and status = ? \
             order by end_time desc limit 1",
            kind.time_as_text("start_time"),
            kind.time_as_text("end_time"),
            self.history
        );
        let params = [batch_id.into(), source.as_str().into(), status.as_str().into()];
        let Some(row) = sql.query_opt(&question, &params).await? else {
            return Ok(None);
        };
        let time = |text: Option<String>| text.as_deref().and_then(time_ms).unwrap_or(0);
        let failure = match row.opt_text(9)? {
            Some(message) => Some(BatchFailure {
                row_number: row.opt_int(2)?.unwrap_or(0),
                // The history has no column for it.
                data_id: 0,
                sql_state: row.opt_text(7)?.unwrap_or_default(),
                sql_code: row.opt_int(8)?.unwrap_or(0),
                message,
            }),
            None => None,
        };
        Ok(Some(BatchResult {
            batch_id,
            status,
            start_ms: time(row.opt_text(0)?),
            end_ms: time(row.opt_text(1)?),
            network_ms: row.opt_int(4)?.unwrap_or(0),
            filter_ms: row.opt_int(5)?.unwrap_or(0),
            database_ms: row.opt_int(6)?.unwrap_or(0),
            change_count: 0,
            hostname: row.opt_text(3)?.unwrap_or_default(),
            failure,
        }))
    }
}
