//! Reports, recorded by real databases.

use super::*;
use crate::testing::TestNode;
use symstream_shared::db::DatabaseKind::{self, Mysql, Postgres, Sqlite};
use symstream_shared::id::ChannelId;
use symstream_shared::wire::{BatchFailure, RoutedReport, StatusReport, TargetRows};

mod groups;

struct Fixture {
    node: TestNode,
}

fn node(id: &str) -> NodeId {
    NodeId::new(id).expect("id")
}

fn channel() -> ChannelId {
    ChannelId::new("main").expect("id")
}

fn routed(batch_id: i64, targets: &[(&str, &[(i64, i64)])], unrouted: &[(i64, i64)]) -> RoutedReport {
    let target = |(id, ranges): &(&str, &[(i64, i64)])| TargetRows {
        node: node(id),
        ranges: ranges.to_vec(),
        change_count: ranges
            .iter()
            .map(|(first, last)| (last - first + 1).unsigned_abs())
            .sum(),
        ignored: false,
    };
    RoutedReport {
        groups: Vec::new(),
        source: node("000"),
        channel: channel(),
        batch_id,
        created_ms: 1_700_000_000_000,
        started_ms: 1_700_000_000_020,
        sent_ms: 1_700_000_000_050,
        hostname: "router".to_owned(),
        targets: targets.iter().map(target).collect(),
        unrouted: unrouted.to_vec(),
        last: true,
    }
}

fn status(batch_id: i64, status: BatchStatus, end_ms: i64) -> StatusReport {
    StatusReport {
        contact: None,
        source: node("000"),
        target: node("001"),
        channel: channel(),
        results: vec![BatchResult {
            batch_id,
            status,
            start_ms: 1_700_000_000_060,
            end_ms,
            network_ms: 1,
            filter_ms: 2,
            database_ms: 3,
            change_count: 2,
            hostname: "loader".to_owned(),
            failure: (status == BatchStatus::Error).then(|| BatchFailure {
                row_number: 1,
                data_id: 5,
                sql_state: "23503".to_owned(),
                sql_code: 7,
                message: "it's refused".to_owned(),
            }),
        }],
    }
}

impl Fixture {
    /// Batches 1 and 2 of three rows each.
    async fn start(kind: DatabaseKind) -> Self {
        let node = TestNode::start(kind).await;
        for _ in 0..6 {
            node.db
                .run(
                    "insert into sym_data (table_name, event_type, trigger_hist_id, channel_id) \
                     values ('t', 'I', 1, 'main')",
                )
                .await;
        }
        node.db
            .run(
                "insert into sym_capture_batch (batch_id, channel_id, batch_type, data_ranges, data_count, \
                 configuration_version, routed) values (1, 'main', 'EV', '1-3', 3, 1, 0), (2, 'main', 'EV', '4-6', 3, 1, 0)",
            )
            .await;
        Self { node }
    }

    async fn routed(&self, report: &RoutedReport) {
        let mut tx = self.node.db.begin().await.expect("transaction");
        routed::record(&mut tx, &self.node.source.tables, report)
            .await
            .expect("recorded");
        tx.commit().await.expect("commit");
    }

    async fn status(&self, report: &StatusReport) {
        let mut tx = self.node.db.begin().await.expect("transaction");
        status::record(&mut tx, &self.node.source.tables, report)
            .await
            .expect("recorded");
        tx.commit().await.expect("commit");
    }

    async fn lines(&self, sql: &str) -> Vec<String> {
        self.node
            .db
            .rows(sql)
            .await
            .iter()
            .map(|row| row.join(" "))
            .collect()
    }

    async fn outgoing(&self) -> Vec<String> {
        self.lines("select batch_id, node_id, status from sym_outgoing_batch order by batch_id, node_id")
            .await
    }

    async fn history(&self) -> Vec<String> {
        self.lines(
            "select batch_id, node_id, status, data_event_count, hostname, network_millis, database_millis, \
             failed_data_id, sql_state, sql_message from sym_outgoing_batch_hist \
             order by batch_id, node_id, start_time, end_time",
        )
        .await
    }
}

