//! What is wrong is said in one clear line; what may come right by itself is waited for, aloud.

use symstream_shared::db::DatabaseKind::{Postgres, Sqlite};
use symstream_tests::configuration::Configuration;
use symstream_tests::engine::{EngineFile, Engines};
use symstream_tests::eventually::eventually;
use symstream_tests::folder::Folder;
use symstream_tests::network::{Network, PATIENCE, installed, quiet};
use symstream_tests::process::Process;

const DDL: &str = "create table item (id integer primary key, name varchar(50))";

fn assert_says(line: &str, words: &[&str]) {
    for word in words {
        assert!(line.contains(word), "{word:?} is not in {line:?}");
    }
    assert!(!line.contains("secret"), "a secret in {line:?}");
}

/// Waits until a log has a warning or an error with all of these words, and returns the line.
async fn logs(process: &Process, words: &[&str]) -> String {
    eventually(
        PATIENCE,
        format!("a line of {} with {words:?}", process.name()),
        || async {
            let log = process.log();
            let serious = |line: &&str| line.contains("WARN") || line.contains("ERROR");
            let line = log
                .lines()
                .filter(serious)
                .find(|line| words.iter().all(|word| line.contains(word)));
            line.map(str::to_owned).ok_or(log)
        },
    )
    .await
}

#[tokio::test]
async fn a_wrong_engine_file_is_one_line_that_names_the_nearest_key() {
    let folder = Folder::new();
    let engines = Engines::new(&folder);
    let engine = EngineFile::new("cloud", "000", "sqlite::memory:", "nats://127.0.0.1:1");
    engines.write(&engine.clone().with("db.pasword", "secret"));
    for program in ["sym", "sym-capture", "sym-loader", "sym-router"] {
        let line = engines
            .command(program, &["--engine", "cloud-000"])
            .await
            .one_error(2);
        assert_says(&line, &["cloud-000.toml", "db.pasword", "db.password"]);
    }
    let line = engines
        .command("symadmin", &["--engine", "cloud-000", "create-sym-tables"])
        .await
        .one_error(2);
    assert_says(&line, &["cloud-000.toml", "db.pasword", "db.password"]);
}

#[tokio::test]
async fn an_unknown_engine_is_one_line_that_names_the_known_ones() {
    let folder = Folder::new();
    let engines = Engines::new(&folder);
    engines.write(&EngineFile::new(
        "cloud",
        "000",
        "sqlite::memory:",
        "nats://127.0.0.1:1",
    ));
    for program in ["sym", "sym-capture", "sym-loader", "sym-router"] {
        let line = engines.command(program, &["--engine", "clod"]).await.one_error(2);
        assert_says(&line, &["clod", "cloud-000"]);
    }
    let line = engines
        .command("symadmin", &["--engine", "clod", "create-sym-tables"])
        .await
        .one_error(2);
    assert_says(&line, &["clod", "cloud-000"]);
}

#[tokio::test]
async fn a_database_that_refuses_is_one_line_without_the_password() {
    let mut network = Network::start().await;
    let site = network.server("cloud", "000", Postgres).await;
    let wrong = site.engine.clone().with("db.password", "secret-but-wrong");
    network.engines.write(&wrong);
    let line = network.symadmin(&site, &["create-sym-tables"]).await.one_error(1);
    assert_says(&line, &["PostgreSQL at 127.0.0.1", "password"]);

    let missing = site.engine.clone().with(
        "db.url",
        &site.engine.get("db.url").replace("cloud_000", "nowhere"),
    );
    network.engines.write(&missing);
    let line = network.symadmin(&site, &["create-sym-tables"]).await.one_error(1);
    assert_says(&line, &["PostgreSQL at 127.0.0.1", "nowhere"]);

    let mut sym = network.engines.sym(&site.engine);
    assert_eq!(sym.wait(PATIENCE).await.code(), Some(1), "{}", sym.log());
    let log = sym.log();
    let errors: Vec<&str> = log.lines().filter(|line| line.contains("nowhere")).collect();
    assert_eq!(errors.len(), 1, "{log}");
}

