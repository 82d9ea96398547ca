//! Proof, refusals, openings by SQL, removed nodes: what the registrar answers and what its tables say.

use crate::registrar::{ask, reason, request};
use crate::world::{PATIENCE, World, node};
use symstream_shared::registration::hash;
use symstream_shared::wire::{RegistrationReply, RegistrationRequest};
use symstream_tests::database::TestDatabase;
use symstream_tests::eventually::eventually;
use symstream_tests::folder::Folder;
use symstream_tests::server::{MariaDb, PostgresServer};

const NEEDED: &str = "insert into sym_parameter (external_id, node_group_id, param_key, param_value) values \
                      ('ALL', 'ALL', 'registration.secret.required', 'true')";

fn showing(external_id: &str, password: &str, secret: &str) -> RegistrationRequest {
    RegistrationRequest {
        secret: Some(secret.to_owned()),
        ..request(external_id, password)
    }
}

/// Opens a registration as the command does.
async fn open(world: &World, external_id: &str, secret: &str) {
    let hash = hash(secret);
    world
        .database
        .run(&format!(
            "insert into sym_node (node_id, node_group_id, external_id) values ('n{external_id}', 'local', '{external_id}');
             insert into sym_node_security (node_id, password, registration_enabled) values ('n{external_id}', 'none', 1);
             insert into sym_registration_request (node_group_id, external_id, status, secret_hash) values \
             ('local', '{external_id}', 'OP', '{hash}')"
        ))
        .await;
}

async fn row(world: &World, external_id: &str) -> Vec<String> {
    let sql = format!(
        "select status, attempt_count, coalesce(error_message, ''), coalesce(registered_node_id, '') \
         from sym_registration_request where external_id = '{external_id}'"
    );
    world.database.rows(&sql).await.remove(0)
}

fn is_granted(reply: &RegistrationReply) -> bool {
    matches!(reply, RegistrationReply::Granted { .. })
}

