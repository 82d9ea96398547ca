//! Names that `sym_trigger` rows give their triggers: one that cannot be had is a problem that says so, the application's
//! triggers stay as they are, and what was captured before goes on being captured.

use crate::source::{Source, names_of_triggers, on_each};
use symstream_shared::db::DatabaseKind;

/// Synchronises twice, as the agent does again and again. Returns the problems, which have to be the same both times.
async fn problems(source: &Source) -> Vec<String> {
    let mut first = None;
    for _ in 0..2 {
        let report = source.try_sync().await.expect("triggers");
        let problems: Vec<String> = report.problems.iter().map(ToString::to_string).collect();
        assert_eq!(*first.get_or_insert_with(|| problems.clone()), problems);
    }
    first.unwrap_or_default()
}

/// Gives the triggers of `id` names, of which the database's triggers take none: `item` is captured as before.
async fn refuses(source: &Source, id: &str, set: &str, says: &[&str]) {
    let kind = source.db.kind();
    let names = || async { source.db.rows(names_of_triggers(kind)).await };
    let before = names().await;
    source
        .db
        .run(&format!("update sym_trigger set {set} where trigger_id = '{id}'"))
        .await;
    let found = problems(source).await;
    assert_eq!(found.len(), 1, "{kind}: {found:?}");
    for text in says.iter().chain(&[id]) {
        assert!(found[0].contains(text), "{kind}: {found:?}");
    }
    assert_eq!(names().await, before, "{kind}");
    source.db.run("delete from sym_data").await;
    source
        .db
        .run("insert into item values (1); delete from item")
        .await;
    assert_eq!(source.take_texts().await, ["I 1 <-", "D  <- 1"], "{kind}");
    source
        .db
        .run(
            "update sym_trigger set name_for_insert_trigger = null, name_for_update_trigger = null, \
             name_for_delete_trigger = null",
        )
        .await;
    source.sync().await;
}

async fn captured_item(source: &Source) {
    source
        .db
        .run("create table item (id int primary key); create table other (id int primary key)")
        .await;
    source.trigger("items", "item", "").await;
    source.sync().await;
}

#[tokio::test]
async fn one_name_for_two_events_is_refused() {
    on_each("two_events", async |source| {
        captured_item(source).await;
        let set = "name_for_insert_trigger = 'same', name_for_update_trigger = 'same'";
        refuses(source, "items", set, &["name_for_update_trigger is \"same\""]).await;
        // Not where the second event has no trigger.
        source
            .db
            .run(&format!("update sym_trigger set {set}, sync_on_update = 0"))
            .await;
        source.sync().await;
        source.db.run("insert into item values (1)").await;
        assert_eq!(source.take_texts().await, ["I 1 <-"]);
    })
    .await;
}

#[tokio::test]
async fn a_name_that_the_database_would_shorten_is_refused() {
    on_each("shortened", async |source| {
        captured_item(source).await;
        let (longest, limit) = match source.db.kind() {
            DatabaseKind::Postgres => (format!("{}x", "ü".repeat(31)), "63 bytes"),
            DatabaseKind::Mysql => (format!("ü{}", "n".repeat(63)), "64 characters"),
            DatabaseKind::Sqlite => ("ü".repeat(200), ""),
        };
        if source.db.kind() != DatabaseKind::Sqlite {
            let set = format!("name_for_insert_trigger = '{longest}x'");
            refuses(source, "items", &set, &[limit, "name_for_insert_trigger"]).await;
        }
        source
            .db
            .run(&format!(
                "update sym_trigger set name_for_insert_trigger = '{longest}'"
            ))
            .await;
        assert_eq!(source.sync().await, ["items:C"]);
        assert_eq!(source.sync().await, [""; 0]);
        source.db.run("insert into item values (1)").await;
        assert_eq!(source.take_texts().await, ["I 1 <-"]);
    })
    .await;
}

