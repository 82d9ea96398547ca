//! Nodes that are marked, and what the mark means for the purge and for loads.

use super::*;
use crate::configuration::own_configuration;
use crate::testing::TestNode;
use symstream_shared::db::DatabaseKind::{self, Mysql, Postgres, Sqlite};

/// Nodes `a`, `b` and `off`, with limits for all and for `b`.
async fn start(kind: DatabaseKind, parameters: &[(&str, &str, &str)]) -> TestNode {
    let node = TestNode::start(kind).await;
    node.db
        .run(
            "insert into sym_node (node_id, node_group_id, external_id, sync_enabled) \
             values ('a', 'there', 'a', 1), ('b', 'there', 'b', 1), ('off', 'there', 'off', 0); \
             insert into sym_node_security (node_id, password, initial_load_enabled) \
             values ('a', 'x', 0), ('b', 'x', 0), ('off', 'x', 0)",
        )
        .await;
    for (external_id, name, value) in parameters {
        node.db
            .run(&format!(
                "insert into sym_parameter (external_id, node_group_id, param_key, param_value) \
                 values ('{external_id}', 'ALL', '{name}', '{value}')"
            ))
            .await;
    }
    node
}

/// A batch of so many seconds ago.
async fn batch(
    node: &TestNode,
    batch_id: i64,
    seconds: i64,
    bytes: i64,
    batch_type: &str,
    targets: &[(&str, &str)],
) {
    let mut tx = node.db.begin().await.expect("transaction");
    let created = Param::Time(now_ms() - seconds * 1000);
    let insert = "insert into sym_capture_batch (batch_id, channel_id, batch_type, data_ranges, create_time, routed, byte_count) \
                  values (?, 'main', ?, '', ?, 1, ?)";
    let params = [batch_id.into(), batch_type.into(), created.clone(), bytes.into()];
    use symstream_shared::db::Sql;
    tx.execute(insert, &params).await.expect("batch");
    for (target, status) in targets {
        let insert = "insert into sym_outgoing_batch (batch_id, node_id, channel_id, batch_type, status, create_time) \
                      values (?, ?, 'main', ?, ?, ?)";
        let params = [
            batch_id.into(),
            Param::from(*target),
            batch_type.into(),
            Param::from(*status),
            created.clone(),
        ];
        tx.execute(insert, &params).await.expect("outgoing");
    }
    tx.commit().await.expect("commit");
}

async fn judged(node: &TestNode) -> Vec<Vec<String>> {
    let config = own_configuration(&node.source).await.expect("configuration");
    judge(&node.source, &config).await.expect("judged");
    node.db
        .rows("select node_id, reason from sym_reload_need order by node_id")
        .await
}

async fn limits(kind: DatabaseKind) {
    let node = start(
        kind,
        &[
            ("ALL", "backlog.batches.max", "3"),
            ("b", "backlog.bytes.max", "1000"),
            ("off", "backlog.age.max", "100"),
        ],
    )
    .await;
    // GIVEN what is within the limits: exactly at one, of a load, OK
    for batch_id in 1..=3 {
        batch(
            &node,
            batch_id,
            50,
            300,
            "EV",
            &[("a", "SE"), ("b", "ER"), ("off", "SE")],
        )
        .await;
    }
    batch(
        &node,
        4,
        1000,
        5000,
        "IL",
        &[("a", "SE"), ("b", "SE"), ("off", "SE")],
    )
    .await;
    batch(
        &node,
        5,
        1000,
        5000,
        "EV",
        &[("a", "OK"), ("b", "OK"), ("off", "OK")],
    )
    .await;
    assert!(judged(&node).await.is_empty(), "{kind}");
    // WHEN each exceeds another one, the disabled node, too
    batch(&node, 6, 10, 1, "EV", &[("a", "SE")]).await;
    node.db
        .run("delete from sym_outgoing_batch where batch_id = 3 and node_id = 'b'")
        .await;
    batch(&node, 7, 10, 401, "EV", &[("b", "NE")]).await;
    batch(&node, 9, 200, 1, "EV", &[("off", "SE")]).await;
    node.db
        .run("delete from sym_outgoing_batch where batch_id = 3 and node_id = 'off'")
        .await;
    // THEN all are marked, once, with what is wrong, and nothing of theirs is OK
    let marked = judged(&node).await;
    let reasons: Vec<String> = marked.iter().map(|row| row.join(": ")).collect();
    assert!(reasons[0].starts_with("a: 4 batches"), "{kind} {reasons:?}");
    assert!(reasons[1].starts_with("b: 1001 bytes"), "{kind} {reasons:?}");
    assert!(
        reasons[2].starts_with("off: a batch waits for it for 2"),
        "{kind} {reasons:?}"
    );
    assert_eq!(judged(&node).await, marked, "{kind}");
    let ok = "select count(*) from sym_outgoing_batch where status = 'OK'";
    assert_eq!(node.db.number(ok).await, 3, "{kind}");
}

