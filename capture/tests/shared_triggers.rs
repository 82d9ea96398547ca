//! Several `sym_trigger` rows on one table.

use crate::source::{Server, Source, names_of_triggers, on_each};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use symstream_shared::db::DatabaseKind;
use symstream_shared::db::Sql;

/// One for each event, and PostgreSQL's for TRUNCATE.
async fn count_of_triggers(source: &Source) -> usize {
    let names = source.db.rows(names_of_triggers(source.db.kind())).await;
    let truncate = usize::from(source.db.kind() == DatabaseKind::Postgres);
    names.len() - truncate
}

/// The triggers that each row of `sym_data` is shared by, in the order of the rows.
async fn shared_by(source: &Source) -> Vec<Vec<String>> {
    let captured = source.captured().await;
    captured.into_iter().map(|row| row.trigger_ids).collect()
}

#[tokio::test]
async fn triggers_that_capture_the_same_share_a_row() {
    on_each("shared", async |source| {
        source
            .db
            .run("create table item (id int primary key, a int, b int)")
            .await;
        // The table and the expressions are the same, however they are written.
        source.trigger("a", "item", "sync_on_update = 0").await;
        source
            .trigger("b", "ITEM", "sync_on_delete = 0, sync_on_insert_condition = '  '")
            .await;
        source.trigger("c", "item", "excluded_column_names = 'b'").await;
        source
            .trigger("d", "item", "excluded_column_names = 'B', sync_on_insert = 0")
            .await;
        assert_eq!(source.sync().await, ["a:N", "b:N", "c:N", "d:N"]);
        assert_eq!(count_of_triggers(source).await, 3);
        assert_eq!(source.sync().await, [""; 0]);

        source.db.run("insert into item values (1, 2, 3)").await;
        assert_eq!(shared_by(source).await, [["a", "b"], ["c", "d"]]);
        assert_eq!(source.take_texts().await, ["I 1|2|3 <-", "I 1|2 <-"]);
        source.db.run("update item set a = 4").await;
        source.db.run("delete from item").await;
        assert_eq!(
            source.take_texts().await,
            ["U 1|4|3 <- 1|2|3", "U 1|4 <- 1|2", "D  <- 1|4|3", "D  <- 1|4"]
        );
        let histories = source
            .db
            .rows("select trigger_id, column_names, trigger_ids from sym_trigger_hist order by trigger_id")
            .await;
        assert_eq!(
            histories,
            [
                ["a", "id,a,b", "a,b"],
                ["b", "id,a,b", "a,b"],
                ["c", "id,a", "c,d"],
                ["d", "id,a", "c,d"]
            ]
        );
    })
    .await;
}

#[tokio::test]
async fn each_difference_in_what_is_captured_makes_a_row_of_its_own() {
    on_each("apart", async |source| {
        source
            .db
            .run("create table item (id int primary key, n int, b int)")
            .await;
        source
            .db
            .run("insert into sym_channel (channel_id) values ('other')")
            .await;
        for (id, more) in [
            ("a", ""),
            ("b", "channel_id = 'other'"),
            ("c", "sync_on_insert_condition = 'new.n > 1'"),
            ("d", "sync_on_update_condition = 'old.n < new.n'"),
            ("e", "sync_on_delete_condition = 'old.n > 5'"),
            ("f", "excluded_column_names = 'b'"),
            ("g", "tx_id_expression = '7'"),
            ("h", "sync_on_incoming_batch = 1"),
        ] {
            source.trigger(id, "item", more).await;
        }
        assert_eq!(source.sync().await.len(), 8);
        assert_eq!(count_of_triggers(source).await, 3);
        let by_statement = [
            ("insert into item values (1, 1, 1), (2, 2, 2)", "aabbcddeeffgghh"),
            ("update item set n = 3 where id = 2", "abcdefgh"),
            ("update item set n = 0 where id = 2", "abcefgh"),
            ("update item set n = 6 where id = 2", "abcdefgh"),
            ("delete from item", "aabbccddeffgghh"),
        ];
        for (statement, expected) in by_statement {
            source.db.run(statement).await;
            let mut ids = shared_by(source).await.concat();
            ids.sort();
            assert_eq!(ids.concat(), expected, "{statement}");
            let transactions = source
                .db
                .rows("select distinct transaction_id from sym_data where transaction_id = '7'")
                .await;
            assert_eq!(transactions, [["7"]]);
            let other = "select distinct trigger_hist_id from sym_data where channel_id = 'other'";
            assert_eq!(source.db.rows(other).await.len(), 1);
            source.take().await;
        }
    })
    .await;
}

