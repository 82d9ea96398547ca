//! How triggers are kept as the configuration and the tables want them.

use crate::source::{Server, Source, names_of_triggers, on_each};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use symstream_shared::db::{DatabaseKind, Sql};

#[tokio::test]
async fn each_reason_to_build_is_recorded_once() {
    on_each("reasons", async |source| {
        let kind = source.db.kind();
        source.db.run("create table item (id int primary key, a int, b int)").await;
        source.trigger("items", "item", "").await;
        assert_eq!(source.sync().await, ["items:N"]);
        let hist = source.db.rows("select column_names, pk_column_names, name_for_update_trigger from sym_trigger_hist").await;
        assert_eq!(hist[0][..2], ["id,a,b", "id"]);
        let update_trigger = &hist[0][2];
        assert!(update_trigger.len() <= 50, "{update_trigger}");
        source.db.run("alter table item add column c int").await;
        assert_eq!(source.sync().await, ["items:S"]);
        let drop = format!("drop trigger {}", kind.quote(update_trigger));
        source.db.run(&if kind == DatabaseKind::Postgres { format!("{drop} on item") } else { drop }).await;
        assert_eq!(source.sync().await, ["items:T"]);
        source.db.run("update sym_trigger set excluded_column_names = 'b'").await;
        assert_eq!(source.sync().await, ["items:C"]);
        source.db.run("update sym_trigger set sync_on_update = 0, sync_on_delete = 0, name_for_insert_trigger = 'My Name'").await;
        assert_eq!(source.sync().await, ["items:C"]);
        assert_eq!(source.db.rows(names_of_triggers(kind)).await, [["My Name"]]);
        assert_eq!(source.sync().await, [""; 0]);
        source.db.run("insert into item values (1, 2, 3, 4)").await;
        assert_eq!(source.take_texts().await, ["I 1|2|4 <-"]);
        let reasons = source
            .db
            .rows(
                "select last_trigger_build_reason, case when inactive_time is null then 1 else 0 end \
                 from sym_trigger_hist order by trigger_hist_id",
            )
            .await;
        assert_eq!(reasons, [["N", "0"], ["S", "0"], ["T", "0"], ["C", "0"], ["C", "1"]]);
    })
    .await;
}

#[tokio::test]
async fn triggers_go_with_their_rows_and_tables() {
    on_each("gone", async |source| {
        let kind = source.db.kind();
        for table in ["one", "two", "three", "four"] {
            source
                .db
                .run(&format!("create table {table} (id int primary key)"))
                .await;
        }
        for table in ["one", "two", "three"] {
            source.trigger(table, table, "").await;
        }
        source.sync().await;
        source
            .db
            .run("delete from sym_trigger where trigger_id = 'one'")
            .await;
        source
            .db
            .run(&format!(
                "update sym_trigger set inactive_time = {} where trigger_id = 'two'",
                kind.now()
            ))
            .await;
        source
            .db
            .run("update sym_trigger set source_table_name = 'four' where trigger_id = 'three'")
            .await;
        let report = source.try_sync().await.expect("triggers");
        let mut removed: Vec<_> = report
            .removed
            .iter()
            .map(|removed| removed.table.as_str())
            .collect();
        removed.sort_unstable();
        assert_eq!(removed, ["one", "three", "two"]);
        let names = source.db.rows(names_of_triggers(kind)).await;
        assert!(
            !names.is_empty() && names.iter().all(|name| name[0].contains("four")),
            "{names:?}"
        );
        let active = source
            .db
            .rows("select source_table_name from sym_trigger_hist where inactive_time is null")
            .await;
        assert_eq!(active, [["four"]]);
        source.db.run("drop table four").await;
        let report = source.try_sync().await.expect("the others go on");
        assert_eq!(report.problems.len(), 1);
        let problem = report.problems[0].to_string();
        assert!(
            problem.contains("trigger three, table four: there is no such table"),
            "{problem}"
        );
        source.db.run("create table four (id int primary key)").await;
        assert_eq!(source.sync().await, ["three:T"]);
        symstream_capture::sync_triggers::drop_all_triggers(source.db.database(), &source.tables)
            .await
            .expect("dropped");
        assert_eq!(
            source.db.rows(names_of_triggers(kind)).await,
            Vec::<Vec<String>>::new()
        );
    })
    .await;
}

