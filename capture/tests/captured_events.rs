//! What of a `sym_trigger` row decides which changes are captured, and what a captured table does not promise.

use crate::source::{Server, Source, names_of_triggers, on_each};
use symstream_shared::db::DatabaseKind;

/// The messages of a synchronisation's warnings.
async fn warnings(source: &Source) -> Vec<String> {
    let report = source.try_sync().await.expect("report");
    assert_eq!(report.problems, vec![]);
    report.warnings.into_iter().map(|note| note.message).collect()
}

#[tokio::test]
async fn each_event_is_captured_only_where_it_is_wanted() {
    on_each("events", async |source| {
        for (table, more) in [
            ("no_insert", "sync_on_insert = 0"),
            ("no_update", "sync_on_update = 0"),
            ("no_delete", "sync_on_delete = 0"),
        ] {
            source
                .db
                .run(&format!("create table {table} (id int primary key, a int)"))
                .await;
            source.trigger(table, table, more).await;
        }
        source.sync().await;
        for table in ["no_insert", "no_update", "no_delete"] {
            source.db.run(&format!("insert into {table} values (1, 1)")).await;
            source.db.run(&format!("update {table} set a = 2")).await;
            source.db.run(&format!("delete from {table}")).await;
        }
        let events = "select table_name, event_type from sym_data order by data_id";
        assert_eq!(
            source.db.rows(events).await,
            [
                ["no_insert", "U"],
                ["no_insert", "D"],
                ["no_update", "I"],
                ["no_update", "D"],
                ["no_delete", "I"],
                ["no_delete", "U"]
            ]
        );
        // Neither is there a trigger for it.
        let names = source.db.rows(names_of_triggers(source.db.kind())).await;
        let truncates = if source.db.kind() == DatabaseKind::Postgres {
            2
        } else {
            0
        };
        assert_eq!(names.len(), 6 + truncates);
    })
    .await;
}

#[tokio::test]
async fn a_table_of_another_schema_is_captured() {
    for (kind, schema) in [(DatabaseKind::Postgres, "Shop"), (DatabaseKind::Mysql, "Shop")] {
        let server = Server::start(kind).await;
        let source = Source::new(server.create_database("two_schemas").await).await;
        let (schema, quoted) = (schema, kind.quote(schema));
        source
            .db
            .run(&format!(
                "create schema {quoted}; create table {quoted}.item (id int primary key, a int); \
                 create table item (id int primary key, a int)"
            ))
            .await;
        source
            .trigger(
                "far",
                "item",
                &format!("source_schema_name = '{schema}', sync_on_update_condition = 'new.a > old.a'"),
            )
            .await;
        source.trigger("near", "item", "sync_on_update = 0").await;
        assert_eq!(source.sync().await, ["far:N", "near:N"]);
        assert_eq!(source.sync().await, [""; 0]);
        source
            .db
            .run(&format!(
                "insert into {quoted}.item values (1, 1); insert into item values (2, 2)"
            ))
            .await;
        source
            .db
            .run(&format!("update {quoted}.item set a = a - id"))
            .await;
        source.db.run(&format!("update {quoted}.item set a = 5")).await;
        source.db.run("update item set a = 5").await;
        let tables = source.captured().await;
        let ids: Vec<_> = tables.into_iter().map(|row| row.trigger_ids).collect();
        assert_eq!(ids, [["far"], ["near"], ["far"]]);
        assert_eq!(
            source.take_texts().await,
            ["I 1|1 <-", "I 2|2 <-", "U 1|5 <- 1|0"]
        );
        let histories = "select trigger_id, source_schema_name from sym_trigger_hist order by trigger_id";
        assert_eq!(source.db.rows(histories).await[0], ["far", schema]);
        // An `alter table` there is noticed, and its triggers go again.
        source
            .db
            .run(&format!("alter table {quoted}.item add column b int"))
            .await;
        assert_eq!(source.sync().await, ["far:S"]);
        source
            .db
            .run("delete from sym_trigger where trigger_id = 'far'")
            .await;
        source.try_sync().await.expect("triggers");
        source
            .db
            .run(&format!("insert into {quoted}.item values (3, 3, 3)"))
            .await;
        assert_eq!(source.take_texts().await, [""; 0]);
        source
            .db
            .run(&format!("drop table {quoted}.item; drop schema {quoted}"))
            .await;
    }
}

#[tokio::test]
async fn an_inactive_trigger_captures_nothing_and_comes_back_as_changed() {
    on_each("inactive", async |source| {
        source.db.run("create table item (id int primary key)").await;
        source.trigger("items", "item", "").await;
        source
            .trigger("never", "item", "inactive_time = create_time")
            .await;
        assert_eq!(source.sync().await, ["items:N"]);
        source
            .db
            .run("update sym_trigger set inactive_time = create_time where trigger_id = 'items'")
            .await;
        source.sync().await;
        source.db.run("insert into item values (1)").await;
        assert_eq!(source.captured().await.len(), 0);
        source.db.run("update sym_trigger set inactive_time = null").await;
        assert_eq!(source.sync().await, ["items:C", "never:N"]);
        source.db.run("insert into item values (2)").await;
        assert_eq!(source.captured().await[0].trigger_ids, ["items", "never"]);
    })
    .await;
}

