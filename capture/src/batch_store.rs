//! `sym_capture_batch`: the batches that were cut, written before they are published.
//!
//! Durable steps of a change, and what a crash between them leaves:
//! 1. the application commits the change and its row in `sym_data`;
//! 2. a reading is cut ([`store`]): batch ids, batches and the new position in one transaction. A crash before its
//!    commit leaves the old position: the rows are read again;
//! 3. the batch is published, one part after the other ([`crate::publisher`]). A crash before the first part
//!    leaves the batch with `routed = 0`, behind the last one on its subject: it is published. A crash between two
//!    parts leaves parts that nobody acts upon: the batch gets a new number ([`renumber`]) and is published whole;
//! 4. the router's report is recorded and `routed` becomes 1 ([`crate::recorder`]), in one transaction.

use crate::cutter::Cut;
use crate::data_runs::DataRuns;
use crate::error::Error;
use crate::source::Source;
use crate::state;
use std::collections::HashMap;
use symstream_shared::db::{Param, Sql, TxKind};
use symstream_shared::id::{ChannelId, NodeId};
use symstream_shared::retry::Disposition;
use symstream_shared::schema::Tables;

/// How many of the newest batches [`on_the_way`] looks at.
const NEWEST: i64 = 64;

/// How often a transaction is tried that others were in the way of.
const ATTEMPTS_MAX: u32 = 10;

/// A batch as it was cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredBatch {
    /// `batch_id`
    pub batch_id: i64,
    /// `data_ranges`
    pub runs: DataRuns,
    /// `create_time`, in milliseconds since 1970.
    pub created_ms: i64,
    /// The configuration's version when the batch was cut.
    pub configuration_version: i64,
}

/// Each channel's `max_batch_size`.
pub(crate) async fn batch_sizes(
    sql: &mut dyn Sql,
    tables: &Tables,
) -> Result<HashMap<ChannelId, u64>, Error> {
    let statement = format!(
        "select channel_id, max_batch_size from {}",
        tables.name("channel")
    );
    let mut sizes = HashMap::new();
    for row in sql.query(&statement, &[]).await? {
        if let Ok(channel) = ChannelId::new(row.text(0)?) {
            sizes.insert(channel, u64::try_from(row.int(1)?).unwrap_or(0).max(1));
        }
    }
    Ok(sizes)
}

/// Gives out `count` batch ids and returns the first.
pub(crate) async fn allocate(sql: &mut dyn Sql, tables: &Tables, count: i64) -> Result<i64, Error> {
    let before = state::get_locked(sql, tables, state::BATCH_ID).await?;
    let last: i64 = before
        .as_deref()
        .map_or(Ok(0), str::parse)
        .map_err(|_| Error::Damaged {
            table: tables.name("state"),
            why: format!("{} is no number", state::BATCH_ID),
        })?;
    let after = (last + count).to_string();
    state::replace(sql, tables, state::BATCH_ID, before.as_deref(), &after).await?;
    Ok(last + 1)
}

/// Gives out `count` batch ids in a transaction of its own and returns the first. Made again where another loop of the agent
/// was in the way, as the reader is while it cuts batches.
pub(crate) async fn give_out(source: &Source, count: i64) -> Result<i64, Error> {
    let mut attempts = Attempts::default();
    loop {
        match give_out_once(source, count).await {
            Err(err) if attempts.has_another(&err) => {}
            given => return given,
        }
    }
}

async fn give_out_once(source: &Source, count: i64) -> Result<i64, Error> {
    let mut tx = source.database.begin(TxKind::Write).await?;
    let first = allocate(&mut tx, &source.tables, count).await?;
    tx.commit().await?;
    Ok(first)
}

/// How often a transaction was tried that others may be in the way of.
#[derive(Debug, Default)]
pub(crate) struct Attempts(u32);

impl Attempts {
    /// Whether the transaction is to be made again at once. Not where the error says something else, or always the same.
    pub(crate) fn has_another(&mut self, err: &Error) -> bool {
        self.0 += 1;
        let is_left = self.0 < ATTEMPTS_MAX && is_conflict(err);
        if is_left {
            tracing::debug!(error = %err, attempt = self.0, "a transaction is made again");
        }
        is_left
    }
}

/// Whether an error may only mean that another loop of the agent, or another transaction, was first.
fn is_conflict(err: &Error) -> bool {
    match err {
        Error::Displaced => true,
        Error::Database(err) => err.disposition == Disposition::Retry && !err.connection_lost,
        _ => false,
    }
}

/// Writes the batches of one reading, in order. The caller stores the position in the same transaction.
pub(crate) async fn store(
    tx: &mut dyn Sql,
    tables: &Tables,
    cuts: &[Cut],
    configuration_version: i64,
    now_ms: i64,
) -> Result<(), Error> {
    let first = allocate(tx, tables, i64::try_from(cuts.len()).unwrap_or(i64::MAX)).await?;
    for (batch_id, cut) in (first..).zip(cuts) {
        let statement = format!(
            "insert into {} (batch_id, channel_id, batch_type, data_ranges, data_count, configuration_version, \
             create_time, routed) values (?, ?, 'EV', ?, ?, ?, ?, 0)",
            tables.name("capture_batch")
        );
        let params = [
            batch_id.into(),
            cut.channel.as_str().into(),
            cut.runs.to_string().into(),
            i64::try_from(cut.count).unwrap_or(i64::MAX).into(),
            configuration_version.into(),
            Param::Time(now_ms),
        ];
        tx.execute(&statement, &params).await?;
    }
    Ok(())
}

