//! Purges of real databases, and what an application beside them feels.

use super::*;
use crate::configuration::own_configuration;
use crate::testing::TestNode;
use symstream_shared::db::DatabaseKind::{self, Mysql, Postgres, Sqlite};
use symstream_shared::db::{Param, Sql};
use tokio::sync::watch;

const DAY: Duration = Duration::from_secs(24 * 3600);

async fn start(kind: DatabaseKind) -> TestNode {
    let node = TestNode::start(kind).await;
    node.db
        .run(
            "insert into sym_node (node_id, node_group_id, external_id, sync_enabled) \
             values ('a', 'there', 'a', 1), ('b', 'there', 'b', 1), ('off', 'there', 'off', 0)",
        )
        .await;
    node
}

/// One round.
async fn purged(node: &TestNode, retention: Duration) -> Figures {
    let config = own_configuration(&node.source).await.expect("configuration");
    let purged = purge(&node.source, &config, retention).await;
    purged.expect("purged")
}

/// Rows with these ids and one event each, captured so many days ago.
async fn rows(node: &TestNode, ids: std::ops::RangeInclusive<i64>, days: u32) {
    let mut tx = node.db.begin().await.expect("transaction");
    for data_id in ids {
        let data = "insert into sym_data (data_id, table_name, event_type, trigger_hist_id, channel_id, create_time) \
                    values (?, 't', 'D', 1, 'main', ?)";
        tx.execute(data, &[data_id.into(), ago(days)]).await.expect("row");
        let event = "insert into sym_data_event (data_id, node_id, channel_id, batched) values (?, '-1', 'main', '0')";
        tx.execute(event, &[data_id.into()]).await.expect("event");
    }
    tx.commit().await.expect("commit");
}

fn ago(days: u32) -> Param {
    Param::Time(now_ms() - i64::try_from((DAY * days).as_millis()).expect("some time"))
}

/// A captured batch of so many days ago, with the nodes that got it and their status.
async fn batch(node: &TestNode, batch_id: i64, runs: &str, days: u32, routed: i64, targets: &[(&str, &str)]) {
    let mut tx = node.db.begin().await.expect("transaction");
    let batch = "insert into sym_capture_batch (batch_id, channel_id, data_ranges, create_time, routed) \
                 values (?, 'main', ?, ?, ?)";
    let params = [batch_id.into(), runs.into(), ago(days), routed.into()];
    tx.execute(batch, &params).await.expect("batch");
    for (target, status) in targets {
        let params = [batch_id.into(), Param::from(*target), Param::from(*status)];
        let outgoing =
            "insert into sym_outgoing_batch (batch_id, node_id, channel_id, status) values (?, ?, 'main', ?)";
        tx.execute(outgoing, &params).await.expect("outgoing");
        let history = "insert into sym_outgoing_batch_hist (batch_id, node_id, status) values (?, ?, ?)";
        tx.execute(history, &params).await.expect("history");
    }
    tx.commit().await.expect("commit");
}

async fn ids(node: &TestNode, column: &str, table: &str) -> Vec<i64> {
    let rows = node
        .db
        .rows(&format!("select distinct {column} from {table} order by 1"))
        .await;
    rows.concat()
        .iter()
        .map(|id| id.parse().expect("an id"))
        .collect()
}

async fn only_what_all_have(kind: DatabaseKind) {
    let node = start(kind).await;
    rows(&node, 1..=20, 10).await;
    // GIVEN batches that all have, nobody got, one node lacks, that are young
    batch(&node, 1, "1,3", 10, 1, &[("a", "OK"), ("b", "OK")]).await;
    batch(&node, 2, "2", 10, 1, &[]).await;
    batch(&node, 3, "4", 10, 1, &[("a", "OK"), ("b", "ER")]).await;
    batch(&node, 4, "5", 10, 1, &[("a", "OK"), ("off", "SE")]).await;
    // One that only a node that is gone lacks
    batch(&node, 5, "6", 10, 1, &[("a", "OK"), ("gone", "SE")]).await;
    // One without a report, and one behind it
    batch(&node, 6, "7-8", 10, 0, &[]).await;
    batch(&node, 7, "9-12,14", 10, 1, &[("a", "OK")]).await;
    batch(&node, 8, "13", 1, 1, &[("a", "OK")]).await;
    let figures = purged(&node, DAY * 5).await;
    let expected = Figures {
        rows: 9,
        batches: 4,
        batches_not_ok: 1,
        ..Figures::default()
    };
    assert_eq!(figures, expected, "{kind}");
    let left: Vec<i64> = [4, 5, 7, 8, 13].into_iter().chain(15..=20).collect();
    assert_eq!(ids(&node, "data_id", "sym_data").await, left, "{kind}");
    assert_eq!(ids(&node, "data_id", "sym_data_event").await, left, "{kind}");
    assert_eq!(
        ids(&node, "batch_id", "sym_capture_batch").await,
        [3, 4, 6, 8],
        "{kind}"
    );
    for table in ["sym_outgoing_batch", "sym_outgoing_batch_hist"] {
        assert_eq!(ids(&node, "batch_id", table).await, [3, 4, 8], "{kind} {table}");
    }
    // AND nothing more when it is done again
    let again = purged(&node, DAY * 5).await;
    assert_eq!(again, Figures::default(), "{kind}");
}

