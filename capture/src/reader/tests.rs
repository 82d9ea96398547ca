//! Readings of real databases: rows are written into `sym_data` as the triggers do.

use super::*;
use crate::data_runs::DataRuns;
use crate::restored;
use crate::testing::TestNode;
use symstream_shared::db::DatabaseKind::{self, Mysql, Postgres, Sqlite};
use symstream_shared::db::Sql;
use symstream_shared::db::Tx;
use symstream_tests::database::TestDatabase;
use symstream_tests::eventually::eventually;

const PATIENCE: Duration = Duration::from_secs(20);

struct Fixture {
    node: TestNode,
    reader: Reader,
}

impl Fixture {
    async fn start(kind: DatabaseKind) -> Self {
        let node = TestNode::start(kind).await;
        let reader = Reader::new(node.source.clone(), Backlog::default());
        Self { node, reader }
    }

    /// One row, as an application's statement captures it.
    fn row(&self) -> &'static str {
        match self.node.db.kind() {
            Mysql => {
                "insert into sym_data (table_name, event_type, trigger_hist_id, channel_id, connection_id) \
                 values ('t', 'I', 1, 'main', connection_id())"
            }
            Postgres | Sqlite => {
                "insert into sym_data (table_name, event_type, trigger_hist_id, channel_id) \
                 values ('t', 'I', 1, 'main')"
            }
        }
    }

    async fn begin(&self) -> Tx {
        self.node.db.begin().await.expect("transaction")
    }

    async fn write(&self, tx: &mut Tx, rows: usize) {
        for _ in 0..rows {
            tx.execute(self.row(), &[]).await.expect("captured");
        }
    }

    /// One transaction of so many rows.
    async fn commit(&self, rows: usize) {
        let mut tx = self.begin().await;
        self.write(&mut tx, rows).await;
        tx.commit().await.expect("commit");
    }

    /// Reads until nothing is left to be read now; the new batches.
    async fn read(&mut self) -> Vec<String> {
        let before = self.batches().await.len();
        while self.reader.read_once().await.expect("reading") {}
        self.batches().await.split_off(before)
    }

    async fn batches(&self) -> Vec<String> {
        let rows = self
            .node
            .db
            .rows("select data_ranges from sym_capture_batch order by batch_id")
            .await;
        rows.into_iter().flatten().collect()
    }

    /// The rows of all batches, in order.
    async fn ids(&self) -> Vec<i64> {
        let batches = self.batches().await;
        let runs = batches.iter().map(|runs| runs.parse::<DataRuns>().expect("runs"));
        runs.flat_map(|runs| runs.ids().collect::<Vec<_>>()).collect()
    }

    async fn position(&self) -> String {
        let rows = self
            .node
            .db
            .rows("select state_value from sym_state where state_key = 'capture_position'")
            .await;
        rows.concat().concat()
    }
}

#[tokio::test]
async fn postgres_reads_whole_transactions_in_the_order_of_their_ends() {
    let mut f = Fixture::start(Postgres).await;
    // GIVEN a transaction that begins first, and two that interleave
    let mut late = f.begin().await;
    f.write(&mut late, 1).await; // 1
    let (mut a, mut b) = (f.begin().await, f.begin().await);
    f.write(&mut a, 1).await; // 2
    f.write(&mut b, 2).await; // 3, 4
    f.write(&mut a, 1).await; // 5
    b.commit().await.expect("commit");
    a.commit().await.expect("commit");
    // THEN the one that ended first goes first, and nobody waits for the open one
    assert_eq!(f.read().await, ["3-4,2,5"]);
    f.commit(1).await; // 6
    assert_eq!(f.read().await, ["6"]);
    // WHEN the first commits at last THEN its rows come
    f.write(&mut late, 1).await; // 7
    late.commit().await.expect("commit");
    assert_eq!(f.read().await, ["1,7"]);
    assert_eq!(f.read().await, [""; 0]);
}

#[tokio::test]
async fn postgres_reads_savepoints_and_large_transactions_whole() {
    let mut f = Fixture::start(Postgres).await;
    let mut tx = f.begin().await;
    f.write(&mut tx, 2).await;
    tx.execute_script("savepoint s").await.expect("savepoint");
    f.write(&mut tx, 2).await;
    tx.execute_script("rollback to s; savepoint t")
        .await
        .expect("rollback");
    f.write(&mut tx, 4).await;
    tx.commit().await.expect("commit");
    f.commit(1).await;
    assert_eq!(f.read().await, ["1-2,5-8", "9"]);
}

