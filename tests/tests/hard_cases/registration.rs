//! Registration needs proof (case 29): where the broker asks for logins, and where it does not; nodes that others
//! register; nodes that were removed.

use super::looking::{becomes, logs, reaches};
use std::path::PathBuf;
use symstream_shared::db::DatabaseKind::{Mysql, Postgres, Sqlite};
use symstream_tests::configuration::Configuration;
use symstream_tests::database::TestDatabase;
use symstream_tests::network::{Network, Site, installed};
use symstream_tests::server::NatsServer;

const HUB: &str = "hub";
const NODE: &str = "node";
const DDL: &str = "create table item (id integer primary key, name varchar(50))";

/// A registration server that runs, with nodes' changes of `item` going both ways.
async fn hub(network: &mut Network) -> Site {
    let mut hub = network.server(HUB, "h", Sqlite).await;
    hub.database.run(DDL).await;
    let configuration = Configuration::default()
        .link(HUB, NODE)
        .link(NODE, HUB)
        .table("item", "main");
    network.configure(&hub, &configuration.sql()).await;
    network.run(&mut hub);
    hub
}

fn secret_file(network: &Network, name: &str) -> PathBuf {
    network.folder.join(name)
}

/// Opens a registration and returns its secret.
async fn open(network: &Network, hub: &Site, external_id: &str) -> String {
    let opened = network
        .symadmin(hub, &["open-registration", NODE, external_id])
        .await
        .ok();
    let secret = opened.trim().to_owned();
    assert!(
        secret.len() >= 32 && !secret.contains(char::is_whitespace),
        "{opened:?}"
    );
    secret
}

async fn is_registered(site: &Site) {
    let identity = "select count(*) from sym_node_identity";
    reaches(&site.database, identity, 1).await;
}

fn request(external_id: &str, columns: &str) -> String {
    format!("select {columns} from sym_registration_request where external_id = '{external_id}'")
}

#[tokio::test]
async fn where_the_broker_asks_for_logins_a_node_is_admitted_by_its_own_newest_secret_only() {
    // GIVEN a broker that asks for logins, and two nodes with open registrations
    let mut network = Network::on(NatsServer::start_with_login().await);
    let hub = hub(&mut network).await;
    let file = secret_file(&network, "n1.secret");
    let path = file.to_str().expect("path");
    let opened = network
        .symadmin(&hub, &["open-registration", NODE, "n1", "--secret-file", path])
        .await;
    let first = std::fs::read_to_string(&file)
        .expect("the file")
        .trim()
        .to_owned();
    assert!(
        opened.status.success() && opened.stdout.is_empty() && !opened.stderr.contains(&first),
        "{opened:?}"
    );
    let again = network
        .symadmin(&hub, &["open-registration", NODE, "n1", "--secret-file", path])
        .await;
    assert!(again.one_error(1).contains("nothing was opened"));
    let old = open(&network, &hub, "n2").await;
    let newest = open(&network, &hub, "n2").await;
    // WHEN one shows its secret, it is in
    let mut n1 = network.node(&hub, NODE, "n1", Postgres).await;
    n1.database.run(DDL).await;
    n1.engine = n1.engine.with("registration.secret.file", path);
    network.engines.write(&n1.engine);
    network.run(&mut n1);
    is_registered(&n1).await;
    becomes(&hub.database, &request("n1", "status"), "OK").await;
    // WHEN the other shows none, the first one's, its own old one
    let mut n2 = network.node(&hub, NODE, "n2", Mysql).await;
    n2.database.run(DDL).await;
    let file = secret_file(&network, "n2.secret");
    n2.engine = n2
        .engine
        .with("registration.secret.file", file.to_str().expect("path"));
    network.engines.write(&n2.engine);
    network.run(&mut n2);
    logs(
        &n2,
        &[
            "WARN",
            "a node needs a secret",
            "registration.secret.file can not be read",
        ],
    )
    .await;
    let wrong = "select count(*) from sym_registration_request where external_id = 'n2' and status = 'OP' \
                 and error_message like '%not the one that was made last%' and attempt_count > ";
    for secret in [&first, &old] {
        let attempts = hub.database.number(&request("n2", "attempt_count")).await;
        std::fs::write(&file, secret).expect("write a secret");
        reaches(&hub.database, &format!("{wrong}{attempts}"), 1).await;
    }
    // THEN it waits and says so, once; so does the server
    logs(&n2, &["WARN", "admits no node n2"]).await;
    logs(
        &hub,
        &[
            "WARN",
            "refused a registration",
            "n2",
            "not the one that was made last",
        ],
    )
    .await;
    assert_eq!(
        n2.database.number("select count(*) from sym_node_identity").await,
        0
    );
    let told = n2.log().matches("admits no node n2").count();
    assert_eq!(told, 1, "{}", n2.log());
    // AND with its newest one it goes on by itself
    std::fs::write(&file, format!("{newest}\n")).expect("write a secret");
    is_registered(&n2).await;
    // No secret is in a log, or stored.
    for secret in [&first, &old, &newest] {
        for site in [&hub, &n1, &n2] {
            assert!(!site.log().contains(secret.as_str()), "{}", site.engine.name);
        }
    }
    let listed = network
        .symadmin(&hub, &["list-registrations", "--json"])
        .await
        .ok();
    assert!(
        listed.contains("registered") && !listed.contains(&newest),
        "{listed}"
    );
}