#[tokio::test]
async fn an_expression_that_is_not_valid_is_a_problem_of_its_trigger_only() {
    on_each("expressions", async |source| {
        source.db.run("create table item (id int primary key)").await;
        source
            .trigger("bad", "item", "sync_on_insert_condition = 'new.nothing = 1'")
            .await;
        source
            .trigger("excluded", "item", "excluded_column_names = 'nothing'")
            .await;
        source.trigger("good", "item", "").await;
        let report = source.try_sync().await.expect("triggers");
        let mut problems: Vec<_> = report
            .problems
            .iter()
            .map(|note| note.trigger_id.as_str())
            .collect();
        problems.sort_unstable();
        assert_eq!(problems, ["bad", "excluded"]);
        source.db.run("insert into item values (1)").await;
        assert_eq!(source.take_texts().await, ["I 1 <-"]);
    })
    .await;
}

#[tokio::test]
async fn a_dry_run_changes_nothing_and_says_what_would_be_done() {
    on_each("dry", async |source| {
        source.db.run("create table item (id int primary key)").await;
        source.trigger("items", "item", "").await;
        let group = symstream_shared::id::GroupId::new("here").expect("group");
        let config = source.config().await;
        let report = symstream_capture::sync_triggers::sync_triggers(
            source.db.database(),
            &source.tables,
            &config,
            &group,
            true,
        )
        .await
        .expect("report");
        assert!(
            report.built[0]
                .statements
                .iter()
                .any(|sql| sql.contains("create"))
        );
        assert_eq!(source.db.number("select count(*) from sym_trigger_hist").await, 0);
        assert_eq!(
            source.db.rows(names_of_triggers(source.db.kind())).await,
            Vec::<Vec<String>>::new()
        );
    })
    .await;
}

#[tokio::test]
async fn rebuilding_loses_no_change() {
    on_each("rebuilding", async |source| {
        source
            .db
            .run("create table item (id int primary key, a int, b int)")
            .await;
        source.trigger("items", "item", "").await;
        source.sync().await;
        let stop = Arc::new(AtomicBool::new(false));
        let writers: Vec<_> = (0..2)
            .map(|writer| {
                let (db, stop) = (source.db.clone(), Arc::clone(&stop));
                tokio::spawn(async move {
                    let mut written = 0;
                    while !stop.load(Ordering::Relaxed) {
                        db.run(&format!(
                            "insert into item values ({}, 1, 2)",
                            written * 2 + writer
                        ))
                        .await;
                        written += 1;
                    }
                    written
                })
            })
            .collect();
        for round in 0..6 {
            let excluded = if round % 2 == 0 { "'b'" } else { "null" };
            source
                .db
                .run(&format!(
                    "update sym_trigger set excluded_column_names = {excluded}"
                ))
                .await;
            if round == 3 {
                source
                    .db
                    .run("update sym_trigger set name_for_insert_trigger = 'other'")
                    .await;
            }
            // A busy table is a problem for this once.
            loop {
                let report = source.try_sync().await.expect("triggers");
                if !report.built.is_empty() {
                    break;
                }
                assert!(
                    report.problems.iter().all(|note| note.message.contains("in use")),
                    "{report:?}"
                );
            }
        }
        stop.store(true, Ordering::Relaxed);
        let mut written = 0;
        for writer in writers {
            written += writer.await.expect("writer");
        }
        assert!(written > 0);
        assert_eq!(source.captured().await.len(), written, "{}", source.db.kind());
    })
    .await;
}

#[tokio::test]
async fn a_table_in_use_is_waited_for_without_a_trace() {
    // On PostgreSQL another text of a trigger does not need its table, but another trigger does.
    for (kind, change) in [
        (DatabaseKind::Postgres, "name_for_insert_trigger = 'other'"),
        (DatabaseKind::Mysql, "name_for_insert_trigger = 'other'"),
        (DatabaseKind::Mysql, "excluded_column_names = 'b'"),
    ] {
        let server = Server::start(kind).await;
        let source = Source::new(server.create_database("busy").await).await;
        source
            .db
            .run("create table item (id int primary key, b int)")
            .await;
        source.trigger("items", "item", "").await;
        source.sync().await;
        // GIVEN a transaction that has the table
        let mut user = source.db.begin().await.expect("transaction");
        user.execute("insert into item values (1, 1)", &[])
            .await
            .expect("insert");
        source.db.run(&format!("update sym_trigger set {change}")).await;
        // WHEN its triggers have to change THEN it is a problem, and no history is left of the attempts
        for _ in 0..3 {
            let report = source.try_sync().await.expect("report");
            assert_eq!(report.problems.len(), 1, "{report:?}");
            assert!(report.problems[0].message.contains("in use"), "{report:?}");
        }
        let histories = "select count(*) from sym_trigger_hist";
        assert_eq!(source.db.number(histories).await, 1);
        user.commit().await.expect("commit");
        assert_eq!(source.sync().await, ["items:C"]);
        assert_eq!(source.db.number(histories).await, 2);
        source.db.run("insert into item values (2, 2)").await;
        assert_eq!(source.captured().await.len(), 2);
    }
}
