//! How loads end: applied, interrupted, cancelled.

use super::world::{PATIENCE, World, name};
use crate::load::book;
use std::sync::atomic::Ordering;
use symstream_shared::db::DatabaseKind::{self, Mysql, Postgres, Sqlite};
use symstream_shared::wire::LoadStep;
use symstream_tests::eventually::eventually;

/// Batches of 1,000 of them.
const ROWS: i64 = 25_000;

async fn filled(kind: DatabaseKind) -> World {
    let world = World::start(kind).await;
    let rows: Vec<String> = (1..=ROWS).map(|id| format!("({id}, {id})")).collect();
    for piece in rows.chunks(5000) {
        world
            .node
            .db
            .run(&format!("insert into item values {}", piece.join(",")))
            .await;
    }
    world
}

async fn two_nodes_are_read_once_and_their_progress_is_kept(kind: DatabaseKind) {
    let world = filled(kind).await;
    world.applies.store(false, Ordering::Relaxed);
    // GIVEN a batch that was sent before
    world
        .node
        .db
        .run(
            "insert into sym_outgoing_batch (batch_id, node_id, channel_id, batch_type, status) \
             values (0, '001', 'main', 'EV', 'SE')",
        )
        .await;
    let _live = world.live();
    world.request(1, "'001', '002'").await;
    let load_id = world.until("001", "SE").await;
    assert_eq!(world.until("002", "SE").await, load_id);
    // THEN both get the same batches
    let steps = world.all_of(load_id).await;
    let names: Vec<&str> = steps.iter().map(name).collect();
    assert_eq!((names[0], names[names.len() - 1]), ("begin", "end"));
    assert_eq!(names.iter().filter(|name| **name == "rows").count(), 25);
    for part in &steps {
        let targets: Vec<&str> = part.targets.iter().map(|node| node.as_str()).collect();
        assert_eq!(targets, ["001", "002"]);
    }
    assert_eq!(steps[0].batch_id, load_id);
    assert_eq!(world.loaded(load_id), world.settled().await);
    let rows = ROWS.to_string();
    let progress = "select table_count, tables_sent, current_table, rows_sent, case when sent_time is null then 0 else 1 end, \
                    case when end_time is null then 0 else 1 end, rows_loaded from sym_load where status in ('SE', 'OK') \
                    order by node_id";
    let sent = ["1", "1", "∅", &rows, "1", "0", "0"];
    assert_eq!(world.node.db.rows(progress).await, [sent, sent]);
    let batches = format!(
        "select count(*), max(data_count), min(case when byte_count > 0 then 1 else 0 end) from sym_capture_batch \
         where batch_type = 'IL' and load_id = {load_id}"
    );
    assert_eq!(world.node.db.rows(&batches).await, [["27", "1000", "1"]]);
    // WHEN one of them has applied all of it
    let ok = "update sym_outgoing_batch set status = 'OK' where batch_type = 'IL' and node_id = '001'";
    world.node.db.run(ok).await;
    assert_eq!(world.until("001", "OK").await, load_id);
    let finished = ["1", "1", "∅", &rows, "1", "1", &rows];
    assert_eq!(world.node.db.rows(progress).await, [finished, sent]);
    let security = "select node_id, initial_load_enabled, case when initial_load_time is null then 0 else 1 end \
                    from sym_node_security where node_id in ('001', '002') order by node_id";
    assert_eq!(
        world.node.db.rows(security).await,
        [["001", "0", "1"], ["002", "1", "1"]]
    );
    // AND what it did not get before is part of it
    let held = "select o.status, h.sql_message from sym_outgoing_batch o join sym_outgoing_batch_hist h \
                on h.batch_id = o.batch_id where o.batch_id = 0";
    assert_eq!(
        world.node.db.rows(held).await,
        [["OK".to_owned(), format!("held by initial load {load_id}")]]
    );
}

#[tokio::test]
async fn two_nodes_are_read_once_and_their_progress_is_kept_on_postgres() {
    two_nodes_are_read_once_and_their_progress_is_kept(Postgres).await;
}

#[tokio::test]
async fn two_nodes_are_read_once_and_their_progress_is_kept_on_mysql() {
    two_nodes_are_read_once_and_their_progress_is_kept(Mysql).await;
}

#[tokio::test]
async fn two_nodes_are_read_once_and_their_progress_is_kept_on_sqlite() {
    two_nodes_are_read_once_and_their_progress_is_kept(Sqlite).await;
}

/// Waits until the load's first rows are there.
async fn reading(world: &World) -> i64 {
    eventually(PATIENCE, "rows of a load", || async {
        let parts = world.parts.lock().expect("parts");
        let rows = parts.iter().find(|part| name(part) == "rows");
        rows.and_then(|part| part.load.as_ref())
            .map(|load| load.load_id)
            .ok_or("none")
    })
    .await
}

