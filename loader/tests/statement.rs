//! Statements (`S` events): run once, from the registration server's node only.

use crate::fixture::{Fixture, PATIENCE, Running, batch};
use crate::node::{CREATE_ITEM, KINDS, Node, source, statement};
use symstream_loader::{BatchKey, Content, LoadError};
use symstream_shared::db::DatabaseKind;
use symstream_shared::id::NodeId;
use symstream_shared::wire::{BatchFailure, BatchResult};
use symstream_tests::eventually::eventually;

/// The node `shop`, whose registration server's node is `cloud`.
async fn registered(kind: DatabaseKind) -> Node {
    let node = Node::start(kind).await;
    node.db.run(CREATE_ITEM).await;
    for statement in [
        "insert into sym_node_identity (node_id) values ('shop')",
        "insert into sym_node (node_id, node_group_id, external_id, created_at_node_id) values \
         ('cloud', 'cloud', 'cloud', 'cloud'), ('shop', 'shop', 'shop', 'cloud'), ('depot', 'cloud', 'depot', 'cloud')",
        "insert into sym_node_group_link (source_node_group_id, target_node_group_id) values ('cloud', 'shop')",
    ] {
        node.db.run(statement).await;
    }
    node
}

impl Node {
    async fn send(&mut self, sql: &str) -> Result<BatchResult, LoadError> {
        let key = self.next_key();
        let part = statement(&key, sql);
        let result = self.loader.load(&key, &Content::Message(&part, 0)).await;
        if result.is_ok() {
            self.position = key.batch_id;
        }
        result
    }

    async fn noted(&self) -> String {
        self.rows("select statement_batch_id from sym_incoming_lane")
            .await
            .concat()
    }
}