async fn routed_twice(kind: DatabaseKind) {
    let f = Fixture::start(kind).await;
    let report = routed(1, &[("001", &[(1, 2)]), ("002", &[(2, 2)])], &[(3, 3)]);
    for _ in 0..2 {
        f.routed(&report).await;
        let events = "select data_id, node_id, channel_id, batch_id, batched from sym_data_event order by data_id, node_id";
        assert_eq!(
            f.lines(events).await,
            [
                "1 001 main 1 1",
                "2 001 main 1 1",
                "2 002 main 1 1",
                "3 -1 main ∅ 0"
            ]
        );
        assert_eq!(f.outgoing().await, ["1 001 SE", "1 002 SE"]);
        assert_eq!(
            f.history().await,
            [
                "1 001 NE 2 router ∅ 20 ∅ ∅ ∅",
                "1 001 SE ∅ router 30 ∅ ∅ ∅ ∅",
                "1 002 NE 1 router ∅ 20 ∅ ∅ ∅",
                "1 002 SE ∅ router 30 ∅ ∅ ∅ ∅",
            ]
        );
        assert_eq!(
            f.lines("select batch_id, routed from sym_capture_batch order by 1")
                .await,
            ["1 1", "2 0"]
        );
    }
}

#[tokio::test]
async fn a_report_that_comes_twice_is_recorded_once() {
    for kind in [Postgres, Mysql, Sqlite] {
        routed_twice(kind).await;
    }
}

async fn failed_then_applied(kind: DatabaseKind) {
    let f = Fixture::start(kind).await;
    f.routed(&routed(1, &[("001", &[(1, 3)])], &[])).await;
    f.routed(&routed(2, &[("001", &[(4, 6)])], &[])).await;
    // GIVEN two attempts that failed, the first reported twice
    let first = status(1, BatchStatus::Error, 1_700_000_000_070);
    f.status(&first).await;
    f.status(&first).await;
    f.status(&status(1, BatchStatus::Error, 1_700_000_000_080)).await;
    assert_eq!(f.outgoing().await, ["1 001 ER", "2 001 SE"]);
    // WHEN the second batch is reported as applied THEN the first is, too
    let applied = status(2, BatchStatus::Ok, 1_700_000_000_090);
    f.status(&applied).await;
    f.status(&applied).await;
    f.status(&first).await;
    assert_eq!(f.outgoing().await, ["1 001 OK", "2 001 OK"]);
    let after_sending: Vec<String> = f
        .history()
        .await
        .into_iter()
        .filter(|line| line.contains(" loader "))
        .collect();
    assert_eq!(
        after_sending,
        [
            "1 001 ER ∅ loader 1 3 5 23503 it's refused",
            "1 001 ER ∅ loader 1 3 5 23503 it's refused",
            "1 001 OK ∅ loader ∅ ∅ ∅ ∅ ∅",
            "2 001 OK ∅ loader 1 3 ∅ ∅ ∅",
        ]
    );
}

#[tokio::test]
async fn each_failure_is_recorded_and_ok_is_the_end() {
    for kind in [Postgres, Mysql, Sqlite] {
        failed_then_applied(kind).await;
    }
}

#[tokio::test]
async fn an_answer_may_overtake_the_report_that_a_batch_was_routed() {
    let f = Fixture::start(Sqlite).await;
    f.status(&status(2, BatchStatus::Ok, 1_700_000_000_090)).await;
    assert_eq!(f.outgoing().await, ["2 001 OK"]);
    f.routed(&routed(1, &[("001", &[(1, 3)])], &[])).await;
    f.routed(&routed(2, &[("001", &[(4, 6)])], &[])).await;
    assert_eq!(f.outgoing().await, ["1 001 OK", "2 001 OK"]);
}

#[tokio::test]
async fn what_is_not_known_any_more_is_passed_over() {
    let f = Fixture::start(Sqlite).await;
    f.routed(&routed(9, &[("001", &[(1, 3)])], &[])).await;
    f.status(&status(9, BatchStatus::Ok, 1_700_000_000_090)).await;
    f.status(&status(9, BatchStatus::Error, 1_700_000_000_090)).await;
    assert_eq!(f.outgoing().await, [""; 0]);
}

