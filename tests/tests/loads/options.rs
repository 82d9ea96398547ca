//! Loads that make tables, that empty them, and that are called off.

use super::scene::{LOAD_PATIENCE, SIZES, Scene};
use symstream_shared::db::DatabaseKind::{self, Mysql, Postgres, Sqlite};
use symstream_shared::db::Sql;
use symstream_tests::configuration::Configuration;
use symstream_tests::eventually::eventually;
use symstream_tests::family::{self, fill};
use symstream_tests::network::{Network, PATIENCE};
use symstream_tests::pair::loaded;

const CREATE_FIRST: &str = "insert into sym_parameter (external_id, node_group_id, param_key, param_value) \
                            values ('001', 'ALL', 'initial.load.create.first', 'true')";
const DELETE_FIRST: &str = "insert into sym_parameter (external_id, node_group_id, param_key, param_value) \
                            values ('ALL', 'late', 'initial.load.delete.first', 'true')";
/// A pool that the source does not know.
const FOREIGN_POOL: u32 = 9;

/// A node without any table is loaded.
async fn creates_tables(kinds: [DatabaseKind; 2]) {
    let mut network = Network::start().await;
    let mut source = network.server("source", "000", kinds[0]).await;
    let mut empty = network.node(&source, "late", "001", kinds[1]).await;
    source.database.run(&family::ddl(kinds[0])).await;
    fill(&source.database, 0, SIZES).await;
    let links = Configuration::default().link("source", "late");
    let configuration = family::configuration(links).and(CREATE_FIRST);
    network.configure(&source, &configuration.sql()).await;
    network.admit(&source, &empty).await;
    network.symadmin(&source, &["reload-node", "001"]).await.ok();
    network.run(&mut source);
    network.run(&mut empty);
    loaded(&source, "001").await;
    assert!(family::become_equal(&source.database, &empty.database, PATIENCE).await > 1000);
    // The tables came with their keys and foreign keys.
    for refused in [
        "insert into plain values ('0-1', 1, 'twice')",
        "insert into child values (88888, 77777, 1)",
        "insert into tree values (88888, 77777, 'no boss')",
        "insert into team values (88888, 77777, 'no head')",
        "insert into plain values ('null', null, 'not null')",
    ] {
        assert!(empty.database.try_run(refused).await.is_err(), "{refused}");
    }
    source.stop().await;
    empty.stop().await;
}

#[tokio::test]
async fn a_load_makes_missing_tables_from_postgres_at_sqlite() {
    creates_tables([Postgres, Sqlite]).await;
}

#[tokio::test]
async fn a_load_makes_missing_tables_from_sqlite_at_mariadb() {
    creates_tables([Sqlite, Mysql]).await;
}

#[tokio::test]
async fn a_load_makes_missing_tables_from_mariadb_at_postgres() {
    creates_tables([Mysql, Postgres]).await;
}

#[tokio::test]
async fn rows_that_the_source_does_not_know_stay_unless_the_load_deletes_first() {
    for kinds in [
        [Postgres, Mysql, Sqlite],
        [Mysql, Sqlite, Postgres],
        [Sqlite, Postgres, Mysql],
    ] {
        let mut scene = Scene::start(kinds, 21, false).await;
        let few = family::Sizes {
            plain: 10,
            families: 10,
        };
        fill(&scene.late.database, FOREIGN_POOL, few).await;
        let foreign = format!("select count(*) from plain where k like '{FOREIGN_POOL}-%'");
        // WHEN it is loaded without the parameter
        scene.write_at_source();
        scene.admit_late().await;
        scene.loaded("001").await;
        // THEN its rows stay
        assert_eq!(scene.late.database.number(&foreign).await, 10);
        // WHEN the parameter is set
        scene.source.database.run(DELETE_FIRST).await;
        let set = "select count(*) from sym_parameter where param_key = 'initial.load.delete.first'";
        eventually(PATIENCE, "the parameter at the node", || async {
            match scene.late.database.number(set).await {
                1 => Ok(()),
                _ => Err("not there"),
            }
        })
        .await;
        scene.reload_late().await;
        scene.loaded("001").await;
        // THEN they are gone, and all others are there
        assert_eq!(scene.late.database.number(&foreign).await, 0);
        assert!(scene.ends_equal().await > 1000);
        scene.had_no_error().await;
        scene.stop().await;
    }
}

#[tokio::test]
async fn a_load_that_is_called_off_leaves_what_is_there_and_changes_go_on() {
    let mut scene = Scene::start([Postgres, Mysql, Sqlite], 22, false).await;
    let mut lock = scene.source.database.begin().await.expect("begin");
    lock.execute_script("lock table plain in access exclusive mode")
        .await
        .expect("lock");
    scene.admit_late().await;
    scene.load_has_begun().await;
    // WHEN it is called off while a table that it has not read yet is locked
    scene
        .network
        .symadmin(&scene.source, &["cancel-reload", "001"])
        .await
        .ok();
    // It looks once a second whether it is still wanted.
    let unread = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and query like '%plain%' \
                  and query_start < clock_timestamp() - interval '2 seconds'";
    eventually(PATIENCE, "the time of the next look", || async {
        match scene.source.database.number(unread).await {
            0 => Err("it has just looked"),
            _ => Ok(()),
        }
    })
    .await;
    lock.rollback().await.expect("rollback");
    let wanted = "select count(*) from sym_node_security where node_id = '001' and initial_load_enabled = 1";
    eventually(LOAD_PATIENCE, "the end of the load", || async {
        match scene.source.database.number(wanted).await {
            0 => Ok(()),
            _ => Err("it is still wanted"),
        }
    })
    .await;
    // THEN what is written now arrives
    scene
        .source
        .database
        .run("insert into plain values ('a marker', 1, 'after it')")
        .await;
    eventually(LOAD_PATIENCE, "a change behind the load", || async {
        match scene
            .late
            .database
            .number("select count(*) from plain where k = 'a marker'")
            .await
        {
            1 => Ok(()),
            _ => Err("it is not there"),
        }
    })
    .await;
    let rows = scene.late.database.number("select count(*) from plain").await;
    assert!(rows < 2 * i64::from(SIZES.plain), "the load went on: {rows} rows");
    let cancelled = "select count(*) from sym_load where node_id = '001' and status = 'CA'";
    assert!(scene.source.database.number(cancelled).await > 0);
    // AND a new one brings the rest
    scene.reload_late().await;
    scene.loaded("001").await;
    scene.write_at_source();
    scene.advance(5).await;
    assert!(scene.ends_equal().await > 1000);
    scene.stop().await;
}
