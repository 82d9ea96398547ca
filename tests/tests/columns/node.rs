//! `sym_node`: what a node says of itself, and who knows it.

use super::deployment::{FAR, NEAR, becomes};
use super::given::Given;
use symstream_shared::db::DatabaseKind;
use symstream_tests::database::TestDatabase;
use symstream_tests::eventually::eventually;
use symstream_tests::network::{PATIENCE, Site};

/// A node's columns that say where and what it is.
const ABOUT: &str = "select node_group_id, external_id, sync_url, schema_version, symmetric_version, database_type, \
                     database_version from sym_node where node_id = ";

/// What the database itself says of its version.
async fn server_version(database: &TestDatabase) -> String {
    let sql = match database.kind() {
        DatabaseKind::Sqlite => "select sqlite_version()",
        DatabaseKind::Mysql => "select version()",
        DatabaseKind::Postgres => "show server_version",
    };
    database.rows(sql).await.concat().concat()
}

async fn about(site: &Site, schema_version: &str, nats: &str) -> Vec<String> {
    let product = match site.database.kind() {
        DatabaseKind::Postgres => "PostgreSQL",
        DatabaseKind::Mysql => "MariaDB",
        DatabaseKind::Sqlite => "SQLite",
    };
    let version = server_version(&site.database).await;
    let url = format!("{nats}/{}", site.engine.name);
    [
        site.group(),
        site.id(),
        &url,
        schema_version,
        env!("CARGO_PKG_VERSION"),
        product,
        &version,
    ]
    .map(str::to_owned)
    .to_vec()
}

/// Each node keeps what it is in its own row; the registration server has it too, and all other nodes from there.
pub async fn what_a_node_is(mut given: Given) {
    for (node, version) in [("hub", "4.0"), ("near", "4.1"), ("far", "4.2")] {
        given.parameter(node, "ALL", "schema.version", version);
    }
    given.parameter("near", "ALL", "heartbeat.interval", "1s");
    let at = given.running().await;
    let nats = at.network.nats.url();

    for (site, node, version) in [
        (&at.hub, "hub", "4.0"),
        (&at.near, NEAR, "4.1"),
        (&at.far, FAR, "4.2"),
    ] {
        let expected = [about(site, version, &nats).await];
        for reader in [&at.hub, &at.near, &at.far] {
            becomes(&reader.database, &format!("{ABOUT}'{node}'"), expected.clone()).await;
        }
    }

    // Somebody writes nonsense into the row, at the node and at the server: the next heartbeat says what is true.
    let wrong = "update sym_node set database_type = 'Oracle', schema_version = 'x', symmetric_version = '0', \
                 database_version = '0', sync_url = 'nowhere' where node_id = 'n-near'";
    let expected = [about(&at.near, "4.1", &nats).await];
    for site in [&at.near, &at.hub] {
        site.database.run(wrong).await;
        for reader in [&at.hub, &at.near, &at.far] {
            becomes(&reader.database, &format!("{ABOUT}'{NEAR}'"), expected.clone()).await;
        }
    }
}

/// The moment of a node's last heartbeat as another node knows it.
async fn heartbeat(reader: &Site, node: &str) -> String {
    let time = reader.database.kind().time_as_text("heartbeat_time");
    let sql = format!("select {time} from sym_node where node_id = '{node}'");
    reader.database.rows(&sql).await.concat().concat()
}

/// Heartbeats are at the node itself and at the registration server, as often as the parameter says.
pub async fn heartbeats(mut given: Given) {
    given.parameter("ALL", "hub", "heartbeat.interval", "1s");
    given.parameter("near", "site", "heartbeat.interval", "1s");
    let at = given.running().await;
    let offset = std::process::Command::new("date")
        .arg("+%:z")
        .output()
        .expect("run date");
    let offset = String::from_utf8_lossy(&offset.stdout).trim().to_owned();

    for reader in [&at.near, &at.hub] {
        let sql = format!("select timezone_offset from sym_node where node_id = '{NEAR}'");
        becomes(&reader.database, &sql, [[offset.as_str()]]).await;
        let (first, far) = (heartbeat(reader, NEAR).await, heartbeat(&at.hub, FAR).await);
        eventually(PATIENCE, "another heartbeat", || async {
            let now = heartbeat(reader, NEAR).await;
            if now > first { Ok(()) } else { Err(now) }
        })
        .await;
        // The default is ten minutes.
        assert_eq!(heartbeat(&at.hub, FAR).await, far);
    }
    eventually(PATIENCE, "the hub's own heartbeat", || async {
        let sql = "select count(*) from sym_node where node_id = 'hub' and heartbeat_time is not null";
        if at.hub.database.number(sql).await == 1 {
            Ok(())
        } else {
            Err("none")
        }
    })
    .await;
    // Heartbeats are no change of the configuration: other nodes are not told.
    assert_eq!(heartbeat(&at.far, NEAR).await, "∅");
}

/// `created_at_node_id` is where registration was opened.
pub async fn created_at_node_id(given: Given) {
    let at = given.running().await;
    let args = ["open-registration", "guest", "expected"];
    at.network.symadmin(&at.hub, &args).await.ok();

    let sql = "select n.node_id, n.created_at_node_id, s.created_at_node_id, s.registration_enabled \
               from sym_node n join sym_node_security s on s.node_id = n.node_id where n.external_id = 'expected'";
    assert_eq!(at.hub.database.rows(sql).await, [["expected", "hub", "hub", "1"]]);
    let sql = "select created_at_node_id, sync_enabled from sym_node where node_id = 'expected'";
    becomes(&at.near.database, sql, [["hub", "0"]]).await;
}

/// A group that nobody knows has no nodes.
pub async fn node_group_id(given: Given) {
    let at = given.running().await;
    let args = ["open-registration", "nowhere", "stranger"];
    let error = at.network.symadmin(&at.hub, &args).await.one_error(1);
    assert!(
        error.contains("nowhere") && error.contains("sym_node_group"),
        "{error}"
    );

    at.write("insert into sym_node_group (node_group_id) values ('nowhere')")
        .await;
    at.network.symadmin(&at.hub, &args).await.ok();
    let group = "select node_group_id from sym_node where node_id = 'stranger'";
    becomes(&at.far.database, group, [["nowhere"]]).await;
}
