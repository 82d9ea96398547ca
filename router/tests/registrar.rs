//! The configuration's versions, and registration.

use crate::world::{PATIENCE, World};
use symstream_nats::BusError;
use symstream_shared::engine::Engine;
use symstream_shared::id::{ExternalId, GroupId};
use symstream_shared::wire::{Configuration, RegistrationReply, RegistrationRequest};
use symstream_tests::eventually::eventually;
use symstream_tests::folder::Folder;
use symstream_tests::server::{MariaDb, PostgresServer};

pub fn request(external_id: &str, password: &str) -> RegistrationRequest {
    RegistrationRequest {
        secret: None,
        via: None,
        group: GroupId::new("local").expect("id"),
        external_id: ExternalId::new(external_id).expect("id"),
        password: password.to_owned(),
        database_type: "SQLite".to_owned(),
        database_version: "3".to_owned(),
        symmetric_version: "0.1.0".to_owned(),
        sync_url: "nats://127.0.0.1/local-7".to_owned(),
    }
}

pub async fn ask(world: &World, request: &RegistrationRequest) -> RegistrationReply {
    eventually(PATIENCE, "an answer", || async {
        world
            .bus
            .register(world.server(), request)
            .await
            .map_err(|err: BusError| err.to_string())
    })
    .await
}

async fn open(world: &World, external_id: &str) {
    world
        .database
        .run(&format!(
            "insert into sym_node (node_id, node_group_id, external_id) values ('n{external_id}', 'local', '{external_id}');
             insert into sym_node_security (node_id, password, registration_enabled) values ('n{external_id}', '', 1)"
        ))
        .await;
}

pub fn reason(reply: RegistrationReply) -> String {
    match reply {
        RegistrationReply::Refused { reason } => reason,
        granted => panic!("{granted:?}"),
    }
}

