//! A table that is sent again while others write to it.

use super::*;
use crate::dialect::reading::Backlog;
use crate::reader;
use std::collections::BTreeSet;
use symstream_shared::db::DatabaseKind::{Mysql, Postgres};
use symstream_shared::wire::Request;

/// What an `R` event for table `item` is.
async fn request(f: &Fixture, table: &str) {
    let hist =
        "select max(trigger_hist_id) from sym_trigger_hist where inactive_time is null and source_table_name";
    let hist_id = f.node.db.number(&format!("{hist} = '{table}'")).await;
    f.node
        .db
        .run(&format!(
            "insert into sym_data (table_name, event_type, trigger_hist_id, channel_id, pk_data) \
             values ('{table}', 'R', {hist_id}, 'main', '001')"
        ))
        .await;
}

#[tokio::test]
async fn a_reload_goes_behind_the_changes_that_its_snapshot_holds() {
    let f = Fixture::start().await;
    let mut messages = f.messages();
    f.node
        .db
        .run(
            "insert into sym_node (node_id, node_group_id, external_id, sync_enabled) values ('001', 'there', '001', 1)",
        )
        .await;
    f.read_configuration().await;
    // GIVEN two reloads, with a change behind them that is cut and one that is not
    request(&f, "item").await; // 1
    f.cut().await;
    request(&f, "item").await; // 2
    f.cut().await;
    f.batch(1).await; // 3
    f.reading_is_done(3).await;
    f.node.db.run("insert into item values (2, 'two')").await; // 4
    let _publishing = f.publish();
    // THEN the change that is cut goes first
    assert_eq!(messages.next(1).await, ["3 1/1: 3"]);
    let early = tokio::time::timeout(Duration::from_millis(1500), messages.message_rx.recv()).await;
    assert!(early.is_err(), "{early:?}");
    // AND the other as soon as it is cut, with the reloads behind it, which have both rows
    f.cut().await;
    f.reading_is_done(4).await;
    let mut sent: Vec<String> = messages.next(3).await;
    for message in &mut sent {
        *message = message.split_once(':').expect("rows").1.to_owned();
    }
    assert_eq!(sent, [" 4", " 1 1", " 2 2"]);
}

/// A writer adds parents with their children, all the time, while the children are sent again and again.
async fn children_never_come_before_their_parents(kind: DatabaseKind) {
    let f = Fixture::of(kind).await;
    f.node
        .db
        .run(
            "create table parent (id integer primary key);
             create table child (id integer primary key, parent_id integer not null references parent (id));
             insert into sym_trigger (trigger_id, source_table_name, source_node_group_id, target_node_group_id, \
             channel_id) values ('parent', 'parent', 'here', 'there', 'main'), ('child', 'child', 'here', 'there', 'main');
             insert into sym_node (node_id, node_group_id, external_id, sync_enabled) \
             values ('001', 'there', '001', 1)",
        )
        .await;
    f.read_configuration().await;
    let mut deliveries = Vec::new();
    for partition in 0..PARTITION_COUNT {
        deliveries.push(f.bus.partition(partition));
    }
    let (part_tx, mut part_rx) = mpsc::channel(1000);
    let mut tasks = JoinSet::new();
    for mut delivery in deliveries {
        let part_tx = part_tx.clone();
        tasks.spawn(async move {
            loop {
                let next = delivery.next().await;
                let message = Message::decode(next.body()).expect("message");
                let batch_id = next.header().expect("header").batch_id;
                next.ack().await.expect("ack");
                if part_tx.send((batch_id, message)).await.is_err() {
                    return;
                }
            }
        });
    }
    tasks.spawn({
        let (source, cut) = (f.source.clone(), Arc::clone(&f.cut));
        async move {
            reader::run(source, Backlog::default(), cut, crate::load::channel().1)
                .await
                .expect("reading");
        }
    });
    let mut publishing = f.publish();
    const LAST: i64 = 60;
    let writing = async {
        for id in 1..=LAST {
            f.node.db.run(&format!("insert into parent values ({id})")).await;
            f.node
                .db
                .run(&format!("insert into child values ({id}, {id})"))
                .await;
            if id % 10 == 5 {
                request(&f, "child").await;
            }
            tokio::time::sleep(Duration::from_millis(15)).await;
        }
    };
    // What a target holds that applies the batches one after the other.
    let applying = async {
        let (mut parents, mut reloads) = (BTreeSet::new(), 0);
        let mut children = BTreeSet::new();
        while reloads < LAST / 10 || children.len() < LAST as usize {
            let (batch_id, message) = tokio::time::timeout(Duration::from_secs(40), part_rx.recv())
                .await
                .expect("in time")
                .expect("a message");
            let Message::Captured(part) = message else {
                panic!("{message:?}");
            };
            for change in &part.rows.changes {
                let row = change.new.as_ref().expect("an insert");
                let id = row[0].to_text();
                if part.rows.tables[usize::from(change.table)].source_table == "parent" {
                    parents.insert(id);
                } else {
                    assert!(
                        parents.contains(&id),
                        "{kind}: child {id:?} of batch {batch_id} has no parent"
                    );
                    children.insert(id);
                }
            }
            if let Some(Request::Reload { .. }) = part.request {
                reloads += 1;
            }
            f.node
                .db
                .run(&format!(
                    "update sym_capture_batch set routed = 1 where batch_id = {batch_id}"
                ))
                .await;
        }
    };
    tokio::select! {
        ended = publishing.join_next() => panic!("{ended:?}"),
        _ = async { tokio::join!(writing, applying) } => {}
    }
}

#[tokio::test]
async fn a_child_table_that_is_sent_again_under_writes_never_brings_children_before_their_parents() {
    for kind in [Postgres, Mysql, Sqlite] {
        children_never_come_before_their_parents(kind).await;
    }
}
