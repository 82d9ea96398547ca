//! What can be said of any time, host and measure in the runtime tables.

use std::time::{Duration, SystemTime};
use symstream_shared::db::time_ms;
use symstream_shared::hostname::hostname;
use symstream_tests::database::TestDatabase;
use symstream_tests::network::Site;

/// Clocks of databases and of the test are read at different moments, and SQLite's has no microseconds.
const LEEWAY_MS: i64 = 1_000;

/// When a part of a test began.
#[derive(Debug, Clone, Copy)]
pub struct Since(i64);

impl Since {
    /// Now.
    pub fn now() -> Self {
        Self(now_ms())
    }

    /// Holds a time in UTC, as `sym_` tables have it, to be between the beginning and now.
    ///
    /// # Panics
    /// When it is not.
    pub fn check(self, what: &str, utc: &str) -> i64 {
        let ms = time_ms(utc).unwrap_or_else(|| panic!("{what} is no time: {utc:?}"));
        let (from, to) = (self.0 - LEEWAY_MS, now_ms() + LEEWAY_MS);
        assert!(
            (from..=to).contains(&ms),
            "{what} is {utc}: {} ms off",
            ms - self.0
        );
        ms
    }

    /// Holds a count of milliseconds to be not longer than the whole took.
    ///
    /// # Panics
    /// When it is null or longer.
    pub fn check_millis(self, what: &str, millis: &str) -> i64 {
        let number: i64 = millis.parse().unwrap_or_else(|_| panic!("{what} is {millis}"));
        assert!(
            (0..=now_ms() - self.0 + LEEWAY_MS).contains(&number),
            "{what} is {number} ms"
        );
        number
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let since: Duration = since.expect("a time after 1970");
    i64::try_from(since.as_millis()).expect("a time before the year 292 million")
}

/// One row of a history of batches, of either end.
#[derive(Debug, Clone)]
pub struct History {
    /// `status`
    pub status: String,
    /// `data_event_count`, of outgoing batches only.
    pub data_event_count: String,
    /// `failed_data_id` of outgoing, `failed_row_number` of incoming batches.
    pub failed: String,
    /// `network_millis`, `filter_millis`, `database_millis`
    pub millis: [String; 3],
    /// `sql_state`, `sql_code`, `sql_message`
    pub error: [String; 3],
}

/// Nothing stands in the column.
pub const NULL: &str = "∅";

/// The histories of a batch, in their order, each with a host and times that are possible.
///
/// # Panics
/// When one has not.
pub async fn histories(site: &Site, end: End, batch: &str, node: &str, since: Since) -> Vec<History> {
    let database = &site.database;
    let time = |column| database.kind().time_as_text(column);
    let (table, count, failed) = match end {
        End::Outgoing => ("sym_outgoing_batch_hist", "data_event_count", "failed_data_id"),
        End::Incoming => ("sym_incoming_batch_hist", "null", "failed_row_number"),
    };
    let sql = format!(
        "select status, {}, {}, hostname, {count}, {failed}, network_millis, filter_millis, database_millis, \
         sql_state, sql_code, sql_message from {table} where batch_id = {batch} and node_id = '{node}' \
         order by end_time, case status when 'NE' then 1 when 'SE' then 2 else 3 end",
        time("start_time"),
        time("end_time"),
    );
    let rows = database.rows(&sql).await;
    rows.into_iter()
        .map(|row| {
            let what = |column: &str| format!("{column} of {} in {table} at {}", row[0], site.id());
            let start = since.check(&what("start_time"), &row[1]);
            let finish = since.check(&what("end_time"), &row[2]);
            assert!(start <= finish, "{}: {} to {}", what("times"), row[1], row[2]);
            assert_eq!(row[3], hostname(), "{}", what("hostname"));
            let text = |index: usize| row[index].clone();
            History {
                status: text(0),
                data_event_count: text(4),
                failed: text(5),
                millis: [text(6), text(7), text(8)],
                error: [text(9), text(10), text(11)],
            }
        })
        .collect()
}

/// Which end of a lane.
#[derive(Debug, Clone, Copy)]
pub enum End {
    /// The source's tables.
    Outgoing,
    /// The target's.
    Incoming,
}

/// The only row of a query.
///
/// # Panics
/// When there is none, or more.
pub async fn one_row(database: &TestDatabase, sql: &str) -> Vec<String> {
    let mut rows = database.rows(sql).await;
    assert_eq!(rows.len(), 1, "{sql}: {rows:?}");
    rows.remove(0)
}
