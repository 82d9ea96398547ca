use super::*;
use crate::configuration::own_configuration;
use crate::testing::TestNode;
use std::sync::Arc;
use symstream_shared::db::{DatabaseKind, Sql};
use time::macros::datetime;

async fn node(kind: DatabaseKind) -> TestNode {
    let node = TestNode::start(kind).await;
    node.db
        .run(&format!(
            "create table item (id int, b int); \
             insert into sym_trigger (trigger_id, source_table_name, source_node_group_id, target_node_group_id, \
             channel_id, create_time, last_updated_time) values ('items', 'item', 'here', 'there', 'main', {0}, {0})",
            kind.now()
        ))
        .await;
    node
}

async fn synchronise(keeper: &mut Keeper, node: &TestNode, now: OffsetDateTime) -> Vec<String> {
    let config = own_configuration(&node.source).await.expect("configuration");
    let said = keeper.synchronise(&node.source, &config, now).await;
    said.expect("triggers")
}

#[tokio::test]
async fn every_night_it_is_said_again_what_is_the_matter() {
    for kind in [DatabaseKind::Postgres, DatabaseKind::Mysql, DatabaseKind::Sqlite] {
        let node = node(kind).await;
        node.parameters.send_modify(|parameters| {
            Arc::make_mut(parameters).sync_triggers_minute = 90;
        });
        let mut keeper = Keeper::new(datetime!(2026-03-01 12:00 UTC));
        let mut said = async |now| {
            let said = synchronise(&mut keeper, &node, now).await;
            said.iter().any(|note| note.contains("no primary key"))
        };
        assert!(said(datetime!(2026-03-01 12:00 UTC)).await);
        assert!(!said(datetime!(2026-03-01 12:01 UTC)).await);
        assert!(!said(datetime!(2026-03-02 01:29 UTC)).await);
        assert!(said(datetime!(2026-03-02 01:30 UTC)).await);
        assert!(!said(datetime!(2026-03-02 01:31 UTC)).await);
    }
}

#[tokio::test]
async fn every_night_a_table_that_was_in_use_is_tried_again() {
    let node = node(DatabaseKind::Mysql).await;
    let mut keeper = Keeper::new(datetime!(2026-03-01 12:00 UTC));
    let noon = datetime!(2026-03-01 12:00 UTC);
    synchronise(&mut keeper, &node, noon).await;
    // GIVEN a table that is left alone, because a transaction had it
    let mut user = node.db.begin().await.expect("transaction");
    user.execute("insert into item values (1, 1)", &[])
        .await
        .expect("insert");
    node.db
        .run("update sym_trigger set excluded_column_names = 'b'")
        .await;
    let attempts = async |keeper: &mut Keeper, now| {
        synchronise(keeper, &node, now).await;
        node.db
            .number("select max(trigger_hist_id) from sym_trigger_hist")
            .await
    };
    assert_eq!(attempts(&mut keeper, noon).await, 1);
    user.commit().await.expect("commit");
    assert_eq!(attempts(&mut keeper, noon).await, 1, "it is left alone");
    // WHEN the night comes THEN it gets its triggers
    assert_eq!(attempts(&mut keeper, datetime!(2026-03-02 00:00 UTC)).await, 2);
}

#[tokio::test]
async fn an_error_costs_no_night_and_says_nothing_again() {
    let node = node(DatabaseKind::Sqlite).await;
    let mut keeper = Keeper::new(datetime!(2026-03-01 12:00 UTC));
    let says = |said: Vec<String>| said.iter().any(|note| note.contains("no primary key"));
    assert!(says(
        synchronise(&mut keeper, &node, datetime!(2026-03-01 12:00 UTC)).await
    ));
    let config = own_configuration(&node.source).await.expect("configuration");
    let fail = async |keeper: &mut Keeper, now| {
        node.db.run("alter table sym_trigger_hist rename to away").await;
        keeper
            .synchronise(&node.source, &config, now)
            .await
            .expect_err("a table is away");
        node.db.run("alter table away rename to sym_trigger_hist").await;
    };
    fail(&mut keeper, datetime!(2026-03-01 12:01 UTC)).await;
    assert!(!says(
        synchronise(&mut keeper, &node, datetime!(2026-03-01 12:02 UTC)).await
    ));
    fail(&mut keeper, datetime!(2026-03-02 00:00 UTC)).await;
    assert!(says(
        synchronise(&mut keeper, &node, datetime!(2026-03-02 00:01 UTC)).await
    ));
}
