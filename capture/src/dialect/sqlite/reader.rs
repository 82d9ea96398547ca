//! Reading `sym_data` on SQLite: one writer at a time, so `data_id` order is commit order.
//!
//! The position is the highest `data_id` read. Transactions leave no mark; what one reading finds while it
//! watches is taken as a whole, because a reading sees whole transactions only. What had gathered before the
//! agent started ([`Backlog`]) may be cut anywhere.

use crate::cutter::CapturedId;
use crate::dialect::reading::{Backlog, ChangeReader, IS_REQUEST, IdlePoll, captured_id};
use crate::parameters::ParameterReceiver;
use futures_util::future::BoxFuture;
use symstream_shared::db::{Database, DbError, DetachedConn, Sql};
use symstream_shared::schema::Tables;

pub(crate) struct Reader {
    database: Database,
    tables: Tables,
    /// Never written with: `data_version` tells of the commits of other connections only.
    watch: Option<DetachedConn>,
    data_version: Option<i64>,
    idle: IdlePoll,
    /// As it is stored; `None` before the first reading.
    position: Option<i64>,
    backlog: Backlog,
}

impl Reader {
    /// Asks for the `data_version`, which costs some microseconds, every `capture.poll.interval.max` at the least.
    pub(crate) fn new(
        database: Database,
        tables: Tables,
        backlog: Backlog,
        parameters: ParameterReceiver,
    ) -> Self {
        Self {
            database,
            tables,
            backlog,
            watch: None,
            data_version: None,
            idle: IdlePoll::new(parameters),
            position: None,
        }
    }

    /// The reading's rows behind `last`; its parameters are the backlog's end and `last`. A request stands between two
    /// transactions, because there is one writer: what may be one transaction ends there.
    async fn statement(&self, tx: &mut dyn Sql, last: i64) -> Result<String, DbError> {
        let data = self.tables.name("data");
        let statement = format!(
            "select exists (select 1 from {} where tx_id_expression is not null), \
             exists (select 1 from {data} where data_id > ? and event_type in ('R', 'S'))",
            self.tables.name("trigger")
        );
        let row = tx.query_opt(&statement, &[last.into()]).await?;
        let (by_expression, has_requests) = match row {
            Some(row) => (row.int(0)? != 0, row.int(1)? != 0),
            None => (false, false),
        };
        let (rows, together) = if has_requests {
            let rows = format!(
                "(select data_id, channel_id, event_type, transaction_id, sum({IS_REQUEST}) over \
                 (partition by channel_id order by data_id) as requests from {data})"
            );
            (rows, "channel_id, requests")
        } else {
            (data, "channel_id")
        };
        // Where a transaction's rows do not all have a word of the expression's, nothing tells where it ends.
        let by_expression = if by_expression {
            format!(
                "when transaction_id is not null and max(transaction_id is null and data_id > ?1 and not {IS_REQUEST}) \
                 over (partition by {together}) = 0 \
                 then max(data_id) over (partition by channel_id, transaction_id)"
            )
        } else {
            String::new()
        };
        Ok(format!(
            "select data_id, channel_id, case {by_expression} when data_id <= ?1 then data_id \
             else max(data_id) over (partition by {together}) end, {IS_REQUEST} \
             from {rows} where data_id > ?2 order by data_id"
        ))
    }

    /// Whether there are rows behind the position, after a commit by anybody.
    async fn look(&mut self) -> Result<bool, DbError> {
        let watch = match &mut self.watch {
            Some(watch) => watch,
            none => none.insert(self.database.conn().await?.detach()),
        };
        // Before the first reading, which waits for a transaction that holds the lock: that one is no backlog.
        backlog_end(&self.backlog, &self.tables, watch).await?;
        let version = watch.query("pragma data_version", &[]).await?;
        let version = version.first().map(|row| row.int(0)).transpose()?;
        if version == self.data_version {
            return Ok(false);
        }
        let Some(position) = self.position else {
            return Ok(true);
        };
        let statement = format!(
            "select exists(select 1 from {} where data_id > ?)",
            self.tables.name("data")
        );
        let found = watch.query(&statement, &[position.into()]).await?;
        if found.first().map(|row| row.int(0)).transpose()? == Some(1) {
            return Ok(true);
        }
        self.data_version = version;
        Ok(false)
    }
}

impl ChangeReader for Reader {
    fn wait(&mut self) -> BoxFuture<'_, Result<(), DbError>> {
        Box::pin(async move {
            loop {
                match self.look().await {
                    Ok(true) => return Ok(()),
                    Ok(false) => self.idle.pause().await,
                    Err(err) => {
                        self.watch = None;
                        return Err(err);
                    }
                }
            }
        })
    }

    fn read<'a>(
        &'a mut self,
        tx: &'a mut dyn Sql,
        before: Option<&'a str>,
        each: &'a mut (dyn FnMut(CapturedId) + Send),
    ) -> BoxFuture<'a, Result<Option<String>, DbError>> {
        Box::pin(async move {
            let last = data_id(before)?;
            let backlog = backlog_end(&self.backlog, &self.tables, tx).await?;
            let statement = self.statement(tx, last).await?;
            let mut highest = last;
            tx.query_each(&statement, &[backlog.into(), last.into()], &mut |row| {
                let row = captured_id(row.int(0)?, row.text(1)?, row.int(2)?, row.int(3)?)?;
                highest = highest.max(row.data_id);
                each(row);
                Ok(())
            })
            .await?;
            self.idle.found(highest > last);
            Ok((highest > last).then(|| highest.to_string()))
        })
    }

    fn stored(&mut self, position: Option<&str>) -> Result<(), DbError> {
        self.position = Some(data_id(position)?);
        Ok(())
    }
}

/// The last row that may be cut from the next one: it was committed when the agent's life began.
async fn backlog_end(backlog: &Backlog, tables: &Tables, sql: &mut dyn Sql) -> Result<i64, DbError> {
    if let Some(end) = backlog.get() {
        return Ok(*end);
    }
    let statement = format!("select coalesce(max(data_id), 0) from {}", tables.name("data"));
    let end = sql
        .query_opt(&statement, &[])
        .await?
        .map_or(Ok(0), |row| row.int(0))?;
    Ok(*backlog.get_or_init(|| end))
}

fn data_id(position: Option<&str>) -> Result<i64, DbError> {
    position
        .map_or(Ok(0), str::parse)
        .map_err(|_| DbError::unexpected(format!("position {position:?} is no data id")))
}