fn node_and_configuration(reply: RegistrationReply) -> (String, Configuration) {
    match reply {
        RegistrationReply::Granted {
            node,
            configuration,
            password,
            server_node,
        } => {
            assert_eq!(server_node.as_str(), "cloud");
            assert_eq!(password, "secret");
            (node.to_string(), configuration)
        }
        refused => panic!("{refused:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_registration_admits_one_node_once_and_the_others_never() {
    let (world, first) = World::with_router().await;
    let second = world.start();
    let message = reason(ask(&world, &request("7", "secret")).await);
    assert_eq!(
        message,
        "no registration is open for node 7 of group local; \
         to admit it: symadmin --engine cloud-cloud open-registration local 7"
    );

    open(&world, "7").await;
    let (node, configuration) = node_and_configuration(ask(&world, &request("7", "secret")).await);
    assert_eq!(node, "n7");
    // The version that the answer has is the one in force, and the node is registered in it.
    let config = symstream_shared::model::Config::from_wire(&configuration).expect("configuration");
    assert!(config.registered.iter().any(|node| node.as_str() == "n7"));
    assert!(world.version_with(|stored| *stored == configuration).await == configuration.version);

    // An answer that was lost is given again to the same node, and to nobody else.
    assert_eq!(
        node_and_configuration(ask(&world, &request("7", "secret")).await).0,
        "n7"
    );
    assert!(reason(ask(&world, &request("7", "other")).await).contains("registered already"));
    let row = world
        .database
        .database()
        .query("select n.sync_enabled, n.sync_url, s.registration_enabled, s.password, n.created_at_node_id, \
                s.created_at_node_id, n.database_type, n.symmetric_version from sym_node n join sym_node_security s on s.node_id = n.node_id where n.node_id = 'n7'", &[])
        .await
        .expect("row")
        .remove(0);
    assert_eq!((row.int(0).expect("int"), row.int(2).expect("int")), (1, 0));
    assert_eq!(row.text(1).expect("text"), "nats://127.0.0.1/local-7");
    assert_eq!(row.text(3).expect("text"), "secret");
    for (column, value) in [(4, "cloud"), (5, "cloud"), (6, "SQLite"), (7, "0.1.0")] {
        assert_eq!(row.text(column).expect("text"), value);
    }
    first.stop().await;
    second.stop().await;
}

/// Two routers, eight nodes that ask for the same open registration at once, and an edit meanwhile.
async fn admits_only_one(world: World) {
    let routers = [world.start(), world.start()];
    world.version().await;
    open(&world, "7").await;
    let requests: Vec<_> = (0..8)
        .map(|number| request("7", &format!("secret{number}")))
        .collect();
    let (replies, ()) = tokio::join!(
        futures_util::future::join_all(requests.iter().map(|request| ask(&world, request))),
        world
            .database
            .run("update sym_channel set max_batch_size = 7 where channel_id = 'c0'"),
    );
    let granted = replies
        .iter()
        .filter(|reply| matches!(reply, RegistrationReply::Granted { .. }))
        .count();
    assert_eq!(granted, 1, "{replies:?}");
    // What is published in the end is what the tables say, under the version that they say.
    let state = "select state_value from sym_state where state_key = 'config_version'";
    eventually(PATIENCE, "the edit", || async {
        let stored = world
            .bus
            .latest_configuration(world.server())
            .await
            .map_err(|err| err.to_string())?;
        let stored = stored.ok_or("none")?;
        let version = world
            .database
            .database()
            .query(state, &[])
            .await
            .map_err(|err| err.to_string())?[0]
            .int(0)
            .map_err(|err| err.to_string())?;
        let config = symstream_shared::model::Config::from_wire(&stored).map_err(|err| err.to_string())?;
        let is_edited = config
            .channels
            .values()
            .any(|channel| channel.max_batch_size == 7);
        let is_registered = config.registered.iter().any(|node| node.as_str() == "n7");
        if stored.version == version && is_edited && is_registered {
            Ok(())
        } else {
            Err(format!("version {} of {version}", stored.version))
        }
    })
    .await;
    for router in routers {
        router.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_one_of_several_nodes_that_ask_at_once_is_admitted_on_sqlite() {
    admits_only_one(World::new().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_one_of_several_nodes_that_ask_at_once_is_admitted_on_postgresql() {
    let server = PostgresServer::start().await;
    admits_only_one(World::on(server.create_database("cloud").await, Folder::new()).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_one_of_several_nodes_that_ask_at_once_is_admitted_on_mariadb() {
    let server = MariaDb::start().await;
    admits_only_one(World::on(server.create_database("cloud").await, Folder::new()).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_reaches_nats_within_seconds_and_an_invalid_one_does_not() {
    let (world, router) = World::with_router().await;
    let before = world.version().await;
    world
        .database
        .run("update sym_router set router_type = 'column', router_expression = 'place' where router_id = 'down'")
        .await;
    world
        .database
        .run("update sym_channel set max_batch_size = 7 where channel_id = 'c0'")
        .await;
    tokio::time::sleep(std::time::Duration::from_millis(2500)).await;
    assert_eq!(world.version().await, before);
    world
        .database
        .run("update sym_router set router_expression = 'place=:EXTERNAL_ID'")
        .await;
    let after = world
        .version_with(|configuration| configuration.version > before)
        .await;
    assert_eq!(after, before + 1);
    router.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nats_lost_is_published_again() {
    let (world, router) = World::with_router().await;
    let before = world.version().await;
    router.stop().await;
    let client = async_nats::connect(world.nats.url()).await.expect("nats");
    let jetstream = async_nats::jetstream::new(client);
    for stream in ["SYM_CONFIG", "SYM_LANES", "SYM_CAPTURE"] {
        jetstream.delete_stream(stream).await.expect("delete");
    }
    let router = world.start();
    assert_eq!(world.version().await, before);
    world.capture("c0", 1, before, &[&[1]]).await;
    assert_eq!(world.receive("a", "c0", 1).await.batches, [(1, 0, vec![1])]);
    router.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_are_deleted_under_a_running_router_come_back_with_their_consumers() {
    let (world, router) = World::with_router().await;
    let version = world.version().await;
    let client = async_nats::connect(world.nats.url()).await.expect("nats");
    let jetstream = async_nats::jetstream::new(client);
    for stream in ["SYM_CONFIG", "SYM_NODE_0", "SYM_CAPTURE"] {
        jetstream.delete_stream(stream).await.expect("delete");
    }
    assert_eq!(world.version().await, version);
    world.capture("c0", 1, version, &[&[1]]).await;
    assert_eq!(world.receive("a", "c0", 1).await.batches, [(1, 0, vec![1])]);
    router.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_mariadb_another_spelling_of_the_external_id_is_another_node() {
    let server = MariaDb::start().await;
    let world = World::on(server.create_database("cloud").await, Folder::new()).await;
    let router = world.start();
    world.version().await;
    open(&world, "x7").await;
    assert!(reason(ask(&world, &request("X7", "secret")).await).contains("no registration is open"));
    assert_eq!(
        node_and_configuration(ask(&world, &request("x7", "secret")).await).0,
        "nx7"
    );
    router.stop().await;
}

#[tokio::test]
async fn settings_that_can_not_work_end_the_service() {
    let world = World::new().await;
    let mut engine: Engine = world.engine.clone();
    engine.nats.creds = Some("/nonexistent/creds".into());
    let ended = symstream_router::Service::new(engine)
        .run(tokio_util::sync::CancellationToken::new())
        .await;
    assert!(
        ended
            .expect_err("no credentials")
            .to_string()
            .contains("nats.creds")
    );
}
