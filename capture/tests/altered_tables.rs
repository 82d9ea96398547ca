//! `alter table` on a captured table never makes the application's statement fail, and what was captured before keeps
//! the columns that it was captured with.

use crate::source::{Server, Source, on_each};
use symstream_shared::cell::Cell;
use symstream_shared::db::{DatabaseKind, Sql};

async fn start(kind: DatabaseKind) -> (Server, Source) {
    let server = Server::start(kind).await;
    let source = Source::new(server.create_database("altered").await).await;
    (server, source)
}

#[tokio::test]
async fn an_added_column_is_noticed() {
    on_each("added", async |source| {
        source
            .db
            .run("create table item (id int primary key, a int)")
            .await;
        source.trigger("items", "item", "").await;
        source.sync().await;
        source.db.run("insert into item values (1, 2)").await;
        source.db.run("alter table item add column b int default 7").await;
        source.db.run("update item set a = 3").await;
        assert_eq!(source.sync().await, ["items:S"]);
        source.db.run("update item set b = 8").await;
        let captured = source.captured().await;
        assert_eq!(captured[0].columns, ["id", "a"]);
        assert_eq!(captured[2].columns, ["id", "a", "b"]);
        let texts = source.take_texts().await;
        assert_eq!(texts[0], "I 1|2 <-");
        assert_eq!(texts[2], "U 1|3|8 <- 1|3|7");
    })
    .await;
}

#[tokio::test]
async fn a_renamed_column_is_noticed() {
    on_each("renamed", async |source| {
        source
            .db
            .run("create table item (id int primary key, a int, b int)")
            .await;
        source.trigger("items", "item", "").await;
        source.sync().await;
        source.db.run("insert into item values (1, 2, 3)").await;
        source.db.run("alter table item rename column a to x").await;
        source.db.run("update item set b = 4").await;
        assert_eq!(source.sync().await, ["items:S"]);
        source.db.run("update item set x = 5").await;
        let captured = source.captured().await;
        assert_eq!(captured[0].columns, ["id", "a", "b"]);
        // What is between is captured as each database can.
        let between: &[&str] = match source.db.kind() {
            DatabaseKind::Postgres => &["id", "x", "b"],
            DatabaseKind::Mysql => &["id", "b"],
            DatabaseKind::Sqlite => &["id", "a", "b"],
        };
        assert_eq!(captured[1].columns, between);
        assert_eq!(captured[2].columns, ["id", "x", "b"]);
        let texts = source.take_texts().await;
        assert_eq!(texts[2], "U 1|5|4 <- 1|2|4");
    })
    .await;
}

#[tokio::test]
async fn mariadb_captures_what_is_left_of_a_row() {
    let (_server, source) = start(DatabaseKind::Mysql).await;
    source
        .db
        .run("create table item (id int, sub varchar(9), a longtext, b blob, c varchar(20), d float, primary key (sub, id))")
        .await;
    source.trigger("all", "item", "").await;
    source
        .trigger("small", "item", "excluded_column_names = 'b'")
        .await;
    source.sync().await;
    source
        .on_one_connection(&[
            "insert into item values (1, 'k', 'a\"1', 'b1', 'c,\"1', 1.5)",
            "alter table item drop column b",
            "update item set a = null",
            "alter table item rename column a to x, drop column c",
            "update item set d = 2.5, id = 2",
            "insert into item values (3, '?', 'y', null)",
            "delete from item where id = 2",
        ])
        .await;
    let captured = source.captured().await;
    let columns: Vec<String> = captured.iter().map(|row| row.columns.join(",")).collect();
    let (whole, without_b, small) = ("id,sub,a,b,c,d", "id,sub,a,c,d", "id,sub,a,c,d");
    let left = "id,sub,d";
    assert_eq!(
        columns,
        [whole, small, without_b, small, left, left, left, left, left, left]
    );
    assert_eq!(captured[4].key_text.as_deref(), Some("\"k\",1"));
    let text = |index: usize| -> Vec<Option<String>> {
        let row = captured[index].new.iter().flatten();
        row.map(Cell::to_text).collect()
    };
    assert_eq!(text(2)[2..4], [None, Some("c,\"1".to_owned())]);
    assert_eq!(text(4), ["2", "k", "2.5"].map(|text| Some(text.to_owned())));
    assert_eq!(text(6)[1].as_deref(), Some("?"));
    // Both capture the same now, because the column that one of them left out is gone.
    source
        .db
        .run("delete from sym_data; update sym_trigger set excluded_column_names = null")
        .await;
    assert_eq!(source.sync().await, ["all:S", "small:S"]);
    source.db.run("insert into item values (4, 'k', 'x', 1)").await;
    assert_eq!(source.take_texts().await, ["I 4|k|x|1 <-"]);
}