#[tokio::test]
async fn mariadb_waits_for_an_id_that_may_still_come_and_only_for_that() {
    let mut f = Fixture::start(Mysql).await;
    // GIVEN ids of an open transaction and of one that was rolled back
    let mut late = f.begin().await;
    f.write(&mut late, 2).await; // 1, 2
    let mut never = f.begin().await;
    f.write(&mut never, 1).await; // 3
    never.rollback().await.expect("rollback");
    f.commit(1).await; // 4
    assert_eq!(f.read().await, ["4"]);
    assert_eq!(f.position().await, "4 1-3");
    // WHEN time passes THEN none is given up: the open transaction may hold each of them
    for _ in 0..8 {
        tokio::time::timeout(Duration::from_millis(400), f.reader.changes.wait())
            .await
            .ok();
        f.read().await;
    }
    assert_eq!(f.position().await, "4 1-3");
    // WHEN it commits THEN its rows are read
    late.commit().await.expect("commit");
    assert_eq!(f.read().await, ["1-2"]);
    // AND the other gap is given up by itself
    settles(&mut f, "4").await;
    let mut later = f.begin().await;
    f.write(&mut later, 1).await; // 5
    f.commit(1).await; // 6
    assert_eq!(f.read().await, ["6"]);
    assert_eq!(f.position().await, "6 5");
    later.commit().await.expect("commit");
    assert_eq!(f.read().await, ["5"]);
}

/// Lets the reader look until its position is `expected`.
async fn settles(f: &mut Fixture, expected: &str) {
    let deadline = Instant::now() + PATIENCE;
    while f.position().await != expected {
        assert!(
            Instant::now() < deadline,
            "position {} instead of {expected}",
            f.position().await
        );
        tokio::time::timeout(Duration::from_millis(200), f.reader.changes.wait())
            .await
            .ok();
        f.reader.read_once().await.expect("reading");
    }
}

#[tokio::test]
async fn mariadb_cuts_only_where_no_transaction_is_open() {
    let mut f = Fixture::start(Mysql).await;
    let (mut a, mut b) = (f.begin().await, f.begin().await);
    f.write(&mut a, 2).await; // 1, 2
    f.write(&mut b, 3).await; // 3-5
    f.write(&mut a, 1).await; // 6
    a.commit().await.expect("commit");
    b.commit().await.expect("commit");
    let mut c = f.begin().await;
    f.write(&mut c, 1).await; // 7, on a connection of one of them or a new one
    c.commit().await.expect("commit");
    let batches = f.read().await;
    assert!(batches == ["1-6", "7"] || batches == ["1-7"], "{batches:?}");
}

#[tokio::test]
async fn sqlite_takes_what_comes_as_a_whole_and_cuts_a_backlog() {
    let mut f = Fixture::start(Sqlite).await;
    // GIVEN a backlog of four transactions
    for _ in 0..4 {
        f.commit(2).await;
    }
    assert_eq!(f.read().await, ["1-3", "4-6", "7-8"]);
    // WHEN the reader watches THEN a transaction larger than a batch stays whole
    f.commit(5).await;
    assert_eq!(f.read().await, ["9-13"]);
}

#[tokio::test]
async fn sqlite_cuts_nothing_that_was_captured_while_the_agent_was_there() {
    let mut f = Fixture::start(Sqlite).await;
    // GIVEN a backlog, and an agent that began while another transaction has the lock
    f.commit(4).await;
    let backlog = Backlog::default();
    f.reader = Reader::new(f.node.source.clone(), Arc::clone(&backlog));
    let mut large = f.begin().await;
    f.write(&mut large, 5).await;
    f.reader.changes.wait().await.expect("look");
    // WHEN its reading fails, and another reader begins anew after it
    large.commit().await.expect("commit");
    f.reader = Reader::new(f.node.source.clone(), Arc::clone(&backlog));
    // THEN the backlog is cut, and the transaction stays whole
    assert_eq!(f.read().await, ["1-3", "4-9"]);
    f.commit(5).await;
    f.reader = Reader::new(f.node.source.clone(), backlog);
    assert_eq!(f.read().await, ["10-14"]);
}