#[tokio::test]
async fn a_node_whose_database_was_restored_comes_back_and_who_knows_its_name_does_not() {
    let mut network = Network::on(NatsServer::start_with_login().await);
    let hub = hub(&mut network).await;
    let secret = open(&network, &hub, "n1").await;
    let mut node = network.node(&hub, NODE, "n1", Sqlite).await;
    node.database.run(DDL).await;
    node.engine = node.engine.with("registration.secret", &secret);
    network.engines.write(&node.engine);
    network.run(&mut node);
    is_registered(&node).await;
    installed(&node, &["item"]).await;
    node.stop().await;
    // WHEN its database is one from before its registration was answered
    node.database
        .run("delete from sym_node_identity; delete from sym_node; delete from sym_node_security; delete from sym_trigger")
        .await;
    network.run(&mut node);
    // THEN its password is proof
    is_registered(&node).await;
    node.stop().await;
    // WHEN somebody with another database knows its name, and its used secret
    node.database = TestDatabase::sqlite(&network.folder, "another");
    node.database.run(DDL).await;
    node.engine = node.engine.with("db.url", node.database.url());
    network.engines.write(&node.engine);
    network.run(&mut node);
    let noted = "select count(*) from sym_registration_request where external_id = 'n1' and status = 'OK' \
                 and error_message like '%used before%'";
    reaches(&hub.database, noted, 1).await;
    assert_eq!(
        node.database
            .number("select count(*) from sym_node_identity")
            .await,
        0
    );
    // THEN it is kept out until its registration is opened again
    let secret = open(&network, &hub, "n1").await;
    node.stop().await;
    node.engine = node.engine.with("registration.secret", &secret);
    network.engines.write(&node.engine);
    network.run(&mut node);
    is_registered(&node).await;
}

#[tokio::test]
async fn where_the_broker_asks_for_no_logins_the_node_that_asks_first_is_admitted_once() {
    let mut network = Network::start().await;
    let hub = hub(&mut network).await;
    let mut node = network.node(&hub, NODE, "n1", Sqlite).await;
    node.database.run(DDL).await;
    // GIVEN a node that asked uninvited
    network.run(&mut node);
    becomes(&hub.database, &request("n1", "status"), "RQ").await;
    let unasked = network
        .symadmin(&hub, &["approve-registration", NODE, "n7"])
        .await
        .one_error(1);
    assert!(unasked.contains("has not asked"), "{unasked}");
    // WHEN it is approved, it is in, without a secret
    network
        .symadmin(&hub, &["approve-registration", NODE, "n1"])
        .await
        .ok();
    is_registered(&node).await;
    node.stop().await;
    // AND another database is not
    node.database = TestDatabase::sqlite(&network.folder, "another");
    node.database.run(DDL).await;
    node.engine = node.engine.with("db.url", node.database.url());
    network.engines.write(&node.engine);
    network.run(&mut node);
    logs(&node, &["WARN", "registered already"]).await;
    assert_eq!(
        node.database
            .number("select count(*) from sym_node_identity")
            .await,
        0
    );
}

