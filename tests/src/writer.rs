//! An application that writes all the time, whatever happens to its database.

use crate::database::TestDatabase;
use crate::eventually::eventually;
use crate::network::PATIENCE;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;

/// The table that writers write: every node has the same.
pub const TABLE: &str = "item";
/// Its definition, on every dialect.
pub const DDL: &str =
    "create table item (id varchar(40) primary key, amount integer not null, note varchar(200))";
/// Its columns.
pub const COLUMNS: [&str; 3] = ["id", "amount", "note"];

/// About how many transactions a second each writer makes.
const PACE: Duration = Duration::from_millis(15);

/// A running writer. Its keys are its own; every transaction inserts one row, updates older ones, deletes one now
/// and then.
#[derive(Debug)]
pub struct Writer {
    committed: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Writer {
    /// Starts one, whose keys begin with `name`.
    pub fn start(database: &TestDatabase, name: &str) -> Self {
        let name = name.to_owned();
        let mut number: u64 = 0;
        Self::start_making(database, PACE, move || {
            number += 1;
            transaction(&name, number)
        })
    }

    /// Starts one that writes what `make` says, a transaction each time.
    pub fn start_making(
        database: &TestDatabase,
        pace: Duration,
        make: impl FnMut() -> String + Send + 'static,
    ) -> Self {
        let committed = Arc::new(AtomicU64::new(0));
        let stop = Arc::new(AtomicBool::new(false));
        let task = tokio::spawn(write(
            database.clone(),
            pace,
            make,
            Arc::clone(&committed),
            Arc::clone(&stop),
        ));
        Self {
            committed,
            stop,
            task,
        }
    }

    /// Transactions that are known to be committed.
    pub fn committed(&self) -> u64 {
        self.committed.load(Ordering::Relaxed)
    }

    /// Waits until this many more are.
    ///
    /// # Panics
    /// When that takes too long.
    pub async fn advance(&self, transactions: u64) {
        let goal = self.committed() + transactions;
        eventually(PATIENCE, "the writer to go on", || async {
            let committed = self.committed();
            if committed >= goal {
                Ok(())
            } else {
                Err(format!("{committed} of {goal} transactions"))
            }
        })
        .await;
    }

    /// Ends it after the transaction in hand; returns how many it committed.
    ///
    /// # Panics
    /// When it failed.
    pub async fn stop(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.expect("the writer's task");
        self.committed.load(Ordering::Relaxed)
    }
}

async fn write(
    database: TestDatabase,
    pace: Duration,
    mut make: impl FnMut() -> String + Send,
    committed: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
) {
    let mut pace = tokio::time::interval(pace);
    while !stop.load(Ordering::Relaxed) {
        pace.tick().await;
        // A transaction whose connection was lost may be committed or not.
        if database.try_transaction(&make()).await.is_ok() {
            committed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The next transaction has keys of its own.
fn transaction(name: &str, number: u64) -> String {
    let mut sql = format!(
        "insert into item (id, amount, note) values ('{name}-{number}', 0, 'new');\n\
         update item set amount = amount + 1 where id = '{name}-{number}';\n\
         update item set amount = amount + 1, note = 'after {number}' where id = '{name}-{}';\n",
        number.saturating_sub(1)
    );
    if number.is_multiple_of(7) {
        sql.push_str(&format!(
            "delete from item where id = '{name}-{}';\n",
            number.saturating_sub(5)
        ));
    }
    sql
}
