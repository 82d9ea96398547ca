//! What published batches take (`sym_capture_batch.byte_count`), written together a little later: nobody waits for it, and
//! a crash loses the last seconds of it only.

use crate::batch_store::Attempts;
use crate::error::Error;
use crate::source::Source;
use std::convert::Infallible;
use std::time::Duration;
use symstream_shared::db::{Sql, TxKind};
use tokio::sync::{Mutex, mpsc};

/// Batches that are written at once.
const BATCHES_MAX: usize = 1000;
/// After this time the routing of most of them is recorded, which writes the same rows: no two wait for each other then.
const LATER: Duration = Duration::from_secs(2);

/// What one batch takes.
pub(super) struct Weight {
    pub batch_id: i64,
    /// All of its messages.
    pub byte_count: i64,
}

/// From the channels' tasks to [`record`].
pub(super) fn channel() -> (mpsc::Sender<Weight>, Mutex<mpsc::Receiver<Weight>>) {
    let (weights_tx, weights_rx) = mpsc::channel(BATCHES_MAX);
    (weights_tx, Mutex::new(weights_rx))
}

/// Writes them for ever.
pub(super) async fn record(
    source: &Source,
    weights: &Mutex<mpsc::Receiver<Weight>>,
) -> Result<Infallible, Error> {
    let mut weights = weights.lock().await;
    let mut waiting = Vec::new();
    loop {
        if weights.recv_many(&mut waiting, BATCHES_MAX).await == 0 {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(LATER).await;
        while waiting.len() < BATCHES_MAX
            && let Ok(weight) = weights.try_recv()
        {
            waiting.push(weight);
        }
        waiting.sort_by_key(|weight| weight.batch_id);
        let mut attempts = Attempts::default();
        loop {
            match store(source, &waiting).await {
                Err(err) if attempts.has_another(&err) => {}
                stored => break stored?,
            }
        }
        waiting.clear();
    }
}

/// Writes them in the order of their ids, in one transaction.
async fn store(source: &Source, weights: &[Weight]) -> Result<(), Error> {
    let statement = format!(
        "update {} set byte_count = ? where batch_id = ?",
        source.tables.name("capture_batch")
    );
    let mut tx = source.database.begin(TxKind::Write).await?;
    for weight in weights {
        tx.execute(&statement, &[weight.byte_count.into(), weight.batch_id.into()])
            .await?;
    }
    Ok(tx.commit().await?)
}
