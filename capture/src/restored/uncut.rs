//! PostgreSQL: a reader's position that means nothing any more, and what it had not read.

use crate::batch_store;
use crate::cutter::{CapturedId, Cutter};
use crate::data_runs::DataRuns;
use crate::error::Error;
use crate::source::now_ms;
use crate::state;
use symstream_shared::db::{DbError, Param, Sql};
use symstream_shared::id::ChannelId;
use symstream_shared::schema::Tables;

/// A transaction id below all that are given out: what has it was committed before any reading.
const LONG_AGO: &str = "3";

/// Which server this is.
pub(super) async fn system_identifier(sql: &mut dyn Sql) -> Result<String, Error> {
    one(
        sql,
        "select cast(system_identifier as text) from pg_control_system()",
        &[],
    )
    .await
}

/// Whether a position names transaction ids that the server has not given out yet.
pub(super) async fn is_in_future(sql: &mut dyn Sql, position: &str) -> Result<bool, Error> {
    let question = "select case when pg_snapshot_xmax(cast(cast(? as text) as pg_snapshot)) \
                    > pg_snapshot_xmax(pg_current_snapshot()) then 'yes' else 'no' end";
    Ok(one(sql, question, &[position.into()]).await? == "yes")
}

/// Cuts every captured row that no batch holds, those of each channel in the order of their ids, and sets the position
/// behind all that this snapshot shows. How many rows that were.
pub(super) async fn cut(tx: &mut dyn Sql, tables: &Tables) -> Result<u64, Error> {
    let held = held(tx, tables).await?;
    let sizes = batch_store::batch_sizes(tx, tables).await?;
    let mut cutter = Cutter::new(sizes, None);
    let mut count = 0;
    let statement = format!(
        "select data_id, channel_id, max(data_id) over (partition by channel_id, xact_id), \
         case when event_type in ('R', 'S') then 1 else 0 end from {} order by data_id",
        tables.name("data")
    );
    tx.query_each(&statement, &[], &mut |row| {
        let data_id = row.int(0)?;
        if !held.contains(data_id) {
            count += 1;
            cutter.push(CapturedId {
                data_id,
                channel: ChannelId::new(row.text(1)?).map_err(|err| DbError::unexpected(err.to_string()))?,
                transaction_last: row.int(2)?,
                is_request: row.int(3)? != 0,
            });
        }
        Ok(())
    })
    .await?;
    let cuts = cutter.finish();
    if !cuts.batches.is_empty() {
        let version = state::number(tx, tables, state::CONFIG_VERSION).await?;
        batch_store::store(tx, tables, &cuts.batches, version, now_ms()).await?;
    }
    // The rows' transaction ids are those of another server: some would come again as if they were new.
    let seen_again = format!(
        "update {} set xact_id = cast('{LONG_AGO}' as xid8) where not pg_visible_in_snapshot(xact_id, pg_current_snapshot())",
        tables.name("data")
    );
    tx.execute(&seen_again, &[]).await?;
    let now = one(tx, "select cast(pg_current_snapshot() as text)", &[]).await?;
    let before = state::get(tx, tables, state::CAPTURE_POSITION).await?;
    state::replace(tx, tables, state::CAPTURE_POSITION, before.as_deref(), &now).await?;
    Ok(count)
}

/// Ids in ascending runs.
struct Held(Vec<(i64, i64)>);

impl Held {
    fn contains(&self, data_id: i64) -> bool {
        let after = self.0.partition_point(|(first, _)| *first <= data_id);
        after.checked_sub(1).is_some_and(|at| data_id <= self.0[at].1)
    }
}

/// The rows that batches hold.
async fn held(tx: &mut dyn Sql, tables: &Tables) -> Result<Held, Error> {
    let table = tables.name("capture_batch");
    let statement = format!("select data_ranges from {table} where batch_type = 'EV'");
    let mut runs = Vec::new();
    tx.query_each(&statement, &[], &mut |row| {
        let of_batch: DataRuns = row
            .opt_text(0)?
            .unwrap_or_default()
            .parse()
            .map_err(|err| DbError::unexpected(format!("table {table}: {err}")))?;
        runs.extend_from_slice(of_batch.as_slice());
        Ok(())
    })
    .await?;
    runs.sort_unstable();
    Ok(Held(runs))
}

async fn one(sql: &mut dyn Sql, question: &str, params: &[Param]) -> Result<String, Error> {
    let row = sql.query_opt(question, params).await?;
    Ok(row.ok_or_else(|| DbError::unexpected("no answer"))?.text(0)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_held_by_the_run_that_it_stands_in() {
        let held = Held(vec![(1, 3), (5, 5), (8, 9)]);
        let ids: Vec<i64> = (0..=10).filter(|id| held.contains(*id)).collect();
        assert_eq!(ids, [1, 2, 3, 5, 8, 9]);
        assert!(!Held(Vec::new()).contains(1));
    }
}