fn failure(result: Result<BatchResult, LoadError>) -> BatchFailure {
    match result {
        Err(LoadError::Failed(result)) => result.failure.expect("a failure"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn statements_run_once_with_their_record() {
    for kind in KINDS {
        let mut node = registered(kind).await;
        for sql in [
            "insert into item values (1, 'it''s'); update item set name = 'a;b' where id = 1",
            "create table made (id int primary key)",
            "alter table item add column note varchar(10); update item set note = 'new'",
        ] {
            node.send(sql).await.unwrap_or_else(|err| panic!("{kind}: {err}"));
        }
        assert_eq!(
            node.rows("select id, name, note from item").await,
            ["1|a;b|new"],
            "{kind}"
        );
        assert_eq!(node.db.number("select count(*) from made").await, 0);
        assert_eq!(
            node.rows("select batch_id, status from sym_incoming_batch order by 1")
                .await,
            ["2|OK", "4|OK", "6|OK"]
        );
        assert_eq!(node.noted().await, "∅");

        // A message that comes again changes nothing.
        let key = BatchKey {
            source: source(),
            batch_id: 2,
            previous: 0,
        };
        let again = statement(&key, "insert into item (id, name) values (9, 'twice')");
        let result = node.loader.load(&key, &Content::Message(&again, 0)).await;
        assert!(matches!(result, Err(LoadError::Overtaken)), "{result:?}");
        assert_eq!(node.db.number("select count(*) from item").await, 1, "{kind}");
    }
}

#[tokio::test]
async fn only_the_registration_servers_node_may_send_one_and_only_along_a_link() {
    for kind in KINDS {
        let mut node = registered(kind).await;
        let sql = "insert into item values (1, 'a')";
        node.db
            .run("insert into sym_incoming_lane (source_node_id, channel_id) values ('depot', 'default')")
            .await;
        // GIVEN another node of the same group
        let key = BatchKey {
            source: NodeId::new("depot").expect("id"),
            batch_id: 1,
            previous: 0,
        };
        let part = statement(&key, sql);
        let refused = failure(node.loader.load(&key, &Content::Message(&part, 0)).await);
        assert_eq!(refused.row_number, 1);
        assert!(
            refused.message.contains("from node depot is not run"),
            "{}",
            refused.message
        );

        // GIVEN the right node without a link
        node.db.run("delete from sym_node_group_link").await;
        failure(node.send(sql).await);
        assert_eq!(node.db.number("select count(*) from item").await, 0, "{kind}");

        node.db
            .run("insert into sym_node_group_link (source_node_group_id, target_node_group_id) values ('cloud', 'shop')")
            .await;
        node.send(sql).await.expect("allowed");
        assert_eq!(node.db.number("select count(*) from item").await, 1, "{kind}");
    }
}

#[tokio::test]
async fn a_failed_statement_says_why_and_runs_again_when_it_left_nothing() {
    for kind in KINDS {
        let mut node = registered(kind).await;
        let sql = "insert into item values (1, 'a'); insert into item values (2, null)";
        for _ in 0..2 {
            let refused = failure(node.send(sql).await);
            let state = match kind {
                DatabaseKind::Postgres => ("23502", 0),
                DatabaseKind::Mysql => ("23000", 1048),
                DatabaseKind::Sqlite => ("", 1299),
            };
            assert_eq!((refused.sql_state.as_str(), refused.sql_code), state, "{kind}");
            assert_eq!((refused.row_number, refused.data_id), (1, 0));
            assert_eq!(node.db.number("select count(*) from item").await, 0, "{kind}");
            assert_eq!(node.noted().await, "∅", "{kind}");
        }
    }
}

#[tokio::test]
async fn a_statement_that_failed_behind_its_own_commit_is_not_repeated() {
    for kind in KINDS {
        let mut node = registered(kind).await;
        let sql =
            "insert into item values (1, 'a'); create table made (id int); insert into item values (1, 'b')";
        let first = failure(node.send(sql).await);
        assert!(
            first.message.contains("statement failed"),
            "{kind}: {}",
            first.message
        );
        if kind == DatabaseKind::Mysql {
            // MariaDB has committed the row and the table.
            for _ in 0..2 {
                let again = failure(node.send(sql).await);
                assert!(again.message.contains("begun before"), "{}", again.message);
            }
            assert_eq!(node.rows("select name from item").await, ["a"]);
            // An operator looked, put it right and has it run again.
            node.db.run("drop table made; delete from item").await;
            node.db
                .run("update sym_incoming_lane set statement_batch_id = null")
                .await;
            let fixed = "insert into item values (1, 'a'); create table made (id int)";
            node.send(fixed).await.expect("runs again");
        } else {
            assert_eq!(node.db.number("select count(*) from item").await, 0);
            node.send("insert into item values (1, 'a'); create table made (id int)")
                .await
                .expect("runs again");
        }
        assert_eq!(node.rows("select name from item").await, ["a"], "{kind}");
        assert_eq!(node.db.number("select count(*) from made").await, 0);
        assert_eq!(node.noted().await, "∅", "{kind}");
    }
}

#[tokio::test]
async fn a_statement_may_not_end_its_transaction() {
    for kind in [DatabaseKind::Postgres, DatabaseKind::Sqlite] {
        let mut node = registered(kind).await;
        let sql = "insert into item values (1, 'a'); commit; begin; delete from item";
        let first = failure(node.send(sql).await);
        assert!(
            first.message.contains("ended the transaction"),
            "{kind}: {}",
            first.message
        );
        let again = failure(node.send(sql).await);
        assert!(
            again.message.contains("begun before"),
            "{kind}: {}",
            again.message
        );
        assert_eq!(node.rows("select name from item").await, ["a"], "{kind}");
    }
}

#[tokio::test]
async fn a_crash_within_a_statement_is_an_error_on_mariadb_and_never_a_repetition() {
    // GIVEN a statement that has made a table and is at work
    let mut node = registered(DatabaseKind::Mysql).await;
    let key = node.next_key();
    let sql = "create table made (id int); do sleep(60)";
    let part = statement(&key, sql);
    let content = Content::Message(&part, 0);
    let working = "select id from information_schema.processlist where info = 'do sleep(60)'";
    // WHEN its connection is cut
    let (result, ()) = tokio::join!(node.loader.load(&key, &content), async {
        let id = eventually(PATIENCE, "at work", || async {
            let found = node.db.rows(working).await.concat();
            found.first().cloned().ok_or("not yet")
        });
        node.db.run(&format!("kill {}", id.await)).await;
    });
    assert!(matches!(result, Err(LoadError::Passing(_))), "{result:?}");
    assert_eq!(node.noted().await, "-2");
    // THEN it is not repeated
    let refused = failure(node.send(sql).await);
    assert!(refused.message.contains("begun before"), "{}", refused.message);
    assert_eq!(node.db.number("select count(*) from made").await, 0);
}

#[tokio::test]
async fn a_crash_before_a_statement_ends_is_taken_back_elsewhere() {
    // A crash leaves what the transaction had done, nothing, on PostgreSQL and SQLite; on MariaDB the note.
    for kind in KINDS {
        let mut node = registered(kind).await;
        if kind == DatabaseKind::Mysql {
            node.db
                .run("update sym_incoming_lane set statement_batch_id = 2")
                .await;
        }
        let result = node.send("insert into item values (1, 'a')").await;
        assert_eq!(result.is_ok(), kind != DatabaseKind::Mysql, "{kind}");
        // One of a batch that an operator has passed over is of no concern.
        node.db
            .run("update sym_incoming_lane set statement_batch_id = 1, batch_id = 2")
            .await;
        node.position = 2;
        node.send("insert into item values (2, 'b')").await.expect("runs");
        assert_eq!(node.noted().await, "∅");
    }
}

#[tokio::test]
async fn an_operator_passes_over_a_statement_that_holds_its_lane() {
    for kind in KINDS {
        let mut fixture = Fixture::of(kind, &["default"]).await;
        fixture.register().await;
        // GIVEN a word from before the statement came, which can never succeed; MariaDB keeps half of it
        fixture
            .db
            .run(
                "insert into sym_incoming_lane (source_node_id, channel_id, batch_id, attempt_count, \
                 statement_batch_id) values ('cloud', 'default', 0, 0, 0)",
            )
            .await;
        let key = BatchKey {
            source: source(),
            batch_id: 1,
            previous: 0,
        };
        let sql = "create table made (id int); insert into nowhere values (1)";
        fixture.publish(&statement(&key, sql)).await;
        fixture.publish(&batch("cloud", 2, 1, &["2", "b"])).await;
        let agent = Running::start(&fixture.engine);
        assert_eq!(fixture.status().await, ["1 ER"], "{kind}");
        eventually(PATIENCE, "another attempt", || async {
            let count = fixture
                .db
                .number("select attempt_count from sym_incoming_lane")
                .await;
            if count > 1 { Ok(()) } else { Err(count) }
        })
        .await;
        assert_eq!(fixture.db.number("select count(*) from item").await, 0);

        // WHEN the operator does what the error says
        let messages = fixture
            .db
            .rows("select sql_message from sym_incoming_batch_hist where status = 'ER'")
            .await;
        let (_, pass_over) = messages[0][0].split_once("to pass over it: ").expect("a way out");
        fixture.db.run(pass_over).await;

        // THEN it is recorded as done, and the lane goes on
        fixture.has(&["2"]).await;
        let records = "select b.status, h.status, h.sql_message from sym_incoming_batch b \
                       join sym_incoming_batch_hist h on h.batch_id = b.batch_id and h.node_id = b.node_id \
                       where b.batch_id = 1 and h.status = 'OK'";
        let by_hand = "the statement was not run: it was passed over by hand";
        assert_eq!(fixture.db.rows(records).await, [["OK", "OK", by_hand]], "{kind}");
        let lane = "select batch_id, held_batch_id, statement_batch_id from sym_incoming_lane";
        assert_eq!(fixture.db.rows(lane).await, [["2", "∅", "∅"]], "{kind}");
        let mut told = Vec::new();
        while !told.contains(&"2 OK".to_owned()) {
            told.extend(fixture.status().await);
        }
        assert!(told.contains(&"1 OK".to_owned()), "{kind}: {told:?}");
        agent.stop().await;
    }
}

#[tokio::test]
async fn a_node_that_does_not_know_the_registration_server_says_so() {
    let mut node = registered(DatabaseKind::Sqlite).await;
    node.db
        .run("update sym_node set created_at_node_id = null where node_id = 'shop'")
        .await;
    let refused = failure(node.send("insert into item values (1, 'a')").await);
    let why = "created_at_node_id is null in this node's own row of sym_node";
    assert!(refused.message.contains(why), "{}", refused.message);
    assert_eq!(node.db.number("select count(*) from item").await, 0);
}

#[tokio::test]
async fn a_statement_stands_between_the_changes_before_and_behind_it() {
    for kind in KINDS {
        let fixture = Fixture::of(kind, &["default"]).await;
        fixture.register().await;
        // The statement comes first, and waits in the spool for the batch before it.
        let key = |batch_id| BatchKey {
            source: source(),
            batch_id,
            previous: batch_id - 1,
        };
        fixture
            .publish(&statement(&key(2), "update item set id = id + 10"))
            .await;
        let agent = Running::start(&fixture.engine);
        fixture.publish(&batch("cloud", 3, 2, &["2", "b"])).await;
        fixture.publish(&batch("cloud", 1, 0, &["1", "a"])).await;
        fixture.has(&["2", "11"]).await;
        agent.stop().await;
    }
}