async fn a_killed_agent_begins_anew(kind: DatabaseKind) {
    let world = filled(kind).await;
    let live = world.live();
    world.request(1, "'001'").await;
    let first = reading(&world).await;
    drop(live);
    // The table changes while nobody reads.
    world
        .node
        .db
        .run("delete from item where id <= 100; insert into item values (0, 0)")
        .await;
    let _live = world.live();
    let second = world.until("001", "OK").await;
    assert!(second > first);
    let statuses: Vec<String> = world
        .loads("001")
        .await
        .into_iter()
        .map(|(_, status)| status)
        .collect();
    assert_eq!(statuses, ["AB", "AB", "OK"], "the request and two loads");
    assert_eq!(world.loaded(second), world.settled().await);
}

#[tokio::test]
async fn a_killed_agent_begins_anew_on_postgres() {
    a_killed_agent_begins_anew(Postgres).await;
}

#[tokio::test]
async fn a_killed_agent_begins_anew_on_sqlite() {
    a_killed_agent_begins_anew(Sqlite).await;
}

#[tokio::test]
async fn a_snapshot_that_is_gone_lets_another_load_begin() {
    let world = filled(Postgres).await;
    let _live = world.live();
    // GIVEN a load that waits for NATS with its snapshot open
    world.request(1, "'001'").await;
    reading(&world).await;
    world.gate.close();
    let open = "select count(*) from sym_load where status = 'NE'";
    if world.node.db.number(open).await == 0 {
        // It was faster.
        return;
    }
    let kill = "select count(pg_terminate_backend(pid)) from pg_stat_activity where pid <> pg_backend_pid() \
                and query like '%from \"public\".\"item\" t%'";
    world.node.db.number(kill).await;
    world.open().await;
    let load_id = world.until("001", "OK").await;
    assert_eq!(world.loaded(load_id), world.settled().await);
}

#[tokio::test]
async fn a_load_that_is_not_wanted_any_more_is_cancelled() {
    let world = filled(Sqlite).await;
    world.applies.store(false, Ordering::Relaxed);
    // GIVEN a batch that was sent before
    world
        .node
        .db
        .run(
            "insert into sym_outgoing_batch (batch_id, node_id, channel_id, batch_type, status) \
             values (0, '001', 'main', 'EV', 'SE')",
        )
        .await;
    let _live = world.live();
    world.request(1, "'001', '002'").await;
    let load_id = world.until("001", "SE").await;
    // WHEN one node's is taken back
    world.request(0, "'001'").await;
    assert_eq!(world.until("001", "CA").await, load_id);
    let cancelled = |part: &&symstream_shared::wire::Part| name(part) == "cancelled";
    eventually(PATIENCE, "the batch that says so", || async {
        let steps = world.steps(load_id);
        let last = steps.iter().find(cancelled).ok_or("none")?;
        let targets: Vec<&str> = last.targets.iter().map(|node| node.as_str()).collect();
        assert_eq!(targets, ["001"]);
        Ok::<_, &str>(())
    })
    .await;
    // THEN what is captured from now on waits for the other's only
    world.node.db.run("insert into item values (0, 0)").await;
    world.settled().await;
    let changes = world.changes();
    let last = changes.iter().max_by_key(|part| part.batch_id).expect("a batch");
    let nodes: Vec<&str> = last
        .loading
        .iter()
        .flat_map(|loading| &loading.nodes)
        .map(|node| node.as_str())
        .collect();
    assert_eq!(nodes, ["002"]);
    // AND where the load has begun, what its node passed over is over
    let before = "select status from sym_outgoing_batch where batch_id = 0";
    assert_eq!(world.node.db.rows(before).await, [["SE"]]);
    let begun =
        format!("update sym_outgoing_batch set status = 'OK' where batch_id = {load_id} and node_id = '001'");
    world.node.db.run(&begun).await;
    eventually(PATIENCE, "the end of the batch before", || async {
        let ended = "select o.status, h.sql_message from sym_outgoing_batch o join sym_outgoing_batch_hist h \
                     on h.batch_id = o.batch_id where o.batch_id = 0";
        let expected = [
            "OK".to_owned(),
            format!("passed over by the cancelled load {load_id}"),
        ];
        match world.node.db.rows(ended).await {
            rows if rows == [expected.to_vec()] => Ok(()),
            rows => Err(format!("{rows:?}")),
        }
    })
    .await;
}

#[tokio::test]
async fn a_cancelled_load_that_was_owed_is_still_needed() {
    for kind in [Postgres, Mysql, Sqlite] {
        let world = World::start(kind).await;
        world.applies.store(false, Ordering::Relaxed);
        // GIVEN a load of a node that something was kept from, and one of another
        let need = "insert into sym_reload_need (node_id, reason, create_time, contact_time, freed) \
                    values ('001', 'too much', current_timestamp, current_timestamp, 1)";
        world.node.db.run(need).await;
        let _live = world.live();
        world.request(1, "'001', '002'").await;
        let load_id = world.until("001", "SE").await;
        world.until("002", "SE").await;
        let needs = "select node_id, freed from sym_reload_need";
        assert!(world.node.db.rows(needs).await.is_empty(), "{kind}");
        // WHEN both are taken back
        world.request(0, "'001', '002'").await;
        assert_eq!(world.until("001", "CA").await, load_id);
        world.until("002", "CA").await;
        // THEN the first node needs one as before
        assert_eq!(world.node.db.rows(needs).await, [["001", "0"]], "{kind}");
    }
}