#[tokio::test]
async fn who_changed_a_trigger_is_said_with_what_became_of_it() {
    on_each("updated", async |source| {
        source.db.run("create table item (id int primary key)").await;
        source.trigger("items", "item", "last_updated_by = 'anna'").await;
        let report = source.try_sync().await.expect("report");
        assert_eq!(report.built[0].updated, None, "nobody changed anything");
        source
            .db
            .run(
                "update sym_trigger set sync_on_delete = 0, last_updated_by = 'bertha', \
                 last_updated_time = '2022-03-04 05:06:07'",
            )
            .await;
        let report = source.try_sync().await.expect("report");
        let updated = report.built[0].updated.clone().expect("changed");
        assert_eq!(updated.by.as_deref(), Some("bertha"));
        let time = updated.time.expect("time");
        assert!(time.starts_with("2022-03-04 05:06:07"), "{time}");
    })
    .await;
}

#[tokio::test]
async fn what_fires_no_trigger_on_mariadb_is_warned_about() {
    let server = Server::start(DatabaseKind::Mysql).await;
    let source = Source::new(server.create_database("silent").await).await;
    source
        .db
        .run(
            "create table parent (id int primary key); \
             create table child (id int primary key, parent int, constraint belongs foreign key (parent) \
             references parent (id) on delete cascade); \
             create table plain (id int primary key) engine = aria",
        )
        .await;
    for table in ["parent", "child", "plain"] {
        source.trigger(table, table, "").await;
    }
    let warnings = warnings(&source).await;
    let has = |text: &str| warnings.iter().filter(|warning| warning.contains(text)).count();
    assert_eq!(has("TRUNCATE"), 3, "{warnings:?}");
    assert_eq!(has("foreign key belongs"), 1, "{warnings:?}");
    assert_eq!(has("Aria"), 1, "{warnings:?}");
    // As it is warned: the cascade is not captured, and neither is the truncation.
    source
        .db
        .run("insert into parent values (1); insert into child values (2, 1); delete from sym_data")
        .await;
    source.db.run("delete from parent").await;
    source
        .db
        .run("insert into plain values (1); truncate plain")
        .await;
    assert_eq!(source.take_texts().await, ["D  <- 1", "I 1 <-"]);
}

#[tokio::test]
async fn what_fires_no_trigger_on_sqlite_is_warned_about() {
    let server = Server::start(DatabaseKind::Sqlite).await;
    let source = Source::new(server.create_database("silent").await).await;
    source
        .db
        .run("create table item (id integer primary key, code text unique); create table plain (id integer primary key)")
        .await;
    source.trigger("items", "item", "").await;
    source.trigger("plain", "plain", "").await;
    let warnings = warnings(&source).await;
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("REPLACE"), "{warnings:?}");
    source.db.run("insert into item values (1, 'a')").await;
    source.db.run("replace into item values (2, 'a')").await;
    source
        .db
        .run("replace into plain values (1); replace into plain values (1)")
        .await;
    // As it is warned: the row that was removed by its other key is missed. A second row under the primary key is an
    // insert again, which becomes an update at a target.
    assert_eq!(
        source.take_texts().await,
        ["I 1|a <-", "I 2|a <-", "I 1 <-", "I 1 <-"]
    );
    // Where the application has the pragma set, nothing is missed.
    source
        .on_one_connection(&[
            "pragma recursive_triggers = on",
            "replace into item values (3, 'a')",
        ])
        .await;
    assert_eq!(source.take_texts().await, ["D  <- 2|a", "I 3|a <-"]);
}

#[tokio::test]
async fn the_switch_of_the_loader_ends_with_its_transaction() {
    let server = Server::start(DatabaseKind::Postgres).await;
    let source = Source::new(server.create_database("switch").await).await;
    source.db.run("create table item (id int primary key)").await;
    source.trigger("items", "item", "").await;
    source
        .trigger("relayed", "item", "sync_on_incoming_batch = 1")
        .await;
    source.sync().await;
    source
        .on_one_connection(&[
            "begin; select set_config('symstream.source_node', 'first,far', true); insert into item values (1); commit",
            "insert into item values (2)",
            "begin; select set_config('symstream.source_node', 'far', true); rollback",
            "truncate item",
        ])
        .await;
    let captured: Vec<_> = source
        .take()
        .await
        .into_iter()
        .map(|row| (row.event, row.trigger_ids[0].clone(), row.origin))
        .collect();
    let row = |event: &str, trigger: &str, origin: Option<&str>| {
        (event.to_owned(), trigger.to_owned(), origin.map(str::to_owned))
    };
    assert_eq!(
        captured,
        [
            row("I", "relayed", Some("first,far")),
            row("I", "items", None),
            row("I", "relayed", None),
            row("D", "items", None),
            row("D", "items", None),
            row("D", "relayed", None),
            row("D", "relayed", None),
        ]
    );
}