async fn ignored_is_ok_at_once(kind: DatabaseKind) {
    let f = Fixture::start(kind).await;
    // GIVEN the second batch's report comes first, and says that the channel was ignored for the node by then
    let mut ignored = routed(2, &[("001", &[(4, 6)])], &[]);
    ignored.targets[0].ignored = true;
    for _ in 0..2 {
        f.routed(&ignored).await;
        assert_eq!(f.outgoing().await, ["2 001 OK"], "{kind}");
        assert_eq!(
            f.history().await,
            ["2 001 NE 3 router ∅ 20 ∅ ∅ ∅", "2 001 OK ∅ router ∅ ∅ ∅ ∅ ∅"],
            "{kind}"
        );
        let events = "select data_id, node_id, batch_id, batched from sym_data_event order by data_id";
        assert_eq!(
            f.lines(events).await,
            ["4 001 2 1", "5 001 2 1", "6 001 2 1"],
            "{kind}"
        );
    }
    // THEN that says nothing of the batch before it
    f.routed(&routed(1, &[("001", &[(1, 3)])], &[])).await;
    assert_eq!(f.outgoing().await, ["1 001 SE", "2 001 OK"], "{kind}");
    // UNTIL the node itself does
    f.status(&status(1, BatchStatus::Ok, 1_700_000_000_090)).await;
    assert_eq!(f.outgoing().await, ["1 001 OK", "2 001 OK"], "{kind}");
}

#[tokio::test]
async fn an_ignored_batch_is_ok_and_says_nothing_of_those_before_it() {
    for kind in [Postgres, Mysql, Sqlite] {
        ignored_is_ok_at_once(kind).await;
    }
}

async fn request_is_recorded(kind: DatabaseKind) {
    let f = Fixture::start(kind).await;
    f.node
        .db
        .run(
            "insert into sym_data (table_name, event_type, trigger_hist_id, channel_id, row_data, pk_data) \
             values ('', 'S', 0, 'main', 'select 1', '001'), ('', 'S', 0, 'main', 'select 1', 'unknown'); \
             insert into sym_capture_batch (batch_id, channel_id, batch_type, data_ranges, data_count, \
             configuration_version, routed) values (3, 'main', 'EV', '7', 1, 1, 0), (4, 'main', 'EV', '8', 1, 1, 0)",
        )
        .await;
    f.routed(&routed(3, &[("001", &[(7, 7)])], &[])).await;
    f.routed(&routed(4, &[], &[(8, 8)])).await;
    let events =
        "select data_id, node_id, channel_id, batch_id, batched from sym_data_event order by data_id";
    assert_eq!(
        f.lines(events).await,
        ["7 001 main 3 1", "8 -1 main ∅ 0"],
        "{kind}"
    );
    let batches = "select batch_id, node_id, batch_type, status from sym_outgoing_batch";
    assert_eq!(f.lines(batches).await, ["3 001 EV SE"], "{kind}");
}

#[tokio::test]
async fn a_request_is_recorded_as_a_change_is() {
    for kind in [Postgres, Mysql, Sqlite] {
        request_is_recorded(kind).await;
    }
}

async fn times_are_those_of_the_work(kind: DatabaseKind) {
    let f = Fixture::start(kind).await;
    f.routed(&routed(1, &[("001", &[(1, 3)])], &[])).await;
    f.status(&status(1, BatchStatus::Error, 1_700_000_000_070)).await;
    f.status(&status(1, BatchStatus::Ok, 1_700_000_000_090)).await;
    let time = |column| kind.time_as_text(column);
    let history = format!(
        "select status, {}, {} from sym_outgoing_batch_hist order by end_time",
        time("start_time"),
        time("end_time")
    );
    let millis: Vec<(String, i64, i64)> = f
        .node
        .db
        .rows(&history)
        .await
        .into_iter()
        .map(|row| {
            let ms = |text: &str| symstream_shared::db::time_ms(text).expect("a time") - 1_700_000_000_000;
            (row[0].clone(), ms(&row[1]), ms(&row[2]))
        })
        .collect();
    let expected = [("NE", 0, 20), ("SE", 20, 50), ("ER", 60, 70), ("OK", 60, 90)];
    assert_eq!(
        millis,
        expected.map(|(status, start, end)| (status.to_owned(), start, end)),
        "{kind}"
    );
    let created = format!("select {} from sym_outgoing_batch", time("create_time"));
    let created = f.node.db.rows(&created).await.concat().concat();
    assert_eq!(
        symstream_shared::db::time_ms(&created),
        Some(1_700_000_000_000),
        "{kind}"
    );
}

#[tokio::test]
async fn histories_have_the_times_of_router_and_loader() {
    for kind in [Postgres, Mysql, Sqlite] {
        times_are_those_of_the_work(kind).await;
    }
}
