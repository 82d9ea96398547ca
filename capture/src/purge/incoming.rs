//! Batches that were applied here. How far each lane is stands elsewhere and stays for ever, so a batch is known as
//! applied after it was removed.

use super::{Figures, Pace};
use crate::error::Error;
use crate::source::Source;
use std::time::Instant;
use symstream_shared::db::{Param, Sql, TxKind};

/// Removes them. One that failed, and was not applied since, stays.
pub(super) async fn purge(
    source: &Source,
    before_ms: i64,
    pace: &mut Pace,
    figures: &mut Figures,
) -> Result<(), Error> {
    let tables = [
        source.tables.name("incoming_batch_hist"),
        source.tables.name("incoming_batch"),
    ];
    loop {
        let began = Instant::now();
        let statement = format!(
            "select batch_id, node_id from {} where status = 'OK' and create_time < ? order by batch_id, node_id limit {}",
            tables[1],
            // Each is looked for by itself.
            pace.rows().min(500)
        );
        let old = source
            .database
            .query(&statement, &[Param::Time(before_ms)])
            .await?;
        if old.is_empty() {
            return Ok(());
        }
        let mut tx = source.database.begin(TxKind::Write).await?;
        for row in &old {
            let key = [Param::Int(row.int(0)?), Param::Text(row.text(1)?)];
            for table in &tables {
                let delete = format!("delete from {table} where batch_id = ? and node_id = ?");
                tx.execute(&delete, &key).await?;
            }
            figures.incoming_batches += 1;
        }
        tx.commit().await?;
        pace.pause(began).await;
    }
}
