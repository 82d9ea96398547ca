//! Reading a table's rows as the changes that bring them to a node.

use super::plan::LoadTable;
use crate::error::Error;
use std::sync::Arc;
use symstream_shared::db::{Row, Sql, Tx};
use symstream_shared::wire::{Change, Operation, TableInfo};
use tokio::sync::mpsc;

/// Text that is read ahead at once.
const CHUNK_BYTES: usize = 256 * 1024;
/// Chunks that wait while rows are taken.
const CHUNKS_AHEAD: usize = 2;

/// Who takes the changes, one after the other.
pub(super) trait ChangeTaker {
    /// Takes the next one. While it is at work no more than [`CHUNKS_AHEAD`] chunks are read.
    fn take(
        &mut self,
        table: &Arc<TableInfo>,
        change: Change,
    ) -> impl Future<Output = Result<(), Error>> + Send;
}

/// Reads all rows that `table` selects, as inserts, or as updates of rows that were sent before. Each change has
/// `data_id`.
pub(super) async fn read(
    snapshot: &mut Tx,
    table: &LoadTable,
    data_id: i64,
    operation: Operation,
    taker: &mut impl ChangeTaker,
) -> Result<(), Error> {
    let (chunks_tx, chunks_rx) = mpsc::channel(CHUNKS_AHEAD);
    let reading = snapshot.query_into(&table.select, &[], CHUNK_BYTES, chunks_tx);
    let (read, taken) = tokio::join!(reading, take_all(table, data_id, operation, chunks_rx, taker));
    taken?;
    read?;
    Ok(())
}

async fn take_all(
    table: &LoadTable,
    data_id: i64,
    operation: Operation,
    mut chunks: mpsc::Receiver<Vec<Row>>,
    taker: &mut impl ChangeTaker,
) -> Result<(), Error> {
    while let Some(chunk) = chunks.recv().await {
        for row in chunk {
            let Some((info, change)) = table.change(&row, data_id, operation)? else {
                continue;
            };
            taker.take(info, change).await?;
        }
    }
    Ok(())
}