#[tokio::test]
async fn a_row_of_mariadb_without_its_key_is_an_error_that_says_so() {
    let (_server, source) = start(DatabaseKind::Mysql).await;
    source
        .db
        .run("create table item (id int primary key, a int)")
        .await;
    source.trigger("items", "item", "").await;
    source.sync().await;
    source
        .on_one_connection(&[
            "alter table item rename column id to ident",
            "insert into item values (1, 2)",
        ])
        .await;
    let config = source.config().await;
    let mut conn = source.db.database().conn().await.expect("connection");
    let hist_id = source.db.number("select trigger_hist_id from sym_data").await;
    let result = symstream_capture::decode::HistCache::new()
        .layout(&mut conn, &source.tables, &config, hist_id)
        .await;
    let text = result.expect_err("no key").to_string();
    assert!(text.contains("table item") && text.contains("key"), "{text}");
}

#[tokio::test]
async fn expressions_that_name_a_column_which_is_gone_let_rows_pass() {
    for kind in [DatabaseKind::Postgres, DatabaseKind::Mysql] {
        let (_server, source) = start(kind).await;
        source
            .db
            .run("create table item (id int primary key, n int, b int)")
            .await;
        source
            .trigger(
                "items",
                "item",
                "sync_on_insert_condition = 'new.n > 1', sync_on_update_condition = 'new.n > 1', \
                 sync_on_delete_condition = 'old.n > 1'",
            )
            .await;
        source
            .trigger(
                "inserts",
                "item",
                "tx_id_expression = 'new.n + 1000', sync_on_update = 0, sync_on_delete = 0",
            )
            .await;
        source.sync().await;
        source
            .on_one_connection(&[
                "insert into item values (1, 1, 1), (2, 2, 2)",
                "update item set b = 0",
                "alter table item drop column b",
                // The condition still is what it was.
                "insert into item values (3, 1), (4, 2)",
                "alter table item rename column n to m",
                "insert into item values (5, 1)",
                "update item set m = 0 where id = 1",
                "delete from item where id = 1",
            ])
            .await;
        let captured = "select event_type, case when trigger_hist_id > 0 then pk_data end, case when transaction_id like '100_' then transaction_id end \
                        from sym_data order by data_id";
        let mut rows = source.db.rows(captured).await;
        rows.sort();
        assert_eq!(
            rows,
            [
                ["D", "∅", "∅"],
                ["I", "∅", "1001"],
                ["I", "∅", "1001"],
                ["I", "∅", "1002"],
                ["I", "∅", "1002"],
                ["I", "∅", "∅"],
                ["I", "∅", "∅"],
                ["I", "∅", "∅"],
                ["I", "∅", "∅"],
                ["U", "2", "∅"],
                ["U", "∅", "∅"],
            ],
            "{kind}"
        );
    }
}

#[tokio::test]
async fn sqlite_keeps_a_captured_column() {
    let (_server, source) = start(DatabaseKind::Sqlite).await;
    source
        .db
        .run("create table item (id integer primary key, a int, b int)")
        .await;
    source
        .trigger("items", "item", "excluded_column_names = 'b'")
        .await;
    source.sync().await;
    let mut conn = source.db.database().conn().await.expect("connection");
    Sql::execute_script(&mut conn, "alter table item drop column a")
        .await
        .expect_err("SQLite refuses it, as long as a trigger names it");
    drop(conn);
    source.db.run("insert into item values (1, 2, 3)").await;
    // One that no trigger names goes.
    source.db.run("alter table item drop column b").await;
    source
        .db
        .run("update sym_trigger set excluded_column_names = 'a'")
        .await;
    assert_eq!(source.sync().await, ["items:S"]);
    source.db.run("alter table item drop column a").await;
    source
        .db
        .run("update sym_trigger set excluded_column_names = null")
        .await;
    assert_eq!(source.sync().await, ["items:S"]);
    source.db.run("insert into item values (2)").await;
    assert_eq!(source.take_texts().await, ["I 1|2 <-", "I 2 <-"]);
}

#[tokio::test]
async fn rows_of_a_shape_that_nobody_saw_say_themselves_what_they_are() {
    let (_server, source) = start(DatabaseKind::Postgres).await;
    // One with statement triggers, one with row triggers.
    for (table, more) in [("item", ""), ("tree", ", parent int references tree")] {
        source
            .db
            .run(&format!(
                "create table {table} (id int primary key, a char(3), secret text{more})"
            ))
            .await;
        source
            .trigger(table, table, "excluded_column_names = 'secret'")
            .await;
    }
    source.sync().await;
    for table in ["item", "tree"] {
        source
            .on_one_connection(&[
                &format!("insert into {table} values (1, 'x', 's')"),
                &format!("alter table {table} add column \"b,\"\"B\" numeric default 6"),
                &format!("update {table} set \"b,\"\"B\" = 7, a = 'y'"),
                &format!("alter table {table} rename column secret to secret2"),
                &format!("insert into {table} values (2, 'z', 's')"),
                &format!("alter table {table} drop constraint {table}_pkey cascade"),
                &format!(
                    "alter table {table} drop column secret2, drop column a, add primary key (\"b,\"\"B\")"
                ),
                &format!("delete from {table} where id = 1"),
                &format!("alter table {table} drop column id"),
            ])
            .await;
    }
    // The excluded column has no such name any more.
    source
        .db
        .run("update sym_trigger set excluded_column_names = null")
        .await;
    source.sync().await;
    let captured = source.captured().await;
    let columns: Vec<String> = captured.iter().map(|row| row.columns.join("|")).collect();
    for (rows, last) in [(&columns[..4], ""), (&columns[4..], "|parent")] {
        assert_eq!(
            rows,
            [
                if last.is_empty() {
                    "id|a".to_owned()
                } else {
                    "id|a|parent".to_owned()
                },
                format!("id|a{last}|b,\"B"),
                format!("id|a{last}"),
                format!("id{last}|b,\"B"),
            ]
        );
    }
    let texts = source.take_texts().await;
    assert_eq!(texts[..3], ["I 1|x <-", "U 1|y|7 <- 1|x|6", "I 2|z <-"]);
}