#[tokio::test]
async fn a_node_over_a_limit_is_marked_once_and_nothing_is_ok() {
    for kind in [Postgres, Mysql, Sqlite] {
        limits(kind).await;
    }
}

async fn behind_loads(kind: DatabaseKind) {
    // GIVEN too much below loads that are published, put off, being read, and over
    let node = start(kind, &[("ALL", "backlog.batches.max", "1")]).await;
    for batch_id in 1..=2 {
        let targets = [("a", "SE"), ("b", "SE"), ("off", "ER")];
        batch(&node, batch_id, 10, 1, "EV", &targets).await;
    }
    node.db
        .run(
            "insert into sym_load (load_id, node_id, status) values (6, 'a', 'AB'), (7, 'a', 'SE'), (8, 'b', 'NE'), (9, 'off', 'AB'); \
             update sym_node_security set initial_load_enabled = 1",
        )
        .await;
    // THEN nobody is marked for what the loads end
    assert_eq!(judged(&node).await.len(), 0, "{kind}");
    // WHEN there is too much behind them, too
    for batch_id in 11..=12 {
        batch(&node, batch_id, 10, 1, "EV", &[("a", "SE"), ("b", "SE")]).await;
    }
    // THEN the load that was published ends with the mark; the one that is read is let be
    let marked = judged(&node).await;
    assert_eq!(marked.len(), 1, "{kind} {marked:?}");
    assert!(
        marked[0].join(": ").starts_with("a: 2 batches"),
        "{kind} {marked:?}"
    );
    let loads = "select node_id, status from sym_load where load_id > 6 order by node_id";
    assert_eq!(
        node.db.rows(loads).await,
        [["a", "AB"], ["b", "NE"], ["off", "AB"]],
        "{kind}"
    );
    let asked = "select node_id from sym_node_security where initial_load_enabled = 1 order by node_id";
    assert_eq!(node.db.rows(asked).await, [["b"], ["off"]], "{kind}");
    // WHEN the one that was put off is cancelled: what was below an earlier attempt waits again
    node.db
        .run("insert into sym_load (load_id, node_id, status) values (10, 'off', 'CA')")
        .await;
    assert_eq!(judged(&node).await.len(), 2, "{kind}");
}

#[tokio::test]
async fn what_a_load_ends_does_not_mark_its_node_again_and_what_waits_behind_it_does() {
    for kind in [Postgres, Mysql, Sqlite] {
        behind_loads(kind).await;
    }
}

#[tokio::test]
async fn a_short_limit_of_age_is_looked_at_more_often() {
    let of = async |parameters: &[(&str, &str, &str)]| {
        let node = start(Sqlite, parameters).await;
        pause(&own_configuration(&node.source).await.expect("configuration"))
    };
    assert_eq!(of(&[]).await, LOOK_EVERY);
    assert_eq!(
        of(&[("b", "backlog.age.max", "20")]).await,
        Duration::from_secs(5)
    );
    assert_eq!(of(&[("b", "backlog.age.max", "1")]).await, LOOK_EVERY_MIN);
}
