//! The agent between a real NATS and a real database.

use crate::fixture::{Fixture, PATIENCE, Running, batch, in_channel};
use std::time::{Duration, Instant};
use symstream_shared::db::{DatabaseKind, Sql};
use symstream_tests::eventually::eventually;

#[tokio::test]
async fn batches_are_applied_in_their_chain_whatever_the_order_they_come_in() {
    let mut fixture = Fixture::new().await;
    let agent = Running::start(&fixture.engine);
    fixture.publish(&batch("cloud", 5, 3, &["5", "e"])).await;
    fixture.publish(&batch("cloud", 3, 1, &["3", "c"])).await;
    // The node is registered while its loader waits.
    fixture.register().await;
    fixture.publish(&batch("depot", 1, 0, &["100", "depot"])).await;
    fixture.has(&["100"]).await;

    fixture.publish(&batch("cloud", 1, 0, &["1", "a"])).await;
    fixture.has(&["1", "3", "5", "100"]).await;
    for want in ["1 OK", "3 OK", "5 OK"] {
        assert_eq!(fixture.status().await, [want]);
    }

    // A message that comes again is known, and its status is told again.
    fixture.db.run("delete from item").await;
    fixture.publish(&batch("cloud", 3, 1, &["3", "c"])).await;
    assert_eq!(fixture.status().await, ["3 OK"]);
    fixture.has(&[]).await;
    assert_eq!(
        fixture
            .db
            .rows("select batch_id from sym_incoming_batch_hist where status = 'SK'")
            .await,
        [["3"]]
    );
    agent.stop().await;
}

#[tokio::test]
async fn a_failed_batch_holds_its_lane_alone_and_outlives_a_restart() {
    let mut fixture = Fixture::new().await;
    fixture.register().await;
    fixture
        .db
        .run("create unique index name_once on item (name)")
        .await;
    fixture.db.run("insert into item values (0, 'taken')").await;
    let agent = Running::start(&fixture.engine);
    fixture.publish(&batch("cloud", 1, 0, &["1", "taken"])).await;
    fixture.publish(&batch("cloud", 2, 1, &["2", "b"])).await;
    fixture.publish(&batch("depot", 1, 0, &["100", "depot"])).await;

    fixture.has(&["0", "100"]).await;
    assert_eq!(fixture.status().await, ["1 ER"]);
    eventually(PATIENCE, "both in the spool", || async {
        let count = fixture.db.number("select count(*) from sym_incoming_spool").await;
        if count == 2 { Ok(()) } else { Err(count) }
    })
    .await;
    agent.stop().await;
    assert_eq!(
        fixture
            .db
            .rows("select source_node_id, batch_id, held_batch_id from sym_incoming_lane order by 1")
            .await,
        [["cloud", "0", "1"], ["depot", "1", "∅"]]
    );

    let agent = Running::start(&fixture.engine);
    assert_eq!(fixture.status().await, ["1 ER"]);
    fixture.db.run("delete from item where id = 0").await;
    fixture.has(&["1", "2", "100"]).await;
    agent.stop().await;
    assert_eq!(
        fixture.db.number("select count(*) from sym_incoming_spool").await,
        0
    );
    assert_eq!(
        fixture
            .db
            .rows("select batch_id, status from sym_incoming_batch where node_id = 'cloud' order by 1")
            .await,
        [["1", "OK"], ["2", "OK"]]
    );
}

#[tokio::test]
async fn a_held_lane_keeps_its_pauses_and_its_one_error_whatever_else_the_channel_waits_for() {
    // GIVEN a lane that is held, and one that lacks a batch and so is looked at again and again
    let fixture = Fixture::new().await;
    fixture.register().await;
    let agent = Running::start(&fixture.engine);
    fixture.publish(&batch("depot", 3, 2, &["103", "depot"])).await;
    let published = Instant::now();
    fixture.publish(&batch("cloud", 1, 0, &["1", "∅"])).await;

    // WHEN it was tried for the fourth time
    eventually(PATIENCE, "four attempts", || async {
        let attempts =
            "select coalesce(max(attempt_count), 0) from sym_incoming_lane where source_node_id = 'cloud'";
        let count = fixture.db.number(attempts).await;
        if count >= 4 { Ok(()) } else { Err(count) }
    })
    .await;
    // THEN pauses of 1, 2 and 4 seconds have passed, less a quarter, and the error was recorded once
    assert!(
        published.elapsed() > Duration::from_secs(5),
        "{:?}",
        published.elapsed()
    );
    let errors = "select count(*) from sym_incoming_batch_hist where status = 'ER'";
    assert_eq!(fixture.db.number(errors).await, 1);
    agent.stop().await;
}