#[tokio::test]
async fn a_partition_with_another_order_of_columns_is_captured_in_the_tables_order() {
    let (_server, source) = start(DatabaseKind::Postgres).await;
    source
        .db
        .run(
            "create table item (id int primary key, name text) partition by range (id); \
             create table part (name text, id int not null); \
             alter table item attach partition part for values from (0) to (10)",
        )
        .await;
    source.trigger("items", "item", "").await;
    source.sync().await;
    source
        .on_one_connection(&[
            "insert into item values (1, 'a')",
            "alter table item add column n int default 5",
            "insert into item values (2, 'b,')",
            "update item set name = 'c' where id = 1",
        ])
        .await;
    assert_eq!(source.sync().await, ["items:S"]);
    assert_eq!(
        source.take_texts().await,
        ["I 1|a <-", "I 2|b,|5 <-", "U 1|c|5 <- 1|a|5"]
    );
}

#[tokio::test]
async fn a_history_from_before_says_nothing_of_a_shape_that_is_there_again() {
    let (_server, source) = start(DatabaseKind::Postgres).await;
    source
        .db
        .run("create table item (id int primary key, a int, b int)")
        .await;
    source.trigger("items", "item", "").await;
    source.sync().await;
    source.db.run("alter table item add column c int").await;
    source.sync().await;
    // GIVEN the first shape again, and less to be captured of it
    source
        .on_one_connection(&[
            "alter table item drop column c",
            "insert into item values (1, 2, 3)",
        ])
        .await;
    source
        .db
        .run("update sym_trigger set excluded_column_names = 'b'")
        .await;
    let config = source.config().await;
    let mut conn = source.db.database().conn().await.expect("connection");
    let hist_id = source.db.number("select trigger_hist_id from sym_data").await;
    let result = symstream_capture::decode::HistCache::new()
        .layout(&mut conn, &source.tables, &config, hist_id)
        .await;
    assert!(
        matches!(result, Err(symstream_capture::decode::HistError::Altered { .. })),
        "{result:?}"
    );
    source.sync().await;
    assert_eq!(source.take_texts().await, ["I 1|2 <-"]);
}

#[tokio::test]
async fn rows_of_a_shape_that_is_gone_again_wait_for_no_history() {
    let (_server, source) = start(DatabaseKind::Postgres).await;
    source
        .db
        .run("create table item (id int primary key, a int)")
        .await;
    source.trigger("items", "item", "").await;
    source.sync().await;
    source
        .on_one_connection(&[
            "alter table item add column b int",
            "insert into item values (1, 2, 3)",
            "alter table item drop column b",
            "insert into item values (4, 5)",
        ])
        .await;
    assert_eq!(source.sync().await, [""; 0], "the triggers fit as they are");
    assert_eq!(source.take_texts().await, ["I 1|2|3 <-", "I 4|5 <-"]);
}

#[tokio::test]
async fn mariadb_says_what_a_column_of_another_type_does_to_rows() {
    let (_server, source) = start(DatabaseKind::Mysql).await;
    source
        .db
        .run("create table item (id int primary key, a int, b int)")
        .await;
    source.trigger("items", "item", "").await;
    source.sync().await;
    source
        .on_one_connection(&[
            "alter table item modify a varchar(20)",
            "insert into item values (1, 'abc', 2)",
        ])
        .await;
    let report = source.try_sync().await.expect("triggers");
    let warned =
        |note: &&symstream_capture::sync_triggers::Note| note.message.contains("a (was int, is text)");
    let note = report.warnings.iter().find(warned).expect("warning");
    assert!(note.message.contains("trigger_hist_id 1"), "{note}");
    let config = source.config().await;
    let mut conn = source.db.database().conn().await.expect("connection");
    let layout = symstream_capture::decode::HistCache::new()
        .layout(&mut conn, &source.tables, &config, 1)
        .await
        .expect("history");
    let error = layout.decode("1,abc,2").expect_err("no integer").to_string();
    assert!(error.contains("column a is not one of its type, Int"), "{error}");
    // Another look has nothing to say.
    let report = source.try_sync().await.expect("triggers");
    assert!(!report.warnings.iter().any(|note| warned(&note)), "{report:?}");
}