#[tokio::test]
async fn a_redirected_node_is_registered_by_way_of_its_region() {
    let mut network = Network::on(NatsServer::start_with_login().await);
    let hub = hub(&mut network).await;
    hub.database
        .run(
            "insert into sym_node_group (node_group_id) values ('shop');
             insert into sym_registration_redirect (registrant_external_id, registration_node_id) values ('s1', 'r1')",
        )
        .await;
    let mut region = network.node(&hub, NODE, "r1", Sqlite).await;
    region.database.run(DDL).await;
    region.engine = region
        .engine
        .with("registration.secret", &open(&network, &hub, "r1").await);
    network.engines.write(&region.engine);
    let opened = network
        .symadmin(&hub, &["open-registration", "shop", "s1"])
        .await
        .ok();
    let mut shop = network.node(&hub, "shop", "s1", Sqlite).await;
    shop.engine = shop.engine.with("registration.secret", opened.trim());
    network.engines.write(&shop.engine);
    // WHEN its region is not registered yet, or passes nothing on
    network.run(&mut shop);
    logs(&shop, &["WARN", "which is not registered itself"]).await;
    network.run(&mut region);
    is_registered(&region).await;
    logs(&shop, &["WARN", "nobody answers there", "needs the role router"]).await;
    // THEN the shop waits for it
    region.stop().await;
    let args = [
        "--engine",
        &region.engine.name,
        "--roles",
        "capture,router,loader",
    ];
    region
        .processes
        .push(network.engines.start(&region.engine.name, "sym", &args));
    is_registered(&shop).await;
    // AND the region is its server, for everybody
    let created = "select created_at_node_id from sym_node_security where node_id = 's1'";
    for database in [&hub.database, &shop.database] {
        becomes(database, created, "r1").await;
    }
    let created = "select created_at_node_id from sym_node where node_id = 's1'";
    for database in [&hub.database, &region.database, &shop.database] {
        becomes(database, created, "r1").await;
    }
}

#[tokio::test]
async fn a_removed_node_stops_sending_and_taking_and_can_be_registered_again() {
    let mut network = Network::start().await;
    let hub = hub(&mut network).await;
    let mut node = network.node(&hub, NODE, "n1", Postgres).await;
    node.database.run(DDL).await;
    network.admit(&hub, &node).await;
    network.run(&mut node);
    installed(&node, &["item"]).await;
    installed(&hub, &["item"]).await;
    hub.database.run("insert into item values (1, 'for it')").await;
    reaches(&node.database, "select count(*) from item", 1).await;
    // WHEN it is removed
    let unasked = network.symadmin(&hub, &["remove-node", "n1"]).await.one_error(2);
    assert!(unasked.contains("--yes"), "{unasked}");
    network.symadmin(&hub, &["remove-node", "n1", "--yes"]).await.ok();
    // THEN it says so and goes on running, without sending or taking anything
    logs(&node, &["WARN", "node n1 was removed at hub-h"]).await;
    logs(&node, &["WARN", "nothing is loaded any more"]).await;
    logs(
        &hub,
        &["removed what was kept in nats for a node that was removed"],
    )
    .await;
    node.database
        .run("insert into item values (2, 'kept back')")
        .await;
    hub.database
        .run("insert into item values (3, 'for nobody')")
        .await;
    let nobody = "select count(*) from sym_data_event where node_id = '-1'";
    reaches(&hub.database, nobody, 1).await;
    becomes(&hub.database, &request("n1", "status"), "RJ").await;
    let left = "select count(*) from sym_node where node_id = 'n1'";
    assert_eq!(hub.database.number(left).await, 0);
    let history = "select count(*) from sym_outgoing_batch where node_id = 'n1' and status = 'OK'";
    assert_eq!(hub.database.number(history).await, 1);
    assert_eq!(
        hub.database
            .number("select count(*) from item where id = 2")
            .await,
        0
    );
    assert_eq!(
        node.database
            .number("select count(*) from item where id = 3")
            .await,
        0
    );
    assert!(node.processes.iter_mut().all(|process| process.ended().is_none()));
    // WHEN it is started again, it still waits
    node.stop().await;
    network.run(&mut node);
    logs(&node, &["WARN", "no registration is open for node n1"]).await;
    // AND when its registration is opened again, it sends what it captured meanwhile
    network.admit(&hub, &node).await;
    reaches(&hub.database, "select count(*) from item where id = 2", 1).await;
}