#[tokio::test]
async fn the_lock_is_kept_while_channels_have_all_connections_in_hand() {
    // GIVEN more channels than connections, all of which wait for somebody's lock
    let channels: Vec<String> = (1..=20).map(|number| format!("c{number}")).collect();
    let names: Vec<&str> = channels.iter().map(String::as_str).collect();
    let fixture = Fixture::of(DatabaseKind::Mysql, &names).await;
    fixture.register().await;
    for (name, id) in names.iter().zip(1..) {
        let add = format!("insert into sym_channel (channel_id) values ('{name}')");
        fixture.db.run(&add).await;
        let row = [&id.to_string(), *name];
        fixture
            .publish(&in_channel(name, batch("cloud", id, 0, &row)))
            .await;
    }
    let mut others = fixture.db.begin().await.expect("a transaction");
    for id in 1..=20 {
        let taken = format!("insert into item values ({id}, 'theirs')");
        others.execute(&taken, &[]).await.expect("not there yet");
    }
    let agent = Running::start(&fixture.engine);
    eventually(PATIENCE, "all connections in hand", || async {
        let waiting = "select count(*) from information_schema.processlist where state = 'Update'";
        let count = fixture.db.number(waiting).await;
        if count >= 16 { Ok(()) } else { Err(count) }
    })
    .await;
    // WHEN that takes longer than the server keeps a silent connection THEN the lock is where it was
    let holder = "select is_used_lock(sha1(concat(database(), '/sym_loader')))";
    let before = fixture.db.number(holder).await;
    tokio::time::sleep(Duration::from_secs(26)).await;
    assert_eq!(fixture.db.rows(holder).await, [[before.to_string()]]);
    // and all is loaded
    others.rollback().await.expect("unlocked");
    eventually(PATIENCE, "all", || async {
        let count = fixture.db.number("select count(*) from item").await;
        if count == 20 { Ok(()) } else { Err(count) }
    })
    .await;
    agent.stop().await;
}

#[tokio::test]
async fn a_second_loader_waits_for_the_first() {
    let fixture = Fixture::new().await;
    fixture.register().await;
    let first = Running::start(&fixture.engine);
    fixture.publish(&batch("cloud", 1, 0, &["1", "a"])).await;
    fixture.has(&["1"]).await;
    let second = Running::start(&fixture.engine);
    first.stop().await;
    fixture.publish(&batch("cloud", 2, 1, &["2", "b"])).await;
    fixture.has(&["1", "2"]).await;
    second.stop().await;
}

/// A loader that has read its lanes; then another one, which was slow to stop, commits batch 1 of `cloud`.
async fn overtaken(fixture: &Fixture) -> Running {
    fixture.register().await;
    fixture
        .db
        .run("insert into sym_incoming_lane (source_node_id, channel_id, batch_id, attempt_count) values ('cloud', 'default', 0, 0)")
        .await;
    let agent = Running::start(&fixture.engine);
    fixture.publish(&batch("depot", 1, 0, &["100", "depot"])).await;
    fixture.has(&["100"]).await;
    fixture
        .db
        .run("update sym_incoming_lane set batch_id = 1 where source_node_id = 'cloud'")
        .await;
    agent
}

#[tokio::test]
async fn a_lane_that_another_loader_moved_is_read_again() {
    let fixture = Fixture::new().await;
    let agent = overtaken(&fixture).await;
    fixture.publish(&batch("cloud", 2, 1, &["2", "b"])).await;
    fixture.has(&["2", "100"]).await;
    agent.stop().await;
}

#[tokio::test]
async fn a_stale_loader_makes_no_error_of_a_batch_that_another_one_applied() {
    let mut fixture = Fixture::new().await;
    let agent = overtaken(&fixture).await;
    fixture
        .db
        .run("insert into sym_incoming_batch (batch_id, node_id, status) values (1, 'cloud', 'OK')")
        .await;
    fixture
        .db
        .run("insert into sym_incoming_batch_hist (batch_id, node_id, status) values (1, 'cloud', 'OK')")
        .await;
    // The loader would write it, and can not.
    fixture.publish(&batch("cloud", 1, 0, &["1", "∅"])).await;
    assert_eq!(fixture.status().await, ["1 OK"]);
    assert_eq!(
        fixture
            .db
            .rows("select status from sym_incoming_batch where node_id = 'cloud'")
            .await,
        [["OK"]]
    );
    assert_eq!(
        fixture.db.number("select count(*) from sym_incoming_spool").await,
        0
    );
    agent.stop().await;
}
