//! What the triggers of all three dialects capture.

use crate::source::{Server, Source, on_each};
use symstream_shared::db::{DatabaseKind, Sql, TxKind};

#[tokio::test]
async fn statements_are_captured_as_what_they_do_to_rows() {
    on_each("statements", async |source| {
        source
            .db
            .run("create table item (id int primary key, name varchar(50))")
            .await;
        source.trigger("items", "item", "").await;
        assert_eq!(source.sync().await, ["items:N"]);
        assert_eq!(source.sync().await, [""; 0]);

        source.db.run("insert into item values (1, 'a'), (2, null)").await;
        assert_eq!(source.take_texts().await, ["I 1|a <-", "I 2|∅ <-"]);
        source.db.run("update item set id = id + 10").await;
        assert_eq!(source.take_texts().await, ["U 11|a <- 1|a", "U 12|∅ <- 2|∅"]);
        source.db.run("update item set name = name where id = 11").await;
        assert_eq!(source.take_texts().await, ["U 11|a <- 11|a"]);
        source.db.run("update item set id = 13 where id = 12").await;
        let captured = source.take().await;
        assert_eq!(captured[0].key_text.as_deref(), Some("12"));
        source.db.run("delete from item where id = 13").await;
        assert_eq!(source.take_texts().await, ["D  <- 13|∅"]);

        let mut tx = source.db.begin().await.expect("transaction");
        tx.execute("insert into item values (20, 'rolled back')", &[])
            .await
            .expect("insert");
        tx.rollback().await.expect("rollback");
        source
            .db
            .transaction(
                "savepoint a; delete from item; rollback to savepoint a; insert into item values (21, 'b')",
            )
            .await;
        assert_eq!(source.take_texts().await, ["I 21|b <-"]);
    })
    .await;
}

#[tokio::test]
async fn names_are_no_matter() {
    on_each("names", async |source| {
        let kind = source.db.kind();
        let quote = |name: &str| kind.quote(name);
        let names = [
            "Sel'ect", "a,b", "a\"b`c", "order", "origin", "place", "new", "old", "captured", "missing",
            "history", "ü",
        ];
        let columns: Vec<String> = names.iter().map(|name| format!("{} int", quote(name))).collect();
        let table = quote("Order's \"x\" $symstream$?");
        source
            .db
            .run(&format!(
                "create table {table} ({}, primary key ({}, {}))",
                columns.join(", "),
                quote("a\"b`c"),
                quote("Sel'ect")
            ))
            .await;
        source
            .trigger(
                "the \"id\"",
                "Order's \"x\" $symstream$?",
                "excluded_column_names = 'place,ORDER'",
            )
            .await;
        source.sync().await;
        source
            .db
            .run(&format!(
                "insert into {table} values (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)"
            ))
            .await;
        source
            .db
            .run(&format!("update {table} set {} = 5", quote("a\"b`c")))
            .await;
        source.db.run(&format!("delete from {table}")).await;
        let captured = source.captured().await;
        assert_eq!(captured[1].key_text.as_deref(), Some("2,0"), "{kind}");
        assert_eq!(captured[0].columns.len(), 10);
        assert_eq!(
            source.take_texts().await,
            [
                "I 0|1|2|4|6|7|8|9|10|11 <-",
                "U 0|1|5|4|6|7|8|9|10|11 <- 0|1|2|4|6|7|8|9|10|11",
                "D  <- 0|1|5|4|6|7|8|9|10|11",
            ],
            "{kind}"
        );
    })
    .await;
}

#[tokio::test]
async fn a_table_without_primary_key_has_all_columns_as_its_key() {
    on_each("without_key", async |source| {
        source.db.run("create table item (a int, b int)").await;
        source.trigger("items", "item", "").await;
        let report = source.try_sync().await.expect("triggers");
        assert!(
            report
                .warnings
                .iter()
                .any(|note| note.message.contains("primary key"))
        );
        source.db.run("insert into item values (1, null)").await;
        source.db.run("delete from item").await;
        assert_eq!(source.take().await[1].key_text.as_deref(), Some("1,"));
    })
    .await;
}

#[tokio::test]
async fn wide_tables_and_long_rows_are_captured() {
    on_each("wide", async |source| {
        let columns: Vec<String> = (0..200).map(|index| format!("c{index} int")).collect();
        source
            .db
            .run(&format!(
                "create table wide (id int primary key, {})",
                columns.join(", ")
            ))
            .await;
        let text = source.db.kind().as_text("''");
        let big = if source.db.kind() == DatabaseKind::Mysql {
            "longtext"
        } else {
            "text"
        };
        source
            .db
            .run(&format!("create table big (id int primary key, v {big})"))
            .await;
        source.trigger("wide", "wide", "").await;
        source.trigger("big", "big", "").await;
        source.sync().await;
        source
            .db
            .run("insert into wide (id, c0, c199) values (1, 2, 3)")
            .await;
        let captured = source.take().await;
        let new = captured[0].new.as_ref().expect("row");
        assert_eq!(
            (new.len(), new[200].to_text()),
            (201, Some("3".to_owned())),
            "{text}"
        );
        let value = "\"x\u{1d11e}\n".repeat(700_000);
        source
            .db
            .database()
            .execute("insert into big values (1, ?)", &[value.as_str().into()])
            .await
            .expect("insert");
        let captured = source.take().await;
        assert!(
            captured[0].new.as_ref().expect("row")[1].to_text() == Some(value),
            "5 MB come back"
        );
    })
    .await;
}

