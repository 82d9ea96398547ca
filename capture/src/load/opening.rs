//! Asking the reader for a load's snapshot.
//!
//! Only the loop that reads `sym_data` can tell which changes a snapshot holds: it reads them within it, and gives out
//! the load's number above the batches that it cuts from them.

use super::book;
use crate::data_runs::DataRuns;
use crate::error::Error;
use std::sync::Arc;
use symstream_shared::db::{DatabaseKind, Sql, Tx};
use symstream_shared::id::NodeId;
use symstream_shared::schema::Tables;
use tokio::sync::{Mutex, mpsc, oneshot};

/// Requests that wait for the reader.
const WAITING_MAX: usize = 4;

/// The reader's end. It outlives an attempt of the reader's, which takes it for as long as it runs.
pub(crate) type Openings = Arc<Mutex<mpsc::Receiver<Opening>>>;

/// A load that is to begin.
pub(crate) struct Opening {
    nodes: Vec<NodeId>,
    configuration_version: i64,
    reply: oneshot::Sender<Opened>,
}

/// A load that has begun.
pub(crate) struct Opened {
    /// Its number.
    pub load_id: i64,
    /// Whether its targets' tables are cleared first.
    pub clear_first: bool,
    /// The rows of `sym_data` that the snapshot shows and that are in no batch there.
    pub uncut: DataRuns,
    /// What it reads: all of it, and nothing else.
    pub snapshot: Tx,
}

/// A way to the reader.
pub(crate) fn channel() -> (mpsc::Sender<Opening>, Openings) {
    let (openings_tx, openings_rx) = mpsc::channel(WAITING_MAX);
    (openings_tx, Arc::new(Mutex::new(openings_rx)))
}

/// Has a load of `nodes` begun; `None` where the reader failed meanwhile.
pub(super) async fn open(
    openings: &mpsc::Sender<Opening>,
    nodes: Vec<NodeId>,
    configuration_version: i64,
) -> Option<Opened> {
    let (reply, opened) = oneshot::channel();
    let opening = Opening {
        nodes,
        configuration_version,
        reply,
    };
    openings.send(opening).await.ok()?;
    opened.await.ok()
}

impl Opening {
    /// Writes what is known of the load under its number, in the transaction that stores the position of its snapshot.
    /// Whether the targets' tables are cleared.
    pub(crate) async fn store(&self, tx: &mut dyn Sql, tables: &Tables, load_id: i64) -> Result<bool, Error> {
        book::begin(tx, tables, load_id, &self.nodes, self.configuration_version).await
    }

    /// Hands the snapshot over. A load that was given up meanwhile is found without anybody who takes care of it.
    pub(crate) fn opened(self, opened: Opened) {
        drop(self.reply.send(opened));
    }
}

/// Prepares a snapshot for hours in which its rows may not be asked for, because NATS is away.
pub(crate) async fn make_patient(snapshot: &mut Tx) -> Result<(), Error> {
    match snapshot.kind() {
        DatabaseKind::Mysql => {
            let statement = "set session net_write_timeout = 86400, session wait_timeout = 86400";
            snapshot.execute_script(statement).await?;
        }
        DatabaseKind::Postgres => {
            let statement =
                "set local idle_in_transaction_session_timeout = 0; set local statement_timeout = 0";
            snapshot.execute_script(statement).await?;
        }
        DatabaseKind::Sqlite => {}
    }
    Ok(())
}
