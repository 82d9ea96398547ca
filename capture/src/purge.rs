//! Removing what every target has, once it is old.

use crate::data_runs::{DataRuns, RUNS_MAX};
use crate::error::Error;
use crate::parameters::wait_until_over;
use crate::source::{Source, now_ms};
use std::convert::Infallible;
use std::time::{Duration, Instant};
use symstream_shared::db::{Param, Sql, TxKind};
use symstream_shared::schema::Tables;

/// Batches of one round.
const BATCHES_MAX: i64 = 200;
/// Rows of one delete.
const ROWS_MAX: i64 = 5000;
/// Between two transactions, so that the application does not feel the purge.
const PAUSE: Duration = Duration::from_millis(20);

/// Purges for ever.
pub(crate) async fn run(source: Source) -> Result<Infallible, Error> {
    let mut parameters = source.parameters.clone();
    loop {
        let began = Instant::now();
        let retention = parameters.borrow().purge_retention;
        let before_ms = now_ms() - i64::try_from(retention.as_millis()).unwrap_or(i64::MAX);
        loop {
            let batches = done_before(&source, before_ms).await?;
            if batches.is_empty() {
                break;
            }
            for (batch_id, runs) in batches {
                remove(&source, batch_id, &runs).await?;
                tokio::time::sleep(PAUSE).await;
            }
        }
        wait_until_over(&mut parameters, began, |parameters| parameters.purge_interval).await;
    }
}

/// Old batches that are routed and `OK` at every node that got any of their rows. Only below the first batch without
/// a report: that one's lookups may need the former rows of links behind it.
async fn done_before(source: &Source, before_ms: i64) -> Result<Vec<(i64, DataRuns)>, Error> {
    let batch = source.tables.name("capture_batch");
    let outgoing = source.tables.name("outgoing_batch");
    let statement = format!(
        "select b.batch_id, b.data_ranges from {batch} b where b.routed = 1 and b.create_time < ? \
         and b.batch_id < coalesce((select min(u.batch_id) from {batch} u where u.routed = 0 and u.batch_type = 'EV'), b.batch_id + 1) \
         and not exists (select 1 from {outgoing} o where o.batch_id = b.batch_id and o.status <> 'OK') \
         order by b.batch_id limit {BATCHES_MAX}"
    );
    let rows = source
        .database
        .query(&statement, &[Param::Time(before_ms)])
        .await?;
    rows.iter()
        .map(|row| {
            let runs = row.opt_text(1)?.unwrap_or_default().parse();
            let runs = runs.map_err(|err| Error::Damaged {
                table: batch.clone(),
                why: format!("{err}"),
            })?;
            Ok((row.int(0)?, runs))
        })
        .collect()
}

/// Removes a batch with its rows, some thousand at a time. The batch itself goes last: a purge that was interrupted
/// finds it again.
async fn remove(source: &Source, batch_id: i64, runs: &DataRuns) -> Result<(), Error> {
    let tables = &source.tables;
    for piece in runs.pieces(ROWS_MAX, RUNS_MAX) {
        let (condition, params) = piece.condition("data_id");
        let mut tx = source.database.begin(TxKind::Write).await?;
        for table in ["data_event", "data"] {
            tx.execute(
                &format!("delete from {} where {condition}", tables.name(table)),
                &params,
            )
            .await?;
        }
        tx.commit().await?;
        tokio::time::sleep(PAUSE).await;
    }
    let mut tx = source.database.begin(TxKind::Write).await?;
    for table in batch_tables(tables) {
        tx.execute(
            &format!("delete from {table} where batch_id = ?"),
            &[batch_id.into()],
        )
        .await?;
    }
    tx.commit().await?;
    Ok(())
}

fn batch_tables(tables: &Tables) -> [String; 3] {
    ["outgoing_batch_hist", "outgoing_batch", "capture_batch"].map(|table| tables.name(table))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestNode;
    use symstream_shared::db::DatabaseKind::{Mysql, Postgres, Sqlite};

    #[tokio::test]
    async fn only_what_every_target_has_is_removed() {
        for kind in [Postgres, Mysql, Sqlite] {
            let node = TestNode::start(kind).await;
            for data_id in 1..=10 {
                node.db
                    .run(&format!(
                        "insert into sym_data (data_id, table_name, event_type, trigger_hist_id, channel_id) \
                         values ({data_id}, 't', 'I', 1, 'main'); \
                         insert into sym_data_event (data_id, node_id, channel_id, batched) \
                         values ({data_id}, '-1', 'main', '0')"
                    ))
                    .await;
            }
            // GIVEN batch 1 has reached both nodes, 2 nobody, 3 one of two; 4 is young; 5 has no report; 6 is done but
            // behind it; rows 9 and 10 are in no batch yet
            node.db
                .run(
                    "insert into sym_capture_batch (batch_id, channel_id, data_ranges, create_time, routed) values \
                     (1, 'main', '1,3', '2020-01-01 00:00:00', 1), (2, 'main', '2', '2020-01-01 00:00:00', 1), \
                     (3, 'main', '4', '2020-01-01 00:00:00', 1), (4, 'main', '5', '2037-01-01 00:00:00', 1), \
                     (5, 'main', '6-7', '2020-01-01 00:00:00', 0), (6, 'main', '8', '2020-01-01 00:00:00', 1); \
                     insert into sym_outgoing_batch (batch_id, node_id, channel_id, status, create_time) values \
                     (1, 'a', 'main', 'OK', '2020-01-01 00:00:00'), (1, 'b', 'main', 'OK', '2020-01-01 00:00:00'), \
                     (3, 'a', 'main', 'OK', '2020-01-01 00:00:00'), (3, 'b', 'main', 'ER', '2020-01-01 00:00:00')",
                )
                .await;
            let batches = done_before(&node.source, now_ms()).await.expect("batches");
            for (batch_id, runs) in &batches {
                remove(&node.source, *batch_id, runs).await.expect("removed");
            }
            let ids = |table: &str| format!("select data_id from {table} order by data_id");
            let rest = ["4", "5", "6", "7", "8", "9", "10"];
            assert_eq!(node.db.rows(&ids("sym_data")).await.concat(), rest, "{kind}");
            assert_eq!(
                node.db.rows(&ids("sym_data_event")).await.concat(),
                rest,
                "{kind}"
            );
            let batches = node
                .db
                .rows("select batch_id from sym_capture_batch order by batch_id")
                .await;
            assert_eq!(batches.concat(), ["3", "4", "5", "6"], "{kind}");
            assert_eq!(
                node.db.number("select count(*) from sym_outgoing_batch").await,
                2,
                "{kind}"
            );
        }
    }
}