#[tokio::test]
async fn one_that_joins_or_leaves_changes_the_histories_of_those_it_shares_with() {
    on_each("joins", async |source| {
        source
            .db
            .run("create table item (id int primary key, b int)")
            .await;
        source.trigger("m", "item", "").await;
        source
            .trigger("other", "item", "excluded_column_names = 'b'")
            .await;
        assert_eq!(source.sync().await, ["m:N", "other:N"]);
        source.db.run("insert into item values (1, 1)").await;
        source.trigger("a", "item", "").await;
        assert_eq!(source.sync().await, ["a:N", "m:C"]);
        source.db.run("insert into item values (2, 2)").await;
        source
            .db
            .run("delete from sym_trigger where trigger_id = 'm'")
            .await;
        let report = source.try_sync().await.expect("triggers");
        let removed: Vec<_> = report
            .removed
            .iter()
            .map(|removed| removed.trigger_id.as_str())
            .collect();
        assert_eq!((removed, report.built.len()), (vec!["m"], 1));
        source.db.run("insert into item values (3, 3)").await;
        source
            .db
            .run("delete from sym_trigger where trigger_id = 'a'")
            .await;
        let report = source.try_sync().await.expect("triggers");
        assert_eq!((report.built.len(), report.unchanged), (0, 1));
        assert!(!report.removed[0].statements.is_empty());
        source.db.run("insert into item values (4, 4)").await;
        // What was captured before belongs to those who shared it then.
        let mut shared = shared_by(source).await;
        shared.retain(|ids| *ids != ["other"]);
        assert_eq!(shared, [vec!["m"], vec!["a", "m"], vec!["a"]]);
        assert_eq!(source.captured().await.len(), 7);
        let history = "select count(*) from sym_trigger_hist where trigger_id = 'other'";
        assert_eq!(
            source.db.number(history).await,
            1,
            "what it captures never changed"
        );
        let active = "select trigger_id from sym_trigger_hist where inactive_time is null";
        assert_eq!(source.db.rows(active).await, [["other"]]);
        source.db.run("delete from sym_trigger").await;
        source.try_sync().await.expect("triggers");
        assert_eq!(
            source.db.rows(names_of_triggers(source.db.kind())).await,
            Vec::<Vec<String>>::new()
        );
    })
    .await;
}

#[tokio::test]
async fn the_first_name_that_is_given_holds() {
    on_each("given", async |source| {
        source.db.run("create table item (id int primary key)").await;
        source.trigger("a", "item", "").await;
        source
            .trigger("b", "item", "name_for_insert_trigger = 'Ins', name_for_update_trigger = 'Upd'")
            .await;
        source
            .trigger(
                "c",
                "item",
                "name_for_insert_trigger = 'another', name_for_delete_trigger = 'Del', channel_id = 'other'",
            )
            .await;
        source
            .db
            .run("insert into sym_channel (channel_id) values ('other')")
            .await;
        let report = source.try_sync().await.expect("triggers");
        let warnings: Vec<_> = report
            .warnings
            .iter()
            .filter(|note| note.message.contains("name_for_"))
            .map(|note| (note.trigger_id.as_str(), note.message.contains("is another")))
            .collect();
        assert_eq!(warnings, [("c", true)]);
        let mut names = source.db.rows(names_of_triggers(source.db.kind())).await.concat();
        names.retain(|name| !name.starts_with('!'));
        names.sort();
        assert_eq!(names, ["Del", "Ins", "Upd"]);
        let histories = "select distinct name_for_insert_trigger, name_for_update_trigger, name_for_delete_trigger \
                         from sym_trigger_hist";
        assert_eq!(source.db.rows(histories).await, [["Ins", "Upd", "Del"]]);
    })
    .await;
}

#[tokio::test]
async fn who_can_not_be_what_it_says_keeps_the_table_as_it_is() {
    on_each("kept", async |source| {
        source
            .db
            .run("create table item (id int primary key, n int)")
            .await;
        source.trigger("a", "item", "").await;
        source
            .trigger("b", "item", "sync_on_insert_condition = 'new.n > 0'")
            .await;
        source.sync().await;
        source
            .db
            .run("update sym_trigger set sync_on_insert_condition = 'new.x > 0' where trigger_id = 'b'")
            .await;
        source.trigger("c", "item", "excluded_column_names = 'n'").await;
        let report = source.try_sync().await.expect("report");
        let mut problems: Vec<_> = report
            .problems
            .iter()
            .map(|note| note.trigger_id.as_str())
            .collect();
        problems.sort_unstable();
        assert_eq!(problems, ["b", "c"], "{report:?}");
        source.db.run("insert into item values (1, 1)").await;
        assert_eq!(shared_by(source).await, [["a"], ["b"]]);
        source
            .db
            .run("update sym_trigger set sync_on_insert_condition = 'new.n > 1' where trigger_id = 'b'")
            .await;
        assert_eq!(source.sync().await, ["b:C", "c:N"]);
    })
    .await;
}