/// One transaction of a row for each word; an empty one is captured without an expression.
async fn words(f: &Fixture, words: &[&str]) {
    // Of a connection of its own, because MariaDB can not tell apart those of one.
    let application = TestDatabase::open(f.node.db.url());
    let mut tx = application.begin().await.expect("transaction");
    for word in words {
        let id = match (*word, f.node.db.kind()) {
            ("", Postgres) => "cast(pg_current_xact_id() as text)".to_owned(),
            ("", _) => "null".to_owned(),
            (word, _) => format!("'{word}'"),
        };
        let row = f
            .row()
            .replacen("channel_id", "channel_id, transaction_id", 1)
            .replacen("'main'", &format!("'main', {id}"), 1);
        tx.execute(&row, &[]).await.expect("captured");
    }
    tx.commit().await.expect("commit");
    application.close().await;
}

async fn expressions_tie(kind: DatabaseKind) {
    let mut f = Fixture::start(kind).await;
    f.node
        .db
        .run(
            "update sym_channel set max_batch_size = 1; insert into sym_trigger (trigger_id, source_table_name, \
             source_node_group_id, target_node_group_id, channel_id, tx_id_expression) \
             values ('t', 't', 'here', 'there', 'main', 'x')",
        )
        .await;
    // GIVEN transactions of which an expression ties some together: 1 to 3, with 2 between them; 5 and 6 are one, and
    // 6 and 8
    for transaction in [
        ["A"].as_slice(),
        &[""],
        &["A"],
        &["B"],
        &["", "C"],
        &[""],
        &["C"],
        &[""],
    ] {
        words(&f, transaction).await;
    }
    // THEN neither they nor what the database calls a transaction are cut
    assert_eq!(f.read().await, ["1-3", "4", "5-8", "9"], "{kind}");
    // AND one that has several words is whole
    words(&f, &["D", "E", "D", "E", "F"]).await;
    words(&f, &["G"]).await;
    assert_eq!(f.read().await, ["10-14", "15"], "{kind}");
}

#[tokio::test]
async fn what_an_expression_calls_one_transaction_is_not_cut_nor_are_real_ones() {
    for kind in [Postgres, Mysql] {
        expressions_tie(kind).await;
    }
}

#[tokio::test]
async fn sqlite_goes_by_an_expression_only_where_all_rows_have_its_word() {
    let mut f = Fixture::start(Sqlite).await;
    f.node
        .db
        .run(
            "update sym_channel set max_batch_size = 1; insert into sym_trigger (trigger_id, source_table_name, \
             source_node_group_id, target_node_group_id, channel_id, tx_id_expression) \
             values ('t', 't', 'here', 'there', 'main', 'x')",
        )
        .await;
    f.read().await;
    words(&f, &["A", "A"]).await;
    words(&f, &["B"]).await;
    assert_eq!(f.read().await, ["1-2", "3"]);
    words(&f, &["C"]).await;
    words(&f, &["D", "", "D"]).await;
    assert_eq!(f.read().await, ["4-7"]);
}

async fn requests_stand_alone(kind: DatabaseKind) {
    let mut f = Fixture::start(kind).await;
    f.read().await;
    let request = "insert into sym_data (table_name, event_type, trigger_hist_id, channel_id, row_data, pk_data) \
                   values ('', 'S', 0, 'main', 'select 1', '001')";
    // GIVEN a request between two transactions, and one among the rows of a third
    words(&f, &[""]).await; // 1
    f.node.db.run(request).await; // 2
    words(&f, &[""]).await; // 3
    let mut tx = f.begin().await;
    f.write(&mut tx, 1).await; // 4
    tx.execute(request, &[]).await.expect("requested"); // 5
    f.write(&mut tx, 2).await; // 6, 7
    tx.commit().await.expect("commit");
    let batches = f.read().await;
    // On SQLite the two can not be told apart: with one writer at a time, a request is never in an application's
    // transaction.
    let expected: &[&str] = match kind {
        Sqlite => &["1", "2", "3-4", "5", "6-7"],
        Postgres | Mysql => &["1", "2", "3-4,6-7", "5"],
    };
    assert_eq!(batches, expected, "{kind}");
}

#[tokio::test]
async fn a_request_is_a_batch_of_its_own_in_its_place() {
    for kind in [Postgres, Mysql, Sqlite] {
        requests_stand_alone(kind).await;
    }
}

