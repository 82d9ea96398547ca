//! A load while others write.

use super::world::{Items, PATIENCE, World, name};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use symstream_shared::db::DatabaseKind::{self, Mysql, Postgres, Sqlite};
use symstream_shared::id::NodeId;
use symstream_shared::wire::Loading;
use symstream_tests::database::TestDatabase;
use symstream_tests::eventually::eventually;
use tokio::task::JoinSet;

/// Writers at the same time, each with ids of its own.
const WRITERS: i64 = 3;

/// Inserts, updates and deletes rows until it is told to stop, two statements in each transaction.
async fn write(url: String, writer: i64, stop: Arc<AtomicBool>) {
    let db = TestDatabase::open(url);
    let mut step = 0;
    while !stop.load(Ordering::Relaxed) {
        let id = writer * 1_000_000 + step;
        let old = writer * 1_000_000 + step / 2;
        let second = match step % 3 {
            0 => format!("update item set n = n + 1 where id = {old}"),
            1 => format!("update item set id = {} where id = {old}", -id),
            _ => format!("delete from item where id = {old}"),
        };
        db.transaction(&format!("insert into item values ({id}, {step}); {second}"))
            .await;
        step += 1;
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    db.close().await;
}

async fn every_change_is_in_the_rows_or_behind_them(kind: DatabaseKind) {
    let world = World::start(kind).await;
    world
        .node
        .db
        .run("insert into item values (1, 1), (2, 2), (3, 3)")
        .await;
    let _live = world.live();
    let stop = Arc::<AtomicBool>::default();
    let mut writers = JoinSet::new();
    for writer in 1..=WRITERS {
        writers.spawn(write(world.node.db.url().to_owned(), writer, Arc::clone(&stop)));
    }
    let written = async |count: i64| {
        eventually(PATIENCE, format!("{count} changes"), || async {
            match world.node.db.number("select count(*) from sym_data").await {
                found if found >= count => Ok(()),
                found => Err(format!("{found}")),
            }
        })
        .await;
    };
    written(100).await;
    // WHEN two nodes are loaded, one after the other has begun, and nobody says that they have it
    world.applies.store(false, Ordering::Relaxed);
    world.request(1, "'001'").await;
    let first = world.until("001", "SE").await;
    world.request(1, "'002'").await;
    let second = world.until("002", "SE").await;
    let so_far = world.node.db.number("select count(*) from sym_data").await;
    written(so_far + 100).await;
    stop.store(true, Ordering::Relaxed);
    while let Some(ended) = writers.join_next().await {
        ended.expect("a writer");
    }
    let all = world.settled().await;
    // THEN the rows are the effect of the batches below the load's number, and those above it make the rest
    for load_id in [first, second] {
        let steps = world.all_of(load_id).await;
        assert_eq!(name(&steps[0]), "begin");
        let mut before = Items::new();
        world.apply(&mut before, |batch_id| batch_id < load_id);
        let loaded = world.loaded(load_id);
        assert_eq!(loaded, before, "load {load_id}");
        let mut after = loaded;
        world.apply(&mut after, |batch_id| batch_id > load_id);
        assert_eq!(after, all, "behind load {load_id}");
    }
    // AND those above say what they come after
    let loading = |load_id: i64, node: &str| Loading {
        load_id,
        nodes: vec![NodeId::new(node).expect("id")],
    };
    for part in world.changes() {
        for (load_id, node) in [(first, "001"), (second, "002")] {
            let says = part.loading.contains(&loading(load_id, node));
            assert!(says || part.batch_id < load_id, "batch {}", part.batch_id);
        }
    }
}

#[tokio::test]
async fn every_change_is_in_the_rows_or_behind_them_on_postgres() {
    every_change_is_in_the_rows_or_behind_them(Postgres).await;
}

#[tokio::test]
async fn every_change_is_in_the_rows_or_behind_them_on_mysql() {
    every_change_is_in_the_rows_or_behind_them(Mysql).await;
}

#[tokio::test]
async fn every_change_is_in_the_rows_or_behind_them_on_sqlite() {
    every_change_is_in_the_rows_or_behind_them(Sqlite).await;
}