#[tokio::test]
async fn joining_and_leaving_loses_no_change() {
    on_each("joining", async |source| {
        source
            .db
            .run("create table item (id int primary key, b int)")
            .await;
        source.trigger("a", "item", "").await;
        source.sync().await;
        let stop = Arc::new(AtomicBool::new(false));
        let writer = {
            let (db, stop) = (source.db.clone(), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut written = 0;
                while !stop.load(Ordering::Relaxed) {
                    db.run(&format!("insert into item values ({written}, 0)")).await;
                    written += 1;
                }
                written
            })
        };
        for round in 0..6 {
            match round % 3 {
                0 => source.trigger("b", "item", "").await,
                1 => source.trigger("c", "item", "excluded_column_names = 'b'").await,
                _ => {
                    source
                        .db
                        .run("delete from sym_trigger where trigger_id <> 'a'")
                        .await;
                }
            }
            // A busy table is a problem for this once.
            while {
                let report = source.try_sync().await.expect("triggers");
                report.built.is_empty() && report.removed.is_empty()
            } {}
        }
        stop.store(true, Ordering::Relaxed);
        let written: usize = writer.await.expect("writer");
        let shared = shared_by(source).await;
        let rows_of_a = shared.iter().filter(|ids| ids[0] == "a").count();
        assert!(written > 0);
        assert_eq!(rows_of_a, written, "{}", source.db.kind());
        assert!(shared.iter().any(|ids| *ids == ["a", "b"]) || shared.iter().any(|ids| *ids == ["c"]));
    })
    .await;
}

#[tokio::test]
async fn row_triggers_are_shared_too() {
    let server = Server::start(DatabaseKind::Postgres).await;
    let source = Source::new(server.create_database("row_triggers").await).await;
    source
        .db
        .run("create table item (id int primary key, n int, parent int references item)")
        .await;
    source.trigger("a", "item", "").await;
    source
        .trigger(
            "b",
            "item",
            "excluded_column_names = 'parent', sync_on_insert_condition = 'new.n > 1', tx_id_expression = 'new.n', \
             sync_on_update = 0, sync_on_delete = 0",
        )
        .await;
    source
        .trigger(
            "c",
            "item",
            "sync_on_incoming_batch = 1, sync_on_insert_condition = 'new.n > 2'",
        )
        .await;
    source.sync().await;
    let mut tx = source.db.begin().await.expect("transaction");
    tx.execute_script(
        "insert into item values (1, 1, null), (2, 2, 1), (3, 3, 2); \
         select set_config('symstream.source_node', 'far', true); insert into item values (4, 4, 1), (5, 0, 1)",
    )
    .await
    .expect("insert");
    tx.commit().await.expect("commit");
    assert_eq!(
        shared_by(&source).await.concat(),
        ["a", "a", "b", "a", "b", "c", "c"]
    );
    let transactions =
        "select transaction_id from sym_data where transaction_id in ('2', '3') order by data_id";
    assert_eq!(source.db.rows(transactions).await, [["2"], ["3"]]);
}

#[tokio::test]
async fn who_is_sent_to_a_table_that_is_not_there_stays_where_it_was() {
    on_each("moved", async |source| {
        source.db.run("create table item (id int primary key)").await;
        source.trigger("a", "item", "").await;
        source.trigger("b", "item", "").await;
        source.sync().await;
        source
            .db
            .run("update sym_trigger set source_table_name = 'itme' where trigger_id = 'b'")
            .await;
        let report = source.try_sync().await.expect("report");
        assert_eq!(report.problems.len(), 1, "{report:?}");
        source.db.run("insert into item values (1)").await;
        assert_eq!(shared_by(source).await, [["a", "b"]]);
        source.db.run("create table itme (id int primary key)").await;
        assert_eq!(source.sync().await, ["a:C", "b:C"]);
        source
            .db
            .run("delete from sym_data; insert into item values (2); insert into itme values (3)")
            .await;
        assert_eq!(shared_by(source).await, [["a"], ["b"]]);
    })
    .await;
}
