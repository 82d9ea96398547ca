//! Databases that know less than what was published from them.

use super::*;
use crate::testing::TestNode;
use std::sync::Arc;
use symstream_nats::{LaneId, Tail};
use symstream_shared::db::DatabaseKind::{Mysql, Postgres, Sqlite};
use symstream_shared::engine::Engine;
use symstream_tests::server::NatsServer;

/// A node's source and its connection to NATS.
async fn connected(node: &TestNode, server: &NatsServer) -> (Source, Bus) {
    let mut source = node.source.clone();
    let mut engine = Engine::clone(&source.engine);
    engine.nats.urls = vec![server.url()];
    source.engine = Arc::new(engine);
    let bus = Bus::connect(&source.engine, "test").await.expect("nats");
    bus.ensure_streams().await.expect("streams");
    (source, bus)
}

/// Lets node 001 have been sent a batch, on a channel that nobody knows any more.
async fn sent(source: &Source, bus: &Bus, batch_id: i64) {
    let lane = LaneId {
        source: source.node.clone(),
        target: NodeId::new("001").expect("id"),
        channel: ChannelId::new(format!("gone{batch_id}")).expect("id"),
    };
    let tail = Tail {
        batch_id,
        ..Tail::default()
    };
    bus.set_tail(&lane, tail).await.expect("tail");
}

async fn epoch(kind: DatabaseKind) {
    let server = NatsServer::start().await;
    let node = TestNode::start(kind).await;
    let (source, bus) = connected(&node, &server).await;
    // GIVEN batches up to 5, of which 3 and 5 were not confirmed when the backup was made, and a part of 3 was
    node.db
        .run(
            "insert into sym_state (state_key, state_value) values ('batch_id', '5'); \
             insert into sym_capture_batch (batch_id, channel_id, batch_type, data_ranges, routed) values \
             (2, 'main', 'EV', '1', 1), (3, 'main', 'EV', '2', 0), (5, 'main', 'EV', '3', 0); \
             insert into sym_data_event (data_id, node_id, channel_id, batch_id) values (2, '001', 'main', 3); \
             insert into sym_outgoing_batch (batch_id, node_id, channel_id, batch_type, status) values \
             (2, '001', 'main', 'EV', 'SE'), (3, '001', 'main', 'EV', 'ER'); \
             insert into sym_node (node_id, node_group_id, external_id, sync_enabled, created_at_node_id) \
             values ('000', 'here', '000', 1, 'parent'); \
             insert into sym_incoming_lane (source_node_id, channel_id, batch_id) values ('001', 'main', 40); \
             insert into sym_incoming_load (source_node_id, load_id, status) values ('001', 30, 'OK'); \
             insert into sym_load (load_id, node_id, status) values (4, '001', 'SE'); \
             insert into sym_capture_batch (batch_id, channel_id, batch_type, routed, load_id, byte_count) \
             values (4, 'reload', 'IL', 1, 4, 100)",
        )
        .await;
    check_published(&source, &bus).await.expect("checked");
    let given_out = "select state_value from sym_state where state_key = 'batch_id'";
    assert_eq!(node.db.rows(given_out).await, [["5"]], "{kind}");
    // WHEN a lane is found that went on without it, on a channel that nobody knows any more
    sent(&source, &bus, 77).await;
    for _ in 0..2 {
        check_published(&source, &bus).await.expect("checked");
        // THEN what is to be published has numbers above it, in the same order, with what is known of it
        let rows = async |sql: &str| node.db.rows(sql).await;
        assert_eq!(rows(given_out).await, [["79"]], "{kind}");
        assert_eq!(
            rows("select batch_id, data_ranges, routed from sym_capture_batch where batch_type = 'EV' order by 1").await,
            [["2", "1", "1"], ["78", "2", "0"], ["79", "3", "0"]],
            "{kind}"
        );
        assert_eq!(
            rows("select batch_id from sym_data_event").await,
            [["78"]],
            "{kind}"
        );
        assert_eq!(
            rows("select batch_id, status from sym_outgoing_batch order by 1").await,
            [["2", "SE"], ["78", "ER"]],
            "{kind}"
        );
        assert_eq!(rows("select status from sym_load").await, [["AB"]], "{kind}");
        let mut conn = source.database.conn().await.expect("connection");
        let note = RestoredNote::read(&mut conn, &source.tables).await.expect("read");
        let note = note.expect("a note");
        let wanted: Vec<(&str, i64)> = note
            .sources
            .iter()
            .map(|(node, load)| (node.as_str(), *load))
            .collect();
        assert_eq!(wanted, [("001", 30), ("parent", 0)], "{kind}");
        assert!(note.reason.contains("batch 77"), "{}", note.reason);
    }
}

