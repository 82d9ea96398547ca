//! What heartbeats do to the registration server's tables, and to the configuration.

use crate::world::{PATIENCE, World, node};
use std::time::Duration;
use symstream_shared::wire::Heartbeat;
use symstream_tests::database::TestDatabase;
use symstream_tests::eventually::eventually;
use symstream_tests::folder::Folder;
use symstream_tests::server::{MariaDb, PostgresServer};

fn heartbeat(id: &str, time_ms: i64, schema_version: &str) -> Heartbeat {
    Heartbeat {
        node: node(id),
        time_ms,
        timezone_offset: "+05:30".to_owned(),
        sync_url: "nats://h:1/local-a".to_owned(),
        schema_version: Some(schema_version.to_owned()),
        symmetric_version: "0.2.0".to_owned(),
        database_type: "MySQL".to_owned(),
        database_version: "10.11".to_owned(),
    }
}

async fn send(world: &World, heartbeat: &Heartbeat) {
    eventually(PATIENCE, "an answer", || async {
        let sent = world.bus.heartbeat(world.server(), heartbeat).await;
        sent.map_err(|err| err.to_string())
    })
    .await;
}

async fn are_recorded(database: TestDatabase, folder: Folder) {
    // GIVEN a registration server
    let world = World::on(database, folder).await;
    let router = world.start();
    let before = world.version().await;
    let time = world.database.kind().time_as_text("heartbeat_time");
    let row = format!(
        "select {time}, timezone_offset, sync_url, schema_version, symmetric_version, database_type, \
         database_version from sym_node where node_id = 'a'"
    );
    // WHEN a node says something new of itself
    send(&world, &heartbeat("a", 1_769_860_800_000, "2")).await;
    // THEN it stands in its row, and in a new version of the configuration
    let recorded = world.database.rows(&row).await.remove(0);
    assert!(recorded[0].starts_with("2026-01-31 12:00:00"), "{recorded:?}");
    assert_eq!(
        recorded[1..],
        ["+05:30", "nats://h:1/local-a", "2", "0.2.0", "MySQL", "10.11"]
    );
    let after = world.version_with(|stored| stored.version > before).await;
    assert_eq!(after, before + 1);
    // AND the next heartbeat, after an upgrade of the node, is recorded and makes no version: the edit behind it is the next
    let upgraded = Heartbeat {
        symmetric_version: "0.3.0".to_owned(),
        database_type: "MariaDB".to_owned(),
        database_version: "11.4".to_owned(),
        ..heartbeat("a", 1_769_860_801_000, "2")
    };
    send(&world, &upgraded).await;
    tokio::time::sleep(Duration::from_millis(2200)).await;
    let recorded = world.database.rows(&row).await.remove(0);
    assert!(recorded[0].starts_with("2026-01-31 12:00:01"), "{recorded:?}");
    assert_eq!(recorded[4..], ["0.3.0", "MariaDB", "11.4"]);
    world
        .database
        .run("update sym_channel set max_batch_size = 7 where channel_id = 'c0'")
        .await;
    let edited = world.version_with(|stored| stored.version > after).await;
    assert_eq!(edited, after + 1);
    // AND it travels with that one
    let latest = world.bus.latest_configuration(world.server()).await;
    let latest = latest.expect("nats").expect("a version");
    let nodes = latest.tables.iter().find(|table| table.name == "node");
    let says = |value: &str| {
        nodes.is_some_and(|nodes| {
            let mut rows = nodes.rows.iter();
            rows.any(|row| row.contains(&Some(value.to_owned())))
        })
    };
    assert!(says("0.3.0") && says("11.4"), "{nodes:?}");
    router.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn heartbeats_are_recorded_on_sqlite() {
    let folder = Folder::new();
    are_recorded(TestDatabase::sqlite(&folder, "cloud"), folder).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn heartbeats_are_recorded_on_postgresql() {
    let server = PostgresServer::start().await;
    are_recorded(server.create_database("cloud").await, Folder::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn heartbeats_are_recorded_on_mariadb() {
    let server = MariaDb::start().await;
    are_recorded(server.create_database("cloud").await, Folder::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_registered_gets_no_answer() {
    let (world, router) = World::with_router().await;
    send(&world, &heartbeat("a", 1_769_860_800_000, "2")).await;
    world
        .database
        .run("update sym_node_security set registration_time = null where node_id = 'b'")
        .await;
    // The registration server's own node writes its own row, and nobody else does.
    let strangers = ["b", "nobody", "cloud"].map(|stranger| heartbeat(stranger, 1_769_860_800_000, "2"));
    let ask = |asked| world.bus.heartbeat(world.server(), asked);
    let answers = tokio::join!(ask(&strangers[0]), ask(&strangers[1]), ask(&strangers[2]));
    assert!(
        answers.0.is_err() && answers.1.is_err() && answers.2.is_err(),
        "{answers:?}"
    );
    let recorded = "select node_id from sym_node where heartbeat_time is not null";
    assert_eq!(world.database.rows(recorded).await, [["a"]]);
    router.stop().await;
}