async fn large_is_cut(kind: DatabaseKind) {
    let mut f = Fixture::start(kind).await;
    f.read().await;
    f.commit(10).await;
    assert_eq!(f.read().await, ["1-10"], "{kind}");
    f.node.parameters.send_modify(|parameters| {
        Arc::make_mut(parameters).capture_transaction_max_rows = Some(4);
    });
    f.commit(10).await;
    assert_eq!(f.read().await, ["11-14", "15-18", "19-20"], "{kind}");
    f.commit(4).await;
    assert_eq!(f.read().await, ["21-24"], "{kind}");
}

#[tokio::test]
async fn only_the_parameter_cuts_a_large_transaction() {
    for kind in [Postgres, Mysql, Sqlite] {
        large_is_cut(kind).await;
    }
}

async fn is_woken(kind: DatabaseKind) {
    let mut f = Fixture::start(kind).await;
    tokio::time::timeout(PATIENCE, f.reader.changes.wait())
        .await
        .expect("at once")
        .expect("first look");
    f.read().await;
    f.commit(1).await;
    tokio::time::timeout(PATIENCE, f.reader.changes.wait())
        .await
        .expect("in time")
        .expect("look");
    assert_eq!(f.read().await, ["1"]);
}

#[tokio::test]
async fn a_commit_wakes_the_reader_of_mariadb_and_sqlite() {
    is_woken(Mysql).await;
    is_woken(Sqlite).await;
}

#[tokio::test]
async fn two_readers_cut_every_row_once() {
    for kind in [Postgres, Mysql, Sqlite] {
        let f = Fixture::start(kind).await;
        let mut second = Reader::new(f.node.source.clone(), Backlog::default());
        let writing = async {
            for _ in 0..100 {
                f.commit(1).await;
            }
        };
        let stop = tokio_util::sync::CancellationToken::new();
        let reading = async {
            while !stop.is_cancelled() {
                // The loser of a race finds the position moved, or is refused by the database.
                if let Err(err) = second.read_once().await {
                    assert_eq!(
                        err.disposition(),
                        symstream_shared::retry::Disposition::Retry,
                        "{err}"
                    );
                }
                tokio::task::yield_now().await;
            }
        };
        let mut first = Reader::new(f.node.source.clone(), Backlog::default());
        let also = async {
            while !stop.is_cancelled() {
                if let Err(err) = first.read_once().await {
                    assert_eq!(
                        err.disposition(),
                        symstream_shared::retry::Disposition::Retry,
                        "{err}"
                    );
                }
                tokio::task::yield_now().await;
            }
        };
        let writing = async {
            writing.await;
            stop.cancel();
        };
        tokio::join!(writing, reading, also);
        eventually(PATIENCE, "all rows to be cut", || async {
            let mut last = Reader::new(f.node.source.clone(), Backlog::default());
            last.read_once().await.map_err(|err| err.to_string())?;
            let cut = f.ids().await.len();
            if cut >= 100 { Ok(()) } else { Err(cut.to_string()) }
        })
        .await;
        let mut ids = f.ids().await;
        ids.sort_unstable();
        assert_eq!(ids, (1..=100).collect::<Vec<_>>(), "{kind}");
    }
}

#[tokio::test]
async fn another_server_begins_a_new_epoch_in_which_every_row_is_cut_once() {
    let mut f = Fixture::start(Postgres).await;
    restored::check_database(&f.node.source).await.expect("checked");
    f.commit(4).await;
    f.read().await;
    f.commit(2).await;
    f.commit(1).await;
    let before = f.position().await;
    restored::check_database(&f.node.source).await.expect("checked");
    assert_eq!(f.position().await, before, "the same server");
    // WHEN the tables were restored into another one, whose transaction ids are far behind theirs
    f.node
        .db
        .run(
            "update sym_state set state_value = '1' where state_key = 'system_identifier'; \
             update sym_state set state_value = '4000000000:4000000000:' where state_key = 'capture_position'; \
             update sym_data set xact_id = cast('4000000000' as xid8) where data_id > 4; \
             update sym_data set xact_id = cast('3999999999' as xid8) where data_id <= 4",
        )
        .await;
    restored::check_database(&f.node.source).await.expect("checked");
    // THEN what no batch holds is cut, nothing comes twice, and what is captured from now on comes, too
    f.commit(2).await;
    f.read().await;
    assert_eq!(f.ids().await, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    let note = "select count(*) from sym_state where state_key = 'restored'";
    assert_eq!(f.node.db.number(note).await, 1);
    restored::check_database(&f.node.source).await.expect("checked");
    f.commit(1).await;
    assert_eq!(f.read().await, ["10"]);
}