#[tokio::test]
async fn batches_go_on_above_all_that_anybody_was_sent() {
    for kind in [Postgres, Mysql, Sqlite] {
        epoch(kind).await;
    }
}

async fn cut_before_it_is_looked(kind: DatabaseKind) {
    // GIVEN a database that gave out 5, of which 7 were published
    let server = NatsServer::start().await;
    let node = TestNode::start(kind).await;
    let (source, bus) = connected(&node, &server).await;
    let run = async |sql: &str| node.db.run(sql).await;
    run("insert into sym_state (state_key, state_value) values ('batch_id', '5')").await;
    sent(&source, &bus, 7).await;
    // WHEN the agent starts twice and cuts more than that before NATS answers
    note_given_out(&source).await.expect("noted");
    run(
        "update sym_state set state_value = '9' where state_key = 'batch_id'; \
         insert into sym_capture_batch (batch_id, channel_id, batch_type, data_ranges, routed) values \
         (6, 'main', 'EV', '1', 0), (9, 'main', 'EV', '2', 0)",
    )
    .await;
    note_given_out(&source).await.expect("noted");
    check_published(&source, &bus).await.expect("checked");
    // THEN what it cut is not taken for what was published
    let batches = "select batch_id, data_ranges from sym_capture_batch order by 1";
    let renumbered = [["10", "1"], ["11", "2"]];
    assert_eq!(node.db.rows(batches).await, renumbered, "{kind}");
    // AND what it publishes from then on is its own
    sent(&source, &bus, 11).await;
    for _ in 0..2 {
        check_published(&source, &bus).await.expect("checked");
        assert_eq!(node.db.rows(batches).await, renumbered, "{kind}");
        note_given_out(&source).await.expect("noted");
    }
}

#[tokio::test]
async fn batches_that_are_cut_before_nats_answers_hide_nothing() {
    for kind in [Postgres, Mysql, Sqlite] {
        cut_before_it_is_looked(kind).await;
    }
}

async fn statements(kind: DatabaseKind) {
    // GIVEN a statement between changes, none of them confirmed
    let server = NatsServer::start().await;
    let node = TestNode::start(kind).await;
    let (source, bus) = connected(&node, &server).await;
    node.db
        .run(
            "insert into sym_state (state_key, state_value) values ('batch_id', '5'); \
             insert into sym_data (data_id, table_name, event_type, trigger_hist_id, channel_id, create_time) values \
             (1, 'item', 'I', 1, 'main', current_timestamp), (2, 'item', 'S', 1, 'main', current_timestamp); \
             insert into sym_capture_batch (batch_id, channel_id, batch_type, data_ranges, routed) values \
             (3, 'main', 'EV', '1', 0), (4, 'main', 'EV', '2', 0)",
        )
        .await;
    sent(&source, &bus, 7).await;
    // WHEN the database is found to be restored
    check_published(&source, &bus).await.expect("checked");
    // THEN the change is published again, and the statement, which may have run, is not
    let batches = "select batch_id, data_ranges, routed from sym_capture_batch order by 1";
    assert_eq!(
        node.db.rows(batches).await,
        [["4", "2", "1"], ["8", "1", "0"]],
        "{kind}"
    );
}

#[tokio::test]
async fn a_statement_that_may_have_run_is_not_sent_again() {
    for kind in [Postgres, Mysql, Sqlite] {
        statements(kind).await;
    }
}