#[tokio::test]
async fn only_what_every_target_has_is_removed() {
    for kind in [Postgres, Mysql, Sqlite] {
        only_what_all_have(kind).await;
    }
}

#[tokio::test]
async fn a_node_that_needs_a_reload_is_not_waited_for() {
    let node = start(Sqlite).await;
    rows(&node, 1..=2, 10).await;
    batch(&node, 1, "1", 10, 1, &[("a", "OK"), ("off", "SE")]).await;
    batch(&node, 2, "2", 10, 1, &[("b", "SE"), ("off", "SE")]).await;
    node.db
        .run("insert into sym_reload_need (node_id, reason, freed) values ('off', 'away', 1)")
        .await;
    purged(&node, DAY).await;
    assert_eq!(ids(&node, "data_id", "sym_data").await, [2]);
    // Its other batches stay as they are: nobody said that they are OK.
    let open = "select node_id, status from sym_outgoing_batch where batch_id = 2 order by node_id";
    assert_eq!(node.db.rows(open).await, [["b", "SE"], ["off", "SE"]]);
}

#[tokio::test]
async fn former_links_stay_while_a_batch_before_them_is_not_routed() {
    let node = start(Sqlite).await;
    node.db
        .run(
            "insert into sym_router (router_id, source_node_group_id, target_node_group_id, router_type, \
             router_expression) values ('r', 'here', 'there', 'lookuptable', \
             'LOOKUP_TABLE=T KEY_COLUMN=a LOOKUP_KEY_COLUMN=a EXTERNAL_ID_COLUMN=b')",
        )
        .await;
    rows(&node, 1..=3, 10).await;
    node.db
        .run("update sym_data set table_name = 'u' where data_id = 3")
        .await;
    batch(&node, 1, "1", 10, 0, &[]).await;
    batch(&node, 2, "2", 10, 1, &[("a", "OK")]).await;
    batch(&node, 3, "3", 10, 1, &[("a", "OK")]).await;
    purged(&node, DAY).await;
    assert_eq!(ids(&node, "data_id", "sym_data").await, [1, 2]);
    node.db.run("update sym_capture_batch set routed = 1").await;
    purged(&node, DAY).await;
    assert_eq!(ids(&node, "data_id", "sym_data").await, [0; 0]);
}

async fn old_histories(kind: DatabaseKind) {
    let node = start(kind).await;
    let history = |id: i64, ended: &str| {
        format!(
            "insert into sym_trigger_hist (trigger_hist_id, trigger_id, source_table_name, name_for_insert_trigger, \
             name_for_update_trigger, name_for_delete_trigger, table_hash, column_names, pk_column_names, \
             last_trigger_build_reason, inactive_time) values ({id}, 't', 't', 'i', 'u', 'd', 0, 'a', 'a', 'N', {ended}); "
        )
    };
    let script: String = [
        history(1, "'2020-01-01 00:00:00'"),
        history(2, "null"),
        history(3, "'2020-03-01 00:00:00'"),
        history(4, "'2037-01-01 00:00:00'"),
        history(5, "'2020-01-01 00:00:00'"),
    ]
    .concat();
    node.db.run(&script).await;
    // GIVEN a row that was captured between the ends of histories 1 and 3, and waits since
    node.db
        .run(
            "insert into sym_data (table_name, event_type, trigger_hist_id, channel_id, create_time) \
             values ('t', 'I', 3, 'main', '2020-02-01 00:00:00')",
        )
        .await;
    let figures = purged(&node, DAY).await;
    assert_eq!(figures.trigger_histories, 1, "{kind}");
    let hists = ["trigger_hist_id", "sym_trigger_hist"];
    assert_eq!(ids(&node, hists[0], hists[1]).await, [2, 3, 4, 5], "{kind}");
    // WHEN it is gone THEN what it names goes, but not what is in force, young, or the highest
    node.db.run("delete from sym_data").await;
    purged(&node, DAY).await;
    assert_eq!(ids(&node, hists[0], hists[1]).await, [2, 4, 5], "{kind}");
}

#[tokio::test]
async fn histories_go_when_no_row_can_name_them() {
    for kind in [Postgres, Mysql, Sqlite] {
        old_histories(kind).await;
    }
}

/// Rows that are purged while an application writes.
const PURGED: i64 = 20_000;

