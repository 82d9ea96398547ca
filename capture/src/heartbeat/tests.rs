//! Signs of life in real databases, and told over a real NATS server.

use super::*;
use crate::testing::TestNode;
use symstream_shared::db::DatabaseKind::{self, Mysql, Postgres, Sqlite};
use symstream_shared::engine::{Engine, ServerUrl};
use symstream_shared::id::EngineName;
use symstream_tests::eventually::eventually;
use symstream_tests::server::NatsServer;
use tokio::task::JoinSet;

const PATIENCE: Duration = Duration::from_secs(20);

async fn start(kind: DatabaseKind) -> TestNode {
    let node = TestNode::start(kind).await;
    node.db
        .run(
            "insert into sym_node (node_id, node_group_id, external_id, sync_url) values ('000', 'here', '000', 'old'); \
             insert into sym_node (node_id, node_group_id, external_id, sync_url) values ('001', 'there', '001', 'other')",
        )
        .await;
    node
}

async fn says(node: &TestNode, column: &str, value: &str) {
    let sql = format!("select {column} from sym_node where node_id = '000'");
    eventually(PATIENCE, format!("{column} to be {value}"), || async {
        let found = node.db.rows(&sql).await.concat().concat();
        if found == value { Ok(()) } else { Err(found) }
    })
    .await;
}

fn set(node: &TestNode, change: impl FnOnce(&mut symstream_shared::parameter::Parameters)) {
    node.parameters
        .send_modify(|parameters| change(Arc::make_mut(parameters)));
}

async fn row_is_kept_true(kind: DatabaseKind) {
    let node = start(kind).await;
    let before_ms = now_ms();
    let mut beating = JoinSet::new();
    beating.spawn(run(node.source.clone(), Arc::default()));
    says(&node, "sync_url", &node.source.engine.sync_url()).await;
    let product = match kind {
        Mysql => "MariaDB",
        kind => kind.product(),
    };
    says(&node, "database_type", product).await;
    says(&node, "symmetric_version", env!("CARGO_PKG_VERSION")).await;
    says(&node, "schema_version", "∅").await;
    // As the host's own program says it.
    let zone = std::process::Command::new("date")
        .arg("+%:z")
        .output()
        .expect("date");
    says(
        &node,
        "timezone_offset",
        String::from_utf8_lossy(&zone.stdout).trim(),
    )
    .await;
    let version = node.db.rows(version_query(kind)).await.concat().concat();
    says(&node, "database_version", &version).await;
    let time = kind.time_as_text("heartbeat_time");
    let time = format!("select {time} from sym_node where node_id = '000'");
    let beaten_ms = || async {
        let text = node.db.rows(&time).await.concat().concat();
        symstream_shared::db::time_ms(&text).expect("a time")
    };
    let first_ms = beaten_ms().await;
    assert!((before_ms..=now_ms()).contains(&first_ms), "{kind} {first_ms}");
    // WHEN a parameter changes, or somebody edits the row, THEN it is true again before the interval is over
    set(&node, |parameters| {
        parameters.schema_version = Some("7".to_owned())
    });
    says(&node, "schema_version", "7").await;
    node.db
        .run("update sym_node set database_version = 'wrong' where node_id = '000'")
        .await;
    says(&node, "database_version", &version).await;
    // WHEN the interval becomes short THEN it holds at once
    let last_ms = beaten_ms().await;
    set(&node, |parameters| {
        parameters.heartbeat_interval = Duration::from_millis(200)
    });
    eventually(PATIENCE, "two more heartbeats", || async {
        let now_ms = beaten_ms().await;
        if now_ms >= last_ms + 400 {
            Ok(())
        } else {
            Err(now_ms)
        }
    })
    .await;
    let other = "select sync_url from sym_node where node_id = '001'";
    assert_eq!(node.db.rows(other).await.concat(), ["other"], "{kind}");
}

#[tokio::test]
async fn the_node_keeps_its_own_row_true() {
    for kind in [Postgres, Mysql, Sqlite] {
        row_is_kept_true(kind).await;
    }
}

#[tokio::test]
async fn the_registration_server_is_told_however_late_it_comes() {
    let server = NatsServer::start().await;
    let node = start(Sqlite).await;
    let name = EngineName::new("server").expect("name");
    let mut engine = Engine::clone(&node.source.engine);
    engine.nats.urls = vec![server.url()];
    engine.registration_url = Some(ServerUrl {
        nats: server.url(),
        engine: name.clone(),
    });
    let bus = Bus::connect(&engine, "test").await.expect("nats");
    let source = Source {
        engine: Arc::new(engine),
        ..node.source.clone()
    };
    set(&node, |parameters| {
        parameters.schema_version = Some("7".to_owned())
    });
    // GIVEN a node that nobody listens to
    let last = Arc::<LastHeartbeat>::default();
    let mut tasks = JoinSet::new();
    tasks.spawn(run(source.clone(), Arc::clone(&last)));
    tasks.spawn(tell(source, bus.clone(), Arc::clone(&last)));
    says(&node, "schema_version", "7").await;
    // WHEN somebody does THEN it is told what stands in its row, and a change as soon as there is one
    let mut heartbeats = bus.heartbeats(&name).await.expect("subscription");
    for version in ["7", "8"] {
        set(&node, |parameters| {
            parameters.schema_version = Some(version.to_owned())
        });
        let call = loop {
            let call = tokio::time::timeout(PATIENCE, heartbeats.next()).await;
            let call = call.expect("in time").expect("a heartbeat");
            call.recorded().await.expect("answered");
            if call.heartbeat.schema_version.as_deref() == Some(version) {
                break call;
            }
        };
        assert_eq!(Some(call.heartbeat), *last.borrow());
    }
}