#[tokio::test]
async fn the_applications_triggers_keep_their_names() {
    on_each("own", async |source| {
        captured_item(source).await;
        let kind = source.db.kind();
        for table in ["item", "other"] {
            source.db.run(&format!("create table {table}_log (id int)")).await;
            let create = format!("create trigger {table}_app before insert on {table} for each row");
            let insert = format!("insert into {table}_log values (new.id)");
            source
                .db
                .run(&match kind {
                    DatabaseKind::Postgres => format!(
                        "create function {table}_app() returns trigger language plpgsql as \
                         $$ begin {insert}; return new; end $$; {create} execute function {table}_app()"
                    ),
                    DatabaseKind::Mysql => format!("{create} {insert}"),
                    DatabaseKind::Sqlite => format!("{create} begin {insert}; end"),
                })
                .await;
        }
        source.sync().await;
        let set = "name_for_insert_trigger = 'item_app'";
        refuses(source, "items", set, &["\"item_app\"", "not ours"]).await;
        // The names of another table's triggers are free on PostgreSQL only.
        if kind != DatabaseKind::Postgres {
            let set = "name_for_insert_trigger = 'other_app'";
            refuses(source, "items", set, &["table other", "not ours"]).await;
        }
        source.db.run("insert into other values (5)").await;
        assert_eq!(source.db.number("select count(*) from other_log").await, 1);
        assert!(source.db.number("select count(*) from item_log").await > 0);
        // One that is not captured yet is refused alone.
        source
            .trigger("more", "item", "name_for_insert_trigger = 'item_app'")
            .await;
        let found = problems(source).await;
        assert!(found.len() == 1 && found[0].contains("trigger more"), "{found:?}");
        source.db.run("insert into item values (2)").await;
        assert_eq!(source.take_texts().await, ["I 2 <-"]);
    })
    .await;
}

#[tokio::test]
async fn two_tables_with_one_name_do_not_take_it_from_each_other() {
    on_each("two_tables", async |source| {
        captured_item(source).await;
        let kind = source.db.kind();
        source
            .db
            .run("update sym_trigger set name_for_insert_trigger = 'Shared'")
            .await;
        source.sync().await;
        source
            .trigger("others", "other", "name_for_insert_trigger = 'shared'")
            .await;
        let found = problems(source).await;
        if kind == DatabaseKind::Postgres {
            assert_eq!(found, [""; 0]);
        } else {
            assert!(
                found.len() == 1 && found[0].contains("trigger others, table other"),
                "{found:?}"
            );
            assert!(found[0].contains("table item has a trigger"), "{found:?}");
        }
        source.db.run("insert into item values (1)").await;
        assert_eq!(source.take_texts().await, ["I 1 <-"]);
        source
            .db
            .run("update sym_trigger set name_for_insert_trigger = 'mine' where trigger_id = 'others'")
            .await;
        source.sync().await;
        source
            .db
            .run("insert into item values (2); insert into other values (3)")
            .await;
        assert_eq!(source.take_texts().await, ["I 2 <-", "I 3 <-"]);
    })
    .await;
}

#[tokio::test]
async fn a_named_trigger_moves_to_another_table() {
    on_each("moves", async |source| {
        captured_item(source).await;
        source
            .db
            .run("update sym_trigger set name_for_insert_trigger = 'mine'")
            .await;
        source.sync().await;
        source
            .db
            .run("update sym_trigger set source_table_name = 'other'")
            .await;
        // The name is free when the old table is done.
        let report = source.try_sync().await.expect("triggers");
        let waits = usize::from(source.db.kind() != DatabaseKind::Postgres);
        assert_eq!(report.problems.len(), waits, "{report:?}");
        source.sync().await;
        source
            .db
            .run("insert into item values (1); insert into other values (2)")
            .await;
        assert_eq!(source.take_texts().await, ["I 2 <-"]);
    })
    .await;
}

#[tokio::test]
async fn names_may_be_swapped_and_spelled_otherwise() {
    on_each("swapped", async |source| {
        captured_item(source).await;
        for (insert, delete) in [("one", "two"), ("two", "one"), ("TWO", "One"), ("One", "TWO")] {
            source
                .db
                .run(&format!(
                    "update sym_trigger set name_for_insert_trigger = '{insert}', name_for_delete_trigger = '{delete}'"
                ))
                .await;
            assert_eq!(source.sync().await, ["items:C"]);
            assert_eq!(source.sync().await, [""; 0]);
            source.db.run("insert into item values (1); delete from item").await;
            assert_eq!(source.take_texts().await, ["I 1 <-", "D  <- 1"]);
        }
    })
    .await;
}
