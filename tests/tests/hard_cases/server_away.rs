//! The registration server away (case 37): its database and all of its processes.

use super::looking::reaches;
use symstream_shared::db::DatabaseKind::{Mysql, Postgres, Sqlite};
use symstream_tests::configuration::Configuration;
use symstream_tests::network::{Network, PATIENCE, installed, quiet};
use symstream_tests::process::Signal;

const DDL: &str = "create table item (id integer primary key, name varchar(50))";

#[tokio::test]
async fn registered_nodes_go_on_without_the_registration_server_and_reconnect() {
    // GIVEN two nodes with changes for each other, whose registration server is on a database of its own
    let mut network = Network::start().await;
    let mut hub = network.server("hub", "h", Postgres).await;
    let configuration = Configuration::default()
        .link("left", "right")
        .link("right", "left")
        .table("item", "main");
    hub.database.run(DDL).await;
    network.configure(&hub, &configuration.sql()).await;
    let mut left = network.node(&hub, "left", "l", Mysql).await;
    let mut right = network.node(&hub, "right", "r", Sqlite).await;
    network.run(&mut hub);
    for node in [&mut left, &mut right] {
        node.database.run(DDL).await;
        network.admit(&hub, node).await;
        network.run(node);
        installed(node, &["item"]).await;
    }
    let number = "select count(*) from item";
    left.database
        .run("insert into item values (1, 'with the server')")
        .await;
    reaches(&right.database, number, 1).await;
    // WHEN the server and its database go, and another router runs
    hub.stop().await;
    if let Some(server) = &mut network.postgres {
        server.stop().await;
    }
    let mut router = network.start_service(&left, "sym-router");
    // THEN changes go both ways
    left.database
        .run("insert into item values (2, 'without it')")
        .await;
    right.database.run("insert into item values (3, 'back')").await;
    for node in [&left, &right] {
        reaches(&node.database, number, 3).await;
    }
    // AND still when the nodes, the router and the broker were started again
    for node in [&mut left, &mut right] {
        node.stop().await;
    }
    router.stop(Signal::Term, PATIENCE).await;
    network.nats.kill();
    left.database
        .run("insert into item values (4, 'while all were away')")
        .await;
    network.nats.start_again().await;
    network.run(&mut right);
    network.run(&mut left);
    let mut router = network.start_service(&left, "sym-router");
    right
        .database
        .run("insert into item values (5, 'after that')")
        .await;
    for node in [&left, &right] {
        reaches(&node.database, number, 5).await;
    }
    // AND when the server is there again, nothing is open anywhere
    if let Some(server) = &mut network.postgres {
        server.start_again().await;
    }
    network.run(&mut hub);
    router.stop(Signal::Term, PATIENCE).await;
    left.database
        .run("insert into item values (6, 'with it again')")
        .await;
    reaches(&right.database, number, 6).await;
    quiet(&[&left, &right]).await;
}
