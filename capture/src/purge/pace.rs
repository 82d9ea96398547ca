//! How much one transaction of the purge removes.

use std::time::{Duration, Instant};

/// The fewest rows.
const ROWS_MIN: i64 = 100;
/// The most.
const ROWS_MAX: i64 = 5000;
/// What a transaction should take: where the database has one writer at a time, the application waits for it.
const FAST: Duration = Duration::from_millis(5);
const SLOW: Duration = Duration::from_millis(20);
/// The shortest pause between two transactions.
const PAUSE_MIN: Duration = Duration::from_millis(10);

/// Adapts itself to the database's speed.
pub(super) struct Pace {
    rows: i64,
}

impl Default for Pace {
    fn default() -> Self {
        Self { rows: ROWS_MIN }
    }
}

impl Pace {
    /// The rows of the next transaction.
    pub(super) fn rows(&self) -> i64 {
        self.rows
    }

    /// After a transaction that began at `began`: a pause at least as long as it took.
    pub(super) async fn pause(&mut self, began: Instant) {
        let took = began.elapsed();
        self.adapt(took);
        tokio::time::sleep(took.max(PAUSE_MIN)).await;
    }

    fn adapt(&mut self, took: Duration) {
        if took > SLOW {
            self.rows = (self.rows / 2).max(ROWS_MIN);
        } else if took < FAST {
            self.rows = (self.rows * 2).min(ROWS_MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_transactions_become_smaller() {
        let mut pace = Pace::default();
        for _ in 0..20 {
            pace.adapt(Duration::from_millis(1));
        }
        assert_eq!(pace.rows(), ROWS_MAX);
        pace.adapt(Duration::from_millis(10));
        assert_eq!(pace.rows(), ROWS_MAX);
        for _ in 0..20 {
            pace.adapt(Duration::from_millis(100));
        }
        assert_eq!(pace.rows(), ROWS_MIN);
    }
}