async fn a_secret_admits_one_database_once(database: TestDatabase, folder: Folder) {
    // GIVEN two open registrations where secrets are needed
    let world = World::on(database, folder).await;
    world.database.run(NEEDED).await;
    open(&world, "7", "right").await;
    open(&world, "8", "others").await;
    let router = world.start();
    world.version().await;
    // WHEN a node shows no secret, a wrong one, or another node's
    let none = reason(ask(&world, &request("7", "pw")).await);
    assert!(none.starts_with("a node needs a secret"), "{none}");
    let wrong = reason(ask(&world, &showing("7", "pw", "wrong")).await);
    let others = reason(ask(&world, &showing("7", "pw", "others")).await);
    // THEN it hears the same as where there is no such node, and the table says what was wrong
    assert_eq!(wrong, others);
    let nobody = reason(ask(&world, &showing("9", "pw", "right")).await);
    assert_eq!(nobody, wrong.replace('7', "9"));
    let noted = row(&world, "7").await;
    assert_eq!((noted[0].as_str(), noted[1].as_str()), ("OP", "3"));
    assert!(noted[2].contains("not the one that was made last"), "{noted:?}");
    assert_eq!(row(&world, "9").await[..2], ["RQ", "1"]);
    // WHEN it shows the right one, it is admitted, and nobody else with it
    assert!(is_granted(&ask(&world, &showing("7", "pw", "right")).await));
    assert_eq!(row(&world, "7").await, ["OK", "3", "", "n7"]);
    assert_eq!(reason(ask(&world, &showing("7", "pw2", "right")).await), wrong);
    let noted = row(&world, "7").await;
    assert_eq!((noted[0].as_str(), noted[1].as_str()), ("OK", "4"));
    assert!(noted[2].contains("used before"), "{noted:?}");
    // AND the database that was admitted proves itself by its password alone, also when it was restored
    assert!(is_granted(&ask(&world, &request("7", "pw")).await));
    router.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_admits_one_database_once_on_sqlite() {
    let folder = Folder::new();
    a_secret_admits_one_database_once(TestDatabase::sqlite(&folder, "cloud"), folder).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_admits_one_database_once_on_postgresql() {
    let server = PostgresServer::start().await;
    a_secret_admits_one_database_once(server.create_database("cloud").await, Folder::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_admits_one_database_once_on_mariadb() {
    let server = MariaDb::start().await;
    a_secret_admits_one_database_once(server.create_database("cloud").await, Folder::new()).await;
}

async fn registrations_opened_by_sql_close_by_themselves(database: TestDatabase, folder: Folder) {
    let world = World::on(database, folder).await;
    // GIVEN a registration that somebody opened by SQL, and a router that sees it
    world
        .database
        .run(
            "insert into sym_node (node_id, node_group_id, external_id) values ('7', 'local', '7'), ('8', 'local', '8');
             insert into sym_node_security (node_id, password, registration_enabled) values ('7', '', 1), ('8', '', 1)",
        )
        .await;
    let router = world.start();
    eventually(PATIENCE, "the openings to be noted", || async {
        let sql = "select count(*) from sym_registration_request where status = 'OP' and expire_time is not null \
                   and secret_hash is null and last_updated_by = 'sql'";
        match world.database.number(sql).await {
            2 => Ok(()),
            other => Err(other),
        }
    })
    .await;
    // It stays open for 24 hours.
    let days = "select count(*) from sym_registration_request where expire_time > ";
    let (soon, late) = match world.database.kind() {
        symstream_shared::db::DatabaseKind::Postgres => {
            ("now() + interval '23 hours'", "now() + interval '25 hours'")
        }
        symstream_shared::db::DatabaseKind::Mysql => ("now() + interval 23 hour", "now() + interval 25 hour"),
        symstream_shared::db::DatabaseKind::Sqlite => {
            ("datetime('now', '23 hours')", "datetime('now', '25 hours')")
        }
    };
    assert_eq!(world.database.number(&format!("{days} {soon}")).await, 2);
    assert_eq!(world.database.number(&format!("{days} {late}")).await, 0);
    // WHEN the time of one is over, and the other is closed by SQL
    world
        .database
        .run(
            "update sym_registration_request set expire_time = '2026-01-01 00:00:00' where external_id = '7';
             update sym_node_security set registration_enabled = 0 where node_id = '8'",
        )
        .await;
    // THEN both are closed
    eventually(PATIENCE, "both to be closed", || async {
        let (seven, eight) = (row(&world, "7").await, row(&world, "8").await);
        if seven[0] == "RJ"
            && seven[2].contains("open.hours")
            && eight[0] == "RJ"
            && eight[2].contains("by hand")
        {
            Ok(())
        } else {
            Err(format!("{seven:?} {eight:?}"))
        }
    })
    .await;
    let enabled = "select count(*) from sym_node_security where registration_enabled <> 0";
    assert_eq!(world.database.number(enabled).await, 0);
    assert!(reason(ask(&world, &request("7", "pw")).await).contains("no registration is open"));
    router.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn registrations_opened_by_sql_close_by_themselves_on_sqlite() {
    let folder = Folder::new();
    registrations_opened_by_sql_close_by_themselves(TestDatabase::sqlite(&folder, "cloud"), folder).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn registrations_opened_by_sql_close_by_themselves_on_postgresql() {
    let server = PostgresServer::start().await;
    registrations_opened_by_sql_close_by_themselves(server.create_database("cloud").await, Folder::new())
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn registrations_opened_by_sql_close_by_themselves_on_mariadb() {
    let server = MariaDb::start().await;
    registrations_opened_by_sql_close_by_themselves(server.create_database("cloud").await, Folder::new())
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_registration_admits_nobody_although_no_router_has_closed_it_yet() {
    let world = World::new().await;
    open(&world, "7", "right").await;
    world
        .database
        .run("update sym_registration_request set expire_time = '2026-01-01 00:00:00'")
        .await;
    let router = world.start();
    world.version().await;
    assert!(!is_granted(&ask(&world, &request("7", "pw")).await));
    router.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_listed_up_to_a_limit() {
    let world = World::new().await;
    let strangers: Vec<String> = (0..999)
        .map(|number| format!("('local', 's{number}', 'RQ')"))
        .collect();
    world
        .database
        .run(&format!(
            "insert into sym_registration_request (node_group_id, external_id, status) values {}",
            strangers.join(", ")
        ))
        .await;
    let router = world.start();
    world.version().await;
    for external_id in ["a1", "a2", "a3"] {
        reason(ask(&world, &request(external_id, "pw")).await);
    }
    // One more finds room; those that are listed are counted on.
    reason(ask(&world, &request("s5", "pw")).await);
    let count = "select count(*) from sym_registration_request";
    assert_eq!(world.database.number(count).await, 1000);
    assert_eq!(row(&world, "s5").await[1], "1");
    router.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn automatic_registration_makes_nodes_of_known_groups() {
    let world = World::new().await;
    world
        .database
        .run(
            "insert into sym_parameter (external_id, node_group_id, param_key, param_value) values \
             ('ALL', 'ALL', 'auto.registration', 'true')",
        )
        .await;
    let router = world.start();
    world.version().await;
    match ask(&world, &request("7", "pw")).await {
        RegistrationReply::Granted {
            node: id,
            configuration,
            ..
        } => {
            assert_eq!(id.as_str(), "7");
            let config = symstream_shared::model::Config::from_wire(&configuration).expect("configuration");
            assert!(
                config
                    .registered
                    .iter()
                    .any(|registered| registered.as_str() == "7")
            );
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(row(&world, "7").await, ["OK", "0", "", "7"]);
    // Another database of the same name is not let in, nor a group that nobody knows.
    assert!(reason(ask(&world, &request("7", "other")).await).contains("registered already"));
    let stranger = RegistrationRequest {
        group: "nowhere".parse().expect("id"),
        ..request("8", "pw")
    };
    assert!(reason(ask(&world, &stranger).await).contains("nowhere is not in"));
    router.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirected_node_is_admitted_by_way_of_its_node_only() {
    let world = World::new().await;
    world
        .database
        .run(
            "update sym_node set sync_url = 'nats://h/region-a' where node_id = 'a';
             insert into sym_registration_redirect (registrant_external_id, registration_node_id) values ('7', 'a'), ('8', 'x')",
        )
        .await;
    open(&world, "7", "right").await;
    let router = world.start();
    world.version().await;
    let redirected = ask(&world, &request("7", "pw")).await;
    let expected = RegistrationReply::Redirected {
        node: node("a"),
        sync_url: "nats://h/region-a".to_owned(),
    };
    assert_eq!(redirected, expected);
    let by = |via: &str, external_id: &str| RegistrationRequest {
        via: Some(node(via)),
        ..request(external_id, "pw")
    };
    assert!(reason(ask(&world, &by("b", "7")).await).contains("by way of node b"));
    assert!(reason(ask(&world, &by("a", "9")).await).contains("by way of node a"));
    // To a node that is not registered itself.
    assert!(reason(ask(&world, &request("8", "pw")).await).contains("not registered itself"));
    assert!(is_granted(&ask(&world, &by("a", "7")).await));
    let created = "select n.created_at_node_id, s.created_at_node_id from sym_node n \
                   join sym_node_security s on s.node_id = n.node_id where n.node_id = 'n7'";
    assert_eq!(world.database.rows(created).await, [["a", "a"]]);
    router.stop().await;
}

/// The names of the consumers and the number of messages that there are for node `a`.
async fn kept(world: &World) -> (Vec<String>, u64) {
    let client = async_nats::connect(world.nats.url()).await.expect("nats");
    let jetstream = async_nats::jetstream::new(client);
    let mut names = Vec::new();
    let mut messages = 0;
    for (stream, filter) in [
        ("SYM_NODE_0", "sym.node.*.a.>"),
        ("SYM_LANES", "sym.tail.*.a.>"),
        ("SYM_ROUTED", "sym.routed.a.>"),
    ] {
        let stream = jetstream.get_stream(stream).await.expect("stream");
        let mut consumers = stream.consumer_names();
        while let Some(name) = futures_util::StreamExt::next(&mut consumers).await {
            let name = name.expect("name");
            if name == "a" || name.starts_with("a==") {
                names.push(name);
            }
        }
        let mut subjects = stream.info_with_subjects(filter).await.expect("info");
        while let Some(subject) = futures_util::StreamExt::next(&mut subjects).await {
            messages += subject.expect("subject").1 as u64;
        }
    }
    (names, messages)
}

#[tokio::test(flavor = "multi_thread")]
async fn notes_of_removed_nodes_are_found_whatever_the_order_of_texts_is() {
    let mut server = PostgresServer::start().await;
    let world = World::on(server.create_database("cloud").await, Folder::new()).await;
    // GIVEN a server whose locale is a usual one: there, `removed_node;` stands before `removed_node:a`
    world
        .database
        .run(
            r#"alter table sym_state alter column state_key type varchar(100) collate "en-x-icu";
               insert into sym_state (state_key, state_value) values ('removed_node:gone', '0 0'), ('removed_nodes', 'other')"#,
        )
        .await;
    // WHEN a router runs there
    let router = world.start();
    // THEN it clears up for the node, and notes when it does so again
    eventually(PATIENCE, "the node to be cleared up for", || async {
        let notes = "select state_value from sym_state where state_key = 'removed_node:gone'";
        match &world.database.rows(notes).await[..] {
            [row] if row[0] != "0 0" && !row[0].ends_with("busy") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    router.stop().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_for_a_removed_node_goes_and_it_can_come_back() {
    // GIVEN a node for which something waits
    let (world, router) = World::with_router().await;
    let version = world.version().await;
    world.capture("c0", 1, version, &[&[2]]).await;
    eventually(PATIENCE, "a message and a tail", || async {
        match kept(&world).await {
            (names, 2) if names.len() > 10 => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    // WHEN it is removed, as the command does it
    world
        .database
        .run(
            "delete from sym_node_security where node_id = 'a'; delete from sym_node where node_id = 'a';
             insert into sym_registration_request (node_group_id, external_id, status) values ('local', 'a', 'RJ');
             insert into sym_state (state_key, state_value) values ('removed_node:a', '')",
        )
        .await;
    // THEN nothing is kept for it, and other nodes' lanes stay
    eventually(PATIENCE, "nothing to be kept", || async {
        match kept(&world).await {
            (names, 0) if names.is_empty() => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    let after = world
        .version_with(|configuration| configuration.version > version)
        .await;
    world.capture("c0", 2, after, &[&[4]]).await;
    let others = world.receive("b", "c0", 2).await.batches;
    assert_eq!(others, [(1, 0, vec![2]), (2, 1, vec![4])]);
    // AND nobody gets in under its name, until it is opened again
    assert!(reason(ask(&world, &request("a", "pw")).await).contains("no registration is open"));
    world
        .database
        .run(
            "insert into sym_node (node_id, node_group_id, external_id) values ('a', 'local', 'a');
             insert into sym_node_security (node_id, password, registration_enabled) values ('a', '', 1)",
        )
        .await;
    assert!(is_granted(&ask(&world, &request("a", "pw")).await));
    // Its lane begins anew.
    let version = world
        .version_with(|configuration| configuration.version > after)
        .await;
    world.capture("c0", 3, version, &[&[6]]).await;
    assert_eq!(world.receive("a", "c0", 1).await.batches, [(3, 0, vec![6])]);
    let notes = "select count(*) from sym_state where state_key like 'removed_node:%'";
    assert_eq!(world.database.number(notes).await, 0);
    router.stop().await;
}