async fn application_writes_on(kind: DatabaseKind) {
    let node = start(kind).await;
    let mut tx = node.db.begin().await.expect("transaction");
    for first in (1..=PURGED).step_by(500) {
        let values: Vec<String> = (first..first + 500)
            .map(|id| format!("({id}, 't', 'I', 1, 'main', 'some text of a row')"))
            .collect();
        let insert = format!(
            "insert into sym_data (data_id, table_name, event_type, trigger_hist_id, channel_id, row_data) values {}",
            values.join(", ")
        );
        tx.execute(&insert, &[]).await.expect("rows");
        let events = "insert into sym_data_event (data_id, node_id, channel_id) select data_id, 'a', 'main' \
                      from sym_data where data_id >= ?";
        tx.execute(events, &[first.into()]).await.expect("events");
    }
    tx.commit().await.expect("commit");
    if kind == Postgres {
        node.db
            .run("alter sequence sym_data_data_id_seq restart with 20001")
            .await;
    }
    // GIVEN one large batch and many small ones
    batch(&node, 1, "1-10000", 10, 1, &[("a", "OK")]).await;
    for batch_id in 2..=201 {
        let last = 10_000 + (batch_id - 1) * 50;
        batch(
            &node,
            batch_id,
            &format!("{}-{last}", last - 49),
            10,
            1,
            &[("a", "OK")],
        )
        .await;
    }
    // WHEN the application captures changes all the while, each in a transaction of three
    let database = node.source.database.clone();
    let insert = "insert into sym_data (table_name, event_type, trigger_hist_id, channel_id, row_data) \
                  values ('t', 'I', 1, 'main', 'written meanwhile')";
    let stop = tokio_util::sync::CancellationToken::new();
    let writing = async {
        let (mut count, mut longest) = (0, Duration::ZERO);
        while !stop.is_cancelled() {
            let began = Instant::now();
            let mut tx = database
                .begin(symstream_shared::db::TxKind::Write)
                .await
                .expect("begin");
            for _ in 0..3 {
                tx.execute(insert, &[]).await.expect("never refused");
            }
            tx.commit().await.expect("commit");
            longest = longest.max(began.elapsed());
            count += 3;
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        (count, longest)
    };
    let purging = async {
        let began = Instant::now();
        let figures = purged(&node, DAY).await;
        stop.cancel();
        (figures, began.elapsed())
    };
    let ((count, longest), (figures, took)) = tokio::join!(writing, purging);
    // THEN it never waited for much of the purge, and none of its rows is gone
    assert_eq!(
        (figures.rows, figures.batches),
        (PURGED.unsigned_abs(), 201),
        "{kind}"
    );
    assert_eq!(
        node.db.number("select count(*) from sym_data").await,
        count,
        "{kind}"
    );
    assert_eq!(
        node.db.number("select count(*) from sym_data_event").await,
        0,
        "{kind}"
    );
    assert!(longest < took / 4, "{kind}: waited {longest:?} of {took:?}");
    assert!(count >= 30, "{kind}: only {count} rows in {took:?}");
}

#[tokio::test]
async fn an_application_that_writes_does_not_feel_the_purge() {
    for kind in [Postgres, Mysql, Sqlite] {
        application_writes_on(kind).await;
    }
}

#[tokio::test]
async fn a_retention_that_is_wrong_removes_nothing() {
    let node = start(Sqlite).await;
    rows(&node, 1..=1, 10).await;
    batch(&node, 1, "1", 10, 1, &[("a", "OK")]).await;
    node.db
        .run(
            "insert into sym_parameter (external_id, node_group_id, param_key, param_value) \
             values ('ALL', 'ALL', 'purge.retention', 'for ever')",
        )
        .await;
    let err = run(node.source.clone(), watch::Sender::default().subscribe())
        .await
        .expect_err("it is wrong");
    assert!(err.to_string().contains("purge.retention"), "{err}");
    assert_eq!(ids(&node, "data_id", "sym_data").await, [1]);
}

#[tokio::test]
async fn loads_that_another_one_followed_go_when_they_are_old() {
    for kind in [Postgres, Mysql, Sqlite] {
        let node = start(kind).await;
        let mut tx = node.db.begin().await.expect("transaction");
        for (load_id, target, status, days) in [
            (10, "a", "AB", 9),
            (11, "a", "OK", 9),
            (20, "a", "CA", 1),
            (21, "a", "OK", 1),
            (12, "b", "AB", 9),
            (40, "b", "RQ", 9),
            (35, "off", "AB", 9),
            (36, "off", "OK", 9),
        ] {
            let load = "insert into sym_load (load_id, node_id, status, create_time) values (?, ?, ?, ?)";
            let params = [
                load_id.into(),
                Param::from(target),
                Param::from(status),
                ago(days),
            ];
            tx.execute(load, &params).await.expect("load");
        }
        tx.commit().await.expect("commit");
        // A batch that is still to be published may name load 35.
        batch(&node, 30, "", 1, 0, &[]).await;
        let purged = purged(&node, DAY * 7).await;
        assert_eq!(purged.loads, 3, "{kind}");
        assert_eq!(
            ids(&node, "load_id", "sym_load").await,
            [20, 21, 35, 36, 40],
            "{kind}"
        );
    }
}