#[tokio::test]
async fn conditions_expressions_and_events_are_the_triggers() {
    on_each("conditions", async |source| {
        source
            .db
            .run("create table item (id int primary key, n int)")
            .await;
        source
            .trigger(
                "items",
                "item",
                "sync_on_insert_condition = 'new.n > 0', sync_on_update_condition = 'old.n <> new.n', \
                 sync_on_delete_condition = 'old.n > 0', tx_id_expression = '''tx-'' || 7'",
            )
            .await;
        if source.db.kind() == DatabaseKind::Mysql {
            source
                .db
                .run("update sym_trigger set tx_id_expression = 'concat(''tx-'', 7)'")
                .await;
        }
        source
            .trigger(
                "inserts",
                "item",
                "sync_on_update = 0, sync_on_delete = 0, excluded_column_names = 'n'",
            )
            .await;
        source.sync().await;
        source
            .db
            .run("insert into item values (1, 1), (2, 0), (3, null)")
            .await;
        let mut texts = source.take_texts().await;
        texts.sort();
        assert_eq!(texts, ["I 1 <-", "I 1|1 <-", "I 2 <-", "I 3 <-"]);
        source.db.run("update item set n = 1").await;
        let transactions = source
            .db
            .rows("select distinct transaction_id from sym_data")
            .await;
        assert_eq!(transactions, [["tx-7"]]);
        assert_eq!(source.take_texts().await, ["U 2|1 <- 2|0"]);
        source.db.run("delete from item where id < 3").await;
        assert_eq!(source.take_texts().await, ["D  <- 1|1", "D  <- 2|1"]);
    })
    .await;
}

#[tokio::test]
async fn what_the_loader_writes_is_captured_only_where_it_is_wanted() {
    on_each("incoming", async |source| {
        source.db.run("create table item (id int primary key)").await;
        source.trigger("items", "item", "").await;
        source
            .trigger("forwarded", "item", "sync_on_incoming_batch = 1")
            .await;
        source.sync().await;
        let mut tx = source
            .db
            .database()
            .begin(TxKind::Write)
            .await
            .expect("transaction");
        let (on, off) = match source.db.kind() {
            DatabaseKind::Postgres => (
                "select set_config('symstream.source_node', 'far', true)",
                "select 1",
            ),
            DatabaseKind::Mysql => (
                "set @symstream_source_node = 'far'",
                "set @symstream_source_node = null",
            ),
            DatabaseKind::Sqlite => (
                "insert into sym_state (state_key, state_value) values ('loading', 'far')",
                "delete from sym_state where state_key = 'loading'",
            ),
        };
        tx.execute_script(on).await.expect("switch");
        tx.execute_script("insert into item values (1)")
            .await
            .expect("insert");
        tx.execute_script(off).await.expect("switch");
        tx.commit().await.expect("commit");
        let captured = source.take().await;
        let origins: Vec<_> = captured.iter().map(|row| row.origin.as_deref()).collect();
        assert_eq!(origins, [Some("far")]);
        source.db.run("insert into item values (2)").await;
        let origins: Vec<_> = source.take().await.into_iter().map(|row| row.origin).collect();
        assert_eq!(origins, [None, None]);
    })
    .await;
}

#[tokio::test]
async fn what_a_trigger_of_mariadb_writes_is_captured_after_the_row() {
    let server = Server::start(DatabaseKind::Mysql).await;
    let source = Source::new(server.create_database("precedes").await).await;
    source
        .db
        .run(
            "create table parent (id int primary key); create table child (id int); \
             create trigger aaa after insert on parent for each row insert into child values (new.id)",
        )
        .await;
    source.trigger("parent", "parent", "").await;
    source.trigger("child", "child", "").await;
    source.sync().await;
    source.db.run("insert into parent values (1)").await;
    let tables = source
        .db
        .rows("select table_name from sym_data order by data_id")
        .await;
    assert_eq!(tables, [["parent"], ["child"]]);
    // One that comes later and puts itself in front is noticed.
    let ours = source
        .db
        .rows("select name_for_insert_trigger from sym_trigger_hist where trigger_id = 'parent'")
        .await;
    source
        .db
        .run(&format!(
            "create trigger zzz after insert on parent for each row precedes `{}` insert into child values (-new.id)",
            ours[0][0]
        ))
        .await;
    assert_eq!(source.sync().await, ["parent:C"]);
    source.db.run("delete from sym_data").await;
    source.db.run("insert into parent values (2)").await;
    let tables = source
        .db
        .rows("select table_name from sym_data order by data_id")
        .await;
    assert_eq!(tables, [["parent"], ["child"], ["child"]]);
}
