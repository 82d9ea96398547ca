//! Loads beside writers, on each dialect as source and as target.

use super::scene::{LATE_POOL, SIZES, Scene};
use symstream_shared::db::DatabaseKind::{self, Mysql, Postgres, Sqlite};
use symstream_tests::eventually::eventually;
use symstream_tests::family::{POOL, fill};
use symstream_tests::network::PATIENCE;
use symstream_tests::process::Signal;

/// A node is loaded while the source writes, and the source goes on.
async fn loads(kinds: [DatabaseKind; 3]) {
    let mut scene = Scene::start(kinds, 11, false).await;
    scene.write_at_source();
    scene.advance(20).await;
    scene.admit_late().await;
    scene.load_has_begun().await;
    // WHEN what was loaded before is loaded once more
    scene.loaded("001").await;
    scene.advance(20).await;
    scene.reload_late().await;
    scene.loaded("001").await;
    scene.advance(20).await;
    // THEN
    assert!(scene.ends_equal().await > 1000);
    scene.had_no_error().await;
    scene.stop().await;
}

#[tokio::test]
async fn a_load_from_postgres_to_mariadb_beside_writers() {
    loads([Postgres, Mysql, Sqlite]).await;
}

#[tokio::test]
async fn a_load_from_mariadb_to_sqlite_beside_writers() {
    loads([Mysql, Sqlite, Postgres]).await;
}

#[tokio::test]
async fn a_load_from_sqlite_to_postgres_beside_writers() {
    loads([Sqlite, Postgres, Mysql]).await;
}

#[tokio::test]
async fn other_nodes_get_changes_while_a_load_does_not_go_on() {
    let mut scene = Scene::start([Postgres, Mysql, Sqlite], 12, false).await;
    scene.write_at_source();
    scene.admit_late().await;
    scene.load_has_begun().await;
    // WHEN the loader of the new node freezes in the middle of its load
    let loader = &scene.late.processes[1];
    assert!(loader.name().ends_with("sym-loader"));
    loader.signal(Signal::Stop);
    scene
        .source
        .database
        .run("insert into plain values ('a marker', 1, 'written meanwhile')")
        .await;
    // THEN the other node has what is written
    eventually(PATIENCE, "a change at the other node", || async {
        match scene
            .other
            .database
            .number("select count(*) from plain where k = 'a marker'")
            .await
        {
            1 => Ok(()),
            _ => Err("it is not there"),
        }
    })
    .await;
    assert_eq!(
        scene
            .late
            .database
            .number("select count(*) from plain where k = 'a marker'")
            .await,
        0
    );
    // AND the load ends well after that
    scene.late.processes[1].signal(Signal::Cont);
    scene.loaded("001").await;
    assert!(scene.ends_equal().await > 1000);
    scene.had_no_error().await;
    scene.stop().await;
}

/// The target writes its own rows all the time, which the source has too, and which a load brings as they were.
async fn own_rows_survive(kinds: [DatabaseKind; 3]) {
    let mut scene = Scene::start(kinds, 13, true).await;
    scene.admit_late().await;
    scene.loaded("001").await;
    fill(&scene.late.database, LATE_POOL, SIZES).await;
    scene.write_at_source();
    scene.write_at_late();
    for _ in 0..3 {
        scene.advance(30).await;
        scene.reload_late().await;
        scene.loaded("001").await;
    }
    assert!(scene.ends_equal().await > 1000);
    for site in [&scene.source, &scene.late, &scene.other] {
        let own = format!("select count(*) from parent where id >= {}", LATE_POOL * POOL);
        assert!(site.database.number(&own).await > 0, "{}", site.id());
    }
    scene.stop().await;
}

#[tokio::test]
async fn what_the_target_writes_during_a_load_survives_from_postgres_to_sqlite() {
    own_rows_survive([Postgres, Sqlite, Mysql]).await;
}

#[tokio::test]
async fn what_the_target_writes_during_a_load_survives_from_sqlite_to_mariadb() {
    own_rows_survive([Sqlite, Mysql, Postgres]).await;
}

#[tokio::test]
async fn what_the_target_writes_during_a_load_survives_from_mariadb_to_postgres() {
    own_rows_survive([Mysql, Postgres, Sqlite]).await;
}
