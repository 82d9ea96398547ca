//! A node that asks, and engines that answer.

use super::*;
use crate::testing::TestNode;
use symstream_nats::Registrations;
use symstream_shared::db::DatabaseKind::Sqlite;
use symstream_shared::engine::ServerUrl;
use symstream_shared::registration::mark_removed;
use symstream_shared::wire::ConfigurationTable;
use symstream_tests::server::NatsServer;
use tokio::task::JoinHandle;

/// An engine of a node that registers at `cloud`.
fn engine(node: &TestNode, nats: &NatsServer) -> Engine {
    let mut engine = Engine::clone(&node.source.engine);
    engine.nats.urls = vec![nats.url()];
    engine.registration_url = Some(ServerUrl {
        nats: nats.url(),
        engine: name("cloud"),
    });
    engine
}

fn name(engine: &str) -> EngineName {
    EngineName::new(engine).expect("name")
}

/// Answers every request at this engine in the same way.
async fn answers(bus: &Bus, engine: &str, reply: RegistrationReply) -> JoinHandle<()> {
    let mut calls: Registrations = bus.registrations(&name(engine)).await.expect("nats");
    bus.flush().await.expect("nats");
    tokio::spawn(async move {
        while let Some(call) = calls.next().await {
            call.respond(reply.clone()).await.expect("nats");
        }
    })
}

#[tokio::test]
async fn a_circle_of_redirects_is_noticed() {
    let nats = NatsServer::start().await;
    let node = TestNode::start(Sqlite).await;
    let engine = engine(&node, &nats);
    let bus = Bus::connect(&engine, "test").await.expect("nats");
    let to = |engine: &str| RegistrationReply::Redirected {
        node: NodeId::new("other").expect("id"),
        sync_url: format!("nats://h/{engine}"),
    };
    let cloud = answers(&bus, "cloud", to("region")).await;
    let region = answers(&bus, "region", to("cloud")).await;
    let asking = Asking {
        engine: &engine,
        database: &node.source.database,
        tables: &node.source.tables,
        bus: None,
    };
    let (request, _) = asking.request().await.expect("database");
    let refused = ask(&bus, engine.server(), &request).await.expect_err("a circle");
    assert!(
        refused
            .to_string()
            .contains("round in a circle: cloud, region, cloud"),
        "{refused}"
    );
    // Where it is sent on to somebody who is not there, it is told where.
    region.abort();
    drop(region.await);
    let unanswered = ask(&bus, engine.server(), &request).await.expect_err("nobody");
    assert!(
        unanswered
            .to_string()
            .contains("engine region needs the role router"),
        "{unanswered}"
    );
    cloud.abort();
}

#[tokio::test]
async fn a_node_that_is_registered_again_takes_part_anew() {
    let nats = NatsServer::start().await;
    let node = TestNode::start(Sqlite).await;
    let engine = engine(&node, &nats);
    // GIVEN a node that was removed, and took part in a group's lane
    node.db
        .run(
            "insert into sym_node_identity (node_id) values ('000');
             insert into sym_node_security (node_id, password, registration_time) values ('000', 'old', '2020-02-02 00:00:00');
             insert into sym_incoming_lane (source_node_id, channel_id, batch_id, group_batch_id) values ('cloud', 'main', 7, 5)",
        )
        .await;
    let mut conn = node.source.database.conn().await.expect("database");
    mark_removed(&mut conn, &node.source.tables, 3)
        .await
        .expect("database");
    drop(conn);
    // WHEN the server admits it
    let bus = Bus::connect(&engine, "test").await.expect("nats");
    let granted = RegistrationReply::Granted {
        node: NodeId::new("000").expect("id"),
        password: "its own".to_owned(),
        server_node: NodeId::new("cloud").expect("id"),
        configuration: Configuration {
            version: 4,
            tables: vec![ConfigurationTable {
                name: "node_security".to_owned(),
                columns: ["node_id", "registration_enabled", "registration_time"]
                    .map(str::to_owned)
                    .to_vec(),
                rows: vec![vec![
                    Some("000".to_owned()),
                    Some("0".to_owned()),
                    Some("2021-03-04 05:06:07.890000".to_owned()),
                ]],
            }],
        },
    };
    let cloud = answers(&bus, "cloud", granted).await;
    let shutdown = CancellationToken::new();
    let found = identity(&engine, &node.source.database, &node.source.tables, &shutdown).await;
    // THEN it is known again, and how far its lanes are stays
    assert_eq!(found.expect("granted").expect("a node").as_str(), "000");
    let lane = "select batch_id, coalesce(group_batch_id, -1) from sym_incoming_lane";
    assert_eq!(node.db.rows(lane).await, [["7", "-1"]]);
    let security = "select password, created_at_node_id from sym_node_security where node_id = '000'";
    assert_eq!(node.db.rows(security).await, [["its own", "cloud"]]);
    // AND when that was is what the server's clock said
    let time = "select substr(registration_time, 1, 19) from sym_node_security where node_id = '000'";
    assert_eq!(node.db.rows(time).await, [["2021-03-04 05:06:07"]]);
    let mut conn = node.source.database.conn().await.expect("database");
    assert!(
        !is_removed(&mut conn, &node.source.tables)
            .await
            .expect("database")
    );
    cloud.abort();
}