/// A batch of an initial load.
pub(crate) struct LoadBatch<'a> {
    /// `batch_id`
    pub batch_id: i64,
    /// `load_id`
    pub load_id: i64,
    /// Its node, where it is for one only.
    pub target: Option<&'a NodeId>,
    /// `configuration_version`
    pub configuration_version: i64,
    /// `data_count`
    pub row_count: i64,
    /// `byte_count`; 0 as long as nothing of it is published.
    pub byte_count: i64,
}

/// Writes a batch of an initial load, or what is known of it now. Its rows are not in `sym_data`: it can not be
/// published again.
pub(crate) async fn put_load(tx: &mut dyn Sql, tables: &Tables, batch: &LoadBatch<'_>) -> Result<(), Error> {
    let statement = format!(
        "insert into {} (batch_id, channel_id, batch_type, target_node_id, data_ranges, data_count, \
         configuration_version, create_time, routed, load_id, byte_count) values (?, ?, 'IL', ?, '', ?, ?, {}, 0, ?, ?){}",
        tables.name("capture_batch"),
        tx.kind().now(),
        tx.kind().or_update(&["batch_id"], &["data_count", "byte_count"])
    );
    let params = [
        batch.batch_id.into(),
        ChannelId::RELOAD.into(),
        batch.target.map(NodeId::as_str).into(),
        batch.row_count.into(),
        batch.configuration_version.into(),
        batch.load_id.into(),
        batch.byte_count.into(),
    ];
    tx.execute(&statement, &params).await?;
    Ok(())
}

/// The channels that have batches of changes behind `after` without a report, each with the last such batch.
pub(crate) async fn channels_to_publish(
    sql: &mut dyn Sql,
    tables: &Tables,
    after: i64,
) -> Result<Vec<(ChannelId, i64)>, Error> {
    let statement = format!(
        "select channel_id, max(batch_id) from {} where batch_id > ? and routed = 0 and batch_type = 'EV' \
         group by channel_id",
        tables.name("capture_batch")
    );
    let rows = sql.query(&statement, &[after.into()]).await?;
    rows.iter()
        .map(|row| {
            let channel = ChannelId::new(row.text(0)?).map_err(|err| Error::Damaged {
                table: tables.name("capture_batch"),
                why: err.to_string(),
            })?;
            Ok((channel, row.int(1)?))
        })
        .collect()
}

/// How many batches of changes that were cut since `since_ms` have no report yet, counted up to `limit` and among
/// the newest only: however many wait, this looks at a few.
pub(crate) async fn on_the_way(
    sql: &mut dyn Sql,
    tables: &Tables,
    since_ms: i64,
    limit: usize,
) -> Result<usize, Error> {
    let statement = format!(
        "select 1 from {table} where batch_id > (select coalesce(max(batch_id), 0) - {NEWEST} from {table}) \
         and routed = 0 and batch_type = 'EV' and create_time >= ? limit {limit}",
        table = tables.name("capture_batch")
    );
    Ok(sql.query(&statement, &[Param::Time(since_ms)]).await?.len())
}

/// The next batches of changes of `channel` behind `after` that have no report, at most `limit`.
pub(crate) async fn next(
    sql: &mut dyn Sql,
    tables: &Tables,
    channel: &ChannelId,
    after: i64,
    limit: i64,
) -> Result<Vec<StoredBatch>, Error> {
    let table = tables.name("capture_batch");
    let statement = format!(
        "select batch_id, data_ranges, {}, configuration_version from {table} \
         where channel_id = ? and batch_id > ? and routed = 0 and batch_type = 'EV' order by batch_id limit {limit}",
        sql.kind().time_as_text("create_time")
    );
    let rows = sql
        .query(&statement, &[channel.as_str().into(), after.into()])
        .await?;
    rows.iter()
        .map(|row| {
            Ok(StoredBatch {
                batch_id: row.int(0)?,
                runs: row.text(1)?.parse().map_err(|err| Error::Damaged {
                    table: table.clone(),
                    why: format!("{err}"),
                })?,
                created_ms: row
                    .opt_text(2)?
                    .as_deref()
                    .and_then(symstream_shared::db::time_ms)
                    .unwrap_or(0),
                configuration_version: row.int(3)?,
            })
        })
        .collect()
}

/// Gives the batches of changes of `channel` from `from` on, none of which was published whole, numbers above all others,
/// in the same order. The old numbers are never used again.
pub(crate) async fn renumber(
    tx: &mut dyn Sql,
    tables: &Tables,
    channel: &ChannelId,
    from: i64,
) -> Result<(), Error> {
    let table = tables.name("capture_batch");
    // Every batch of the channel has a number of at most the last one given out, so this many new ones do.
    let last = state::number(tx, tables, state::BATCH_ID).await?;
    let first = allocate(tx, tables, last - from + 1).await?;
    let statement = format!(
        "update {table} set batch_id = batch_id + ? where channel_id = ? and batch_id >= ? and batch_id < ? \
         and batch_type = 'EV'"
    );
    let params = [
        (first - from).into(),
        channel.as_str().into(),
        from.into(),
        first.into(),
    ];
    tx.execute(&statement, &params).await?;
    Ok(())
}

/// Gives one batch, of which nothing was published, a number above all others.
pub(crate) async fn move_behind(tx: &mut dyn Sql, tables: &Tables, batch_id: i64) -> Result<i64, Error> {
    let last = allocate(tx, tables, 1).await?;
    let statement = format!(
        "update {} set batch_id = ? where batch_id = ?",
        tables.name("capture_batch")
    );
    tx.execute(&statement, &[last.into(), batch_id.into()]).await?;
    Ok(last)
}