#[tokio::test]
async fn nothing_waits_for_a_node_that_was_removed() {
    for kind in [Postgres, Mysql, Sqlite] {
        let world = World::start(kind).await;
        world.applies.store(false, Ordering::Relaxed);
        let _live = world.live();
        world.request(1, "'001', '002'").await;
        let load_id = world.until("001", "SE").await;
        world
            .node
            .db
            .run("insert into sym_reload_need (node_id, reason) values ('gone', 'x'), ('002', 'x')")
            .await;
        let removal =
            "delete from sym_node where node_id = '001'; delete from sym_node_security where node_id = '001'";
        world.node.db.run(removal).await;
        assert_eq!(world.until("001", "CA").await, load_id, "{kind}");
        assert_eq!(world.until("002", "SE").await, load_id, "{kind}");
        eventually(PATIENCE, "the end of needs", || async {
            match world.node.db.rows("select node_id from sym_reload_need").await {
                rows if rows == [["002"]] => Ok(()),
                rows => Err(format!("{rows:?}")),
            }
        })
        .await;
    }
}

#[tokio::test]
async fn a_request_that_is_taken_back_before_it_began_is_cancelled() {
    let world = filled(Sqlite).await;
    world.gate.close();
    let _live = world.live();
    world.request(1, "'001'").await;
    let request = world.until("001", "RQ").await;
    world.request(0, "'001'").await;
    world.open().await;
    assert_eq!(world.until("001", "CA").await, request);
    let names: Vec<&str> = world.steps(request).iter().map(name).collect();
    assert_eq!(names, ["cancelled"]);
}

#[tokio::test]
async fn batches_that_get_numbers_above_a_load_interrupt_it() {
    let world = filled(Sqlite).await;
    world.applies.store(false, Ordering::Relaxed);
    let live = world.live();
    world.request(1, "'001'").await;
    let first = world.until("001", "SE").await;
    drop(live);
    let tables = &world.source.tables;
    for (from, status) in [(first + 1, "SE"), (first - 1, "AB")] {
        let mut tx = world.node.db.begin().await.expect("transaction");
        book::interrupt_above(&mut tx, tables, from, "renumbered")
            .await
            .expect("interrupted");
        tx.commit().await.expect("commit");
        assert_eq!(world.until("001", status).await, first);
    }
    let why = format!("select message from sym_load where load_id = {first}");
    assert_eq!(world.node.db.rows(&why).await, [["renumbered"]]);
    let _live = world.live();
    world.applies.store(true, Ordering::Relaxed);
    assert!(world.until("001", "OK").await > first);
}

#[tokio::test]
async fn a_node_that_needed_the_load_is_cleared_whatever_interrupts_it() {
    let world = filled(Sqlite).await;
    // GIVEN a node that is sent nothing
    let need = "insert into sym_reload_need (node_id, reason) values ('001', 'its backlog')";
    world.node.db.run(need).await;
    let live = world.live();
    let absent = |part: &symstream_shared::wire::Part| part.absent.iter().any(|node| node.as_str() == "001");
    world.settled().await;
    assert!(world.changes().iter().all(absent));
    // WHEN it is heard of and loaded, and the load is interrupted
    let heard = "update sym_reload_need set contact_time = '2026-01-01 00:00:00'";
    world.node.db.run(heard).await;
    world.request(1, "'001'").await;
    let first = reading(&world).await;
    drop(live);
    assert_eq!(
        world.node.db.number("select count(*) from sym_reload_need").await,
        0
    );
    let _live = world.live();
    let second = world.until("001", "OK").await;
    // THEN both loads clear the node's table, and it is not absent any more
    for load_id in [first, second] {
        let steps = world.steps(load_id);
        let Some(LoadStep::Begin(begin)) = steps[0].load.as_ref().map(|load| &load.step) else {
            panic!("{:?}", steps[0]);
        };
        let cleared: Vec<&str> = begin.clear.iter().map(|table| table.table.as_str()).collect();
        assert_eq!(cleared, ["item"]);
    }
    let loads = "select reason, clear_first from sym_load where node_id = '001' and status = 'OK'";
    assert_eq!(
        world.node.db.rows(loads).await,
        [["changes were kept from the node", "1"]]
    );
    world.node.db.run("insert into item values (0, 0)").await;
    world.settled().await;
    let changes = world.changes();
    let last = changes.iter().max_by_key(|part| part.batch_id).expect("a batch");
    assert!(!absent(last) && last.loading.is_empty(), "{last:?}");
}