#[tokio::test]
async fn a_database_that_is_not_there_is_waited_for() {
    // GIVEN a node whose database server is down
    let mut network = Network::start().await;
    let mut site = network.server("cloud", "000", Postgres).await;
    network.symadmin(&site, &["create-sym-tables"]).await.ok();
    network
        .postgres
        .as_mut()
        .expect("started for the site")
        .stop()
        .await;
    // WHEN it is started
    network.run(&mut site);
    // THEN it says what it waits for, and goes on once it is there
    let line = logs(&site.processes[0], &["PostgreSQL at 127.0.0.1"]).await;
    assert!(!line.contains("secret"), "{line}");
    network
        .postgres
        .as_mut()
        .expect("started for the site")
        .start_again()
        .await;
    eventually(PATIENCE, "the node's identity", || async {
        let rows = site
            .database
            .try_rows("select node_id from sym_node_identity")
            .await;
        let rows = rows.map_err(|err| err.to_string())?;
        if rows == [["000"]] {
            Ok(())
        } else {
            Err("there is none".to_owned())
        }
    })
    .await;
    site.stop().await;
}

#[tokio::test]
async fn a_nats_server_that_is_not_there_is_waited_for() {
    // GIVEN a node that starts while NATS is down
    let mut network = Network::start().await;
    let mut site = network.server("source", "000", Sqlite).await;
    site.database.run(DDL).await;
    let configuration = Configuration::default()
        .link("source", "target")
        .table("item", "main");
    network.configure(&site, &configuration.sql()).await;
    network.nats.stop().await;
    network.run(&mut site);
    // THEN it says what it waits for, and captures meanwhile
    let url = network.nats.url();
    logs(&site.processes[0], &[url.trim_start_matches("nats://")]).await;
    installed(&site, &["item"]).await;
    site.database.run("insert into item values (1, 'x')").await;
    // WHEN it is there, THEN everything goes on
    network.nats.start_again().await;
    quiet(&[&site]).await;
    site.stop().await;
}

#[tokio::test]
async fn a_table_that_does_not_exist_is_named_and_the_others_go_on() {
    let mut network = Network::start().await;
    let mut source = network.server("source", "000", Sqlite).await;
    let mut target = network.node(&source, "target", "001", Sqlite).await;
    source.database.run(DDL).await;
    target.database.run(DDL).await;
    let configuration = Configuration::default()
        .link("source", "target")
        .table("item", "main")
        .table("no_such_table", "main");
    network.configure(&source, &configuration.sql()).await;
    network.admit(&source, &target).await;
    network.run(&mut source);
    network.run(&mut target);
    logs(
        &source.processes[0],
        &["no_such_table", "no_such_table_source_target"],
    )
    .await;
    installed(&source, &["item"]).await;
    source.database.run("insert into item values (1, 'x')").await;
    quiet(&[&source]).await;
    // WHEN the table is made at last, THEN it is captured
    source.database.run(&DDL.replace("item", "no_such_table")).await;
    installed(&source, &["no_such_table"]).await;
}

#[tokio::test]
async fn a_bad_router_expression_is_named() {
    let mut network = Network::start().await;
    let mut source = network.server("source", "000", Sqlite).await;
    source.database.run(DDL).await;
    let configuration = Configuration::default()
        .link("source", "target")
        .table("item", "main")
        .and(
            "insert into sym_router (router_id, source_node_group_id, target_node_group_id, router_type, \
         router_expression) values ('by_place', 'source', 'target', 'lookuptable', 'LOOKUP_TABEL=places');
         update sym_trigger set source_node_group_id = null, target_node_group_id = null;
         insert into sym_trigger_router (trigger_id, router_id) values ('item_source_target', 'by_place')",
        );
    network.configure(&source, &configuration.sql()).await;
    network.run(&mut source);
    let line = logs(&source.processes[0], &["by_place"]).await;
    assert_says(&line, &["LOOKUP_TABEL"]);
}
