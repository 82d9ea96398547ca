//! Edits of the registration server's tables with plain SQL.

use crate::world::{PATIENCE, World, channel, node};
use std::time::{Duration, Instant};
use symstream_shared::id::GroupId;
use symstream_shared::model::{Config, LinkAction};
use symstream_shared::wire::Configuration;
use symstream_tests::database::TestDatabase;
use symstream_tests::eventually::eventually;
use symstream_tests::folder::Folder;
use symstream_tests::server::{MariaDb, PostgresServer};

/// Until when nodes have to find an edit in NATS: the five seconds, less the second in which they look.
const IN_FORCE_WITHIN: Duration = Duration::from_secs(4);

fn group(id: &str) -> GroupId {
    GroupId::new(id).expect("id")
}

/// The value of a column in the first row of a table.
fn first<'a>(configuration: &'a Configuration, table: &str, column: &str) -> Option<&'a str> {
    let table = configuration.tables.iter().find(|found| found.name == table)?;
    let at = table.columns.iter().position(|name| name == column)?;
    table.rows.first()?[at].as_deref()
}

type IsInForce = fn(&Config, &Configuration) -> bool;

/// Each edit, and how a node sees that it is in force.
const EDITS: &[(&str, IsInForce)] = &[
    (
        "update sym_node set sync_enabled = 0 where node_id = 'a'",
        |config, _| !config.nodes[&node("a")].sync_enabled,
    ),
    (
        "update sym_node set schema_version = '2' where node_id = 'a'",
        |_, tables| first(tables, "node", "schema_version") == Some("2"),
    ),
    (
        "insert into sym_node_group_link (source_node_group_id, target_node_group_id) values ('local', 'cloud')",
        |config, _| config.link(&group("local"), &group("cloud")).is_some(),
    ),
    (
        "update sym_node_group_link set data_event_action = 'W' where source_node_group_id = 'cloud'",
        |config, _| {
            let link = config.link(&group("cloud"), &group("local"));
            link.is_some_and(|link| link.action == LinkAction::WaitForPull)
        },
    ),
    (
        "update sym_channel set processing_order = 9, max_batch_size = 8, max_batch_to_send = 7, enabled = 0 \
         where channel_id = 'c0'",
        |config, _| {
            let channel = &config.channels[&channel("c0")];
            (
                channel.processing_order,
                channel.max_batch_size,
                channel.max_batch_to_send,
                channel.enabled,
            ) == (9, 8, 7, false)
        },
    ),
    (
        "insert into sym_node_channel_ctl (node_id, channel_id, suspend_enabled) values ('a', 'c0', 1)",
        |config, _| config.control(&node("a"), &channel("c0")).suspended,
    ),
    ("delete from sym_node_channel_ctl", |config, _| {
        config.controls.is_empty()
    }),
    (
        "update sym_trigger set sync_on_delete = 0, last_updated_by = 'me', last_updated_time = '2026-02-01 00:00:00'",
        |config, tables| {
            !config.triggers["sale"].on_delete && first(tables, "trigger", "last_updated_by") == Some("me")
        },
    ),
    (
        "update sym_trigger_router set ping_back_enabled = 1",
        |config, _| config.trigger_routers[0].ping_back,
    ),
    (
        "update sym_router set target_table_name = 'other'",
        |config, _| config.routers["down"].target_table.as_deref() == Some("other"),
    ),
    (
        "insert into sym_parameter (external_id, node_group_id, param_key, param_value) \
         values ('ALL', 'local', 'pull.interval', '1h')",
        |_, tables| first(tables, "parameter", "param_value") == Some("1h"),
    ),
    (
        "delete from sym_trigger_router; delete from sym_trigger",
        |config, _| config.triggers.is_empty() && config.trigger_routers.is_empty(),
    ),
];

/// Makes one edit after the other, and sees each in NATS in time, as a version of its own.
async fn every_edit_is_in_force(database: TestDatabase, folder: Folder) {
    let world = World::on(database, folder).await;
    let router = world.start();
    let mut version = world.version().await;
    for (sql, is_in_force) in EDITS {
        world.database.run(sql).await;
        let made = Instant::now();
        let reached = world
            .version_with(|configuration| {
                let config = Config::from_wire(configuration).expect("valid");
                is_in_force(&config, configuration)
            })
            .await;
        let took = made.elapsed();
        assert!(
            took < IN_FORCE_WITHIN,
            "{}: {sql} took {took:?}",
            world.database.kind()
        );
        assert_eq!(reached, version + 1, "{}: {sql}", world.database.kind());
        version = reached;
    }
    router.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_edit_is_in_force_within_seconds_on_sqlite() {
    let folder = Folder::new();
    every_edit_is_in_force(TestDatabase::sqlite(&folder, "cloud"), folder).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_edit_is_in_force_within_seconds_on_postgresql() {
    let server = PostgresServer::start().await;
    every_edit_is_in_force(server.create_database("cloud").await, Folder::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_edit_is_in_force_within_seconds_on_mariadb() {
    let server = MariaDb::start().await;
    every_edit_is_in_force(server.create_database("cloud").await, Folder::new()).await;
}

/// Each edit that can not be used, and what it is made good by.
const WRONG: &[(&str, &str)] = &[
    (
        "update sym_router set router_type = 'column', router_expression = 'place'",
        "update sym_router set router_expression = 'place=:EXTERNAL_ID'",
    ),
    (
        "update sym_router set router_type = 'sometimes'",
        "update sym_router set router_type = 'default'",
    ),
    (
        "update sym_trigger set channel_id = 'none'",
        "update sym_trigger set channel_id = 'c1'",
    ),
    (
        "update sym_node_group_link set data_event_action = 'X'",
        "update sym_node_group_link set data_event_action = 'W'",
    ),
    (
        "update sym_channel set max_batch_to_send = 0 where channel_id = 'c0'",
        "update sym_channel set max_batch_to_send = 2 where channel_id = 'c0'",
    ),
    (
        "insert into sym_parameter (external_id, node_group_id, param_key, param_value) \
         values ('a', 'ALL', 'purge.retention', 'for ever')",
        "update sym_parameter set param_value = '10d'",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_valid_never_comes_into_force() {
    let (world, router) = World::with_router().await;
    let mut version = world.version().await;
    for (wrong, right) in WRONG {
        world.database.run(wrong).await;
        // Two looks at the tables.
        tokio::time::sleep(Duration::from_millis(2200)).await;
        assert_eq!(world.version().await, version, "{wrong}");
        world.database.run(right).await;
        version = world.version_with(|stored| stored.version > version).await;
    }
    router.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_follows_max_batch_to_send() {
    let (world, router) = World::with_router().await;
    let client = async_nats::connect(world.nats.url()).await.expect("nats");
    let jetstream = async_nats::jetstream::new(client);
    let pending = || async {
        let stream = jetstream
            .get_stream("SYM_NODE_0")
            .await
            .map_err(|err| err.to_string())?;
        let mut consumer = stream
            .get_consumer::<async_nats::jetstream::consumer::pull::Config>("a==c0")
            .await
            .map_err(|err| err.to_string())?;
        let info = consumer.info().await.map_err(|err| err.to_string())?;
        Ok::<_, String>(info.config.max_ack_pending)
    };
    assert_eq!(pending().await, Ok(60));
    world
        .database
        .run("update sym_channel set max_batch_to_send = 2 where channel_id = 'c0'")
        .await;
    eventually(PATIENCE, "the consumer's limit", || async {
        match pending().await? {
            2 => Ok(()),
            other => Err(format!("{other}")),
        }
    })
    .await;
    router.stop().await;
}
