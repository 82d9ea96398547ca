//! A node's database that was restored from a backup: case 32.

use super::looking::reaches;
use std::path::PathBuf;
use symstream_shared::db::DatabaseKind::{self, Mysql, Postgres, Sqlite};
use symstream_tests::compare::{Part, check_equal};
use symstream_tests::configuration::Configuration;
use symstream_tests::database::TestDatabase;
use symstream_tests::eventually::eventually;
use symstream_tests::network::{Network, PATIENCE, Site, installed};
use symstream_tests::pair::loaded;

const ITEM: Part<'_> = Part {
    table: "item",
    columns: &["id", "name"],
    condition: "",
};

/// The files of a SQLite database.
fn files(database: &TestDatabase) -> Vec<PathBuf> {
    let path = database.url().trim_start_matches("sqlite://");
    let path = path.split('?').next().unwrap_or(path);
    ["", "-wal", "-shm"]
        .map(|end| PathBuf::from(format!("{path}{end}")))
        .into()
}

/// A backup of a database that nobody uses.
async fn back_up(network: &Network, database: &TestDatabase) {
    database.close().await;
    match database.kind() {
        Sqlite => {
            for file in files(database).iter().filter(|file| file.exists()) {
                std::fs::copy(file, file.with_extension("backup")).expect("copied");
            }
        }
        _ => copy_database(network, name(database), "backup").await,
    }
}

/// Puts the backup in the place of a database that nobody uses.
async fn restore(network: &Network, database: &TestDatabase) {
    database.close().await;
    match database.kind() {
        Sqlite => {
            let all = files(database);
            for file in &all {
                std::fs::remove_file(file).ok();
            }
            std::fs::copy(all[0].with_extension("backup"), &all[0]).expect("copied");
        }
        _ => copy_database(network, "backup", name(database)).await,
    }
}

fn name(database: &TestDatabase) -> &str {
    let url = database.url();
    let last = url.rsplit('/').next().unwrap_or(url);
    last.split('?').next().unwrap_or(last)
}

/// On PostgreSQL.
async fn copy_database(network: &Network, from: &str, to: &str) {
    let server = network.postgres.as_ref().expect("a server");
    let admin = TestDatabase::open(server.url("postgres"));
    eventually(PATIENCE, "connections to end", || async {
        let drop = format!("drop database if exists \"{to}\"");
        admin.try_run(&drop).await.map_err(|err| err.to_string())?;
        let create = format!("create database \"{to}\" template \"{from}\"");
        admin.try_run(&create).await.map_err(|err| err.to_string())
    })
    .await;
    admin.close().await;
}

async fn insert(site: &Site, ids: std::ops::RangeInclusive<i64>) {
    for id in ids {
        site.database
            .run(&format!("insert into item values ({id}, 'from {}')", site.id()))
            .await;
    }
}

async fn restored(kinds: [DatabaseKind; 2]) {
    let mut network = Network::start().await;
    let mut source = network.server("source", "000", kinds[0]).await;
    let mut node = network.node(&source, "node", "001", kinds[1]).await;
    for site in [&source, &node] {
        site.database
            .run("create table item (id integer primary key, name varchar(50))")
            .await;
    }
    let configuration = Configuration::default()
        .link("source", "node")
        .link("node", "source")
        .table("item", "main");
    network.configure(&source, &configuration.sql()).await;
    network.admit(&source, &node).await;
    network.symadmin(&source, &["reload-node", "001"]).await.ok();
    network.run(&mut source);
    network.run(&mut node);
    for site in [&source, &node] {
        installed(site, &["item"]).await;
    }
    loaded(&source, "001").await;
    insert(&source, 1..=5).await;
    insert(&node, 100..=105).await;
    let count =
        async |site: &Site, rows: i64| reaches(&site.database, "select count(*) from item", rows).await;
    count(&source, 11).await;
    count(&node, 11).await;
    // GIVEN a backup, and changes in both directions after it
    node.stop().await;
    // What the node captured and did not send before the backup is not lost with it.
    insert(&node, 106..=106).await;
    back_up(&network, &node.database).await;
    node.database = TestDatabase::open(node.database.url());
    network.run(&mut node);
    insert(&source, 6..=9).await;
    source.database.run("delete from item where id = 1").await;
    insert(&node, 107..=115).await;
    count(&source, 24).await;
    count(&node, 24).await;
    node.stop().await;
    // WHEN it is restored
    restore(&network, &node.database).await;
    node.database = TestDatabase::open(node.database.url());
    count(&node, 12).await;
    network.run(&mut node);
    // THEN that is noticed
    eventually(PATIENCE, "the warning", || async {
        match node
            .complaints(&[])
            .iter()
            .any(|line| line.contains("the database was restored"))
        {
            true => Ok(()),
            false => Err(node.log()),
        }
    })
    .await;
    // AND it is loaded anew, and what it captures from now on arrives
    insert(&node, 200..=203).await;
    count(&source, 28).await;
    eventually(PATIENCE * 2, "the node to be equal", || async {
        check_equal(&source.database, &node.database, ITEM)
            .await
            .map(drop)
    })
    .await;
    loaded(&source, "001").await;
    // AND again, in both directions
    insert(&source, 300..=301).await;
    insert(&node, 400..=401).await;
    count(&source, 32).await;
    count(&node, 32).await;
    let need = "select count(*) from sym_reload_need";
    assert_eq!(source.database.number(need).await, 0);
}

#[tokio::test]
async fn a_restored_node_ends_equal_and_its_new_changes_arrive_sqlite() {
    restored([Postgres, Sqlite]).await;
}

#[tokio::test]
async fn a_restored_node_ends_equal_and_its_new_changes_arrive_postgres() {
    restored([Mysql, Postgres]).await;
}
