//! Inserts, updates and deletes meet what stands in the target.

use crate::node::{CREATE_ITEM, KINDS, Node, delete, insert, item, rows, table, update};
use symstream_loader::LoadError;
use symstream_shared::db::DatabaseKind;
use symstream_shared::logical::LogicalType;
use symstream_shared::wire::BatchFailure;

fn failure(result: Result<impl std::fmt::Debug, LoadError>) -> BatchFailure {
    match result {
        Err(LoadError::Failed(result)) => result.failure.expect("a failure"),
        other => panic!("{other:?}"),
    }
}

/// Writes each change of `item` into `log`.
fn log_triggers(kind: DatabaseKind) -> String {
    let mut sql = String::from("create table log (what varchar(20));");
    for (event, row) in [("insert", "new"), ("update", "new"), ("delete", "old")] {
        let letter = &event[..1];
        sql += &match kind {
            DatabaseKind::Postgres => format!(
                "create function log_{event}() returns trigger language plpgsql as $$ begin \
                 insert into log values ('{letter}' || {row}.id); return null; end $$; \
                 create trigger log_{event} after {event} on item for each row execute function log_{event}();"
            ),
            DatabaseKind::Mysql => format!(
                "create trigger log_{event} after {event} on item for each row \
                 insert into log values (concat('{letter}', {row}.id));"
            ),
            DatabaseKind::Sqlite => format!(
                "create trigger log_{event} after {event} on item begin \
                 insert into log values ('{letter}' || {row}.id); end;"
            ),
        };
    }
    sql
}

#[tokio::test]
async fn each_change_ends_as_the_source_has_it_and_fires_the_targets_trigger_once() {
    for kind in KINDS {
        // GIVEN rows 1 to 3, of which the source knows 3 only
        let mut node = Node::start(kind).await;
        node.db.run(CREATE_ITEM).await;
        node.db
            .run("insert into item values (1, 'one'), (2, 'two'), (3, 'three')")
            .await;
        node.db.run(&log_triggers(kind)).await;

        // WHEN inserts meet rows, updates and deletes meet none
        node.load(rows(
            item(),
            vec![
                insert(&["4", "d"]),
                insert(&["2", "b"]),
                insert(&["5", "e"]),
                update(&["3", "three"], &["3", "c"]),
                update(&["6", "f"], &["6", "F"]),
                update(&["4", "d"], &["4", "D"]),
                delete(&["1", "one"]),
                delete(&["9", "i"]),
                insert(&["1", "a"]),
            ],
        ))
        .await
        .unwrap_or_else(|err| panic!("{kind}: {err}"));

        // THEN
        assert_eq!(
            node.rows("select id, name from item order by id").await,
            ["1|a", "2|b", "3|c", "4|D", "5|e", "6|F"],
            "{kind}"
        );
        let mut fired = node.rows("select what from log").await;
        fired.sort();
        assert_eq!(fired, ["d1", "i1", "i4", "i5", "i6", "u2", "u3", "u4"], "{kind}");
    }
}

#[tokio::test]
async fn a_changed_key_moves_the_row() {
    for kind in KINDS {
        let mut node = Node::start(kind).await;
        node.db.run(CREATE_ITEM).await;
        node.db.run("insert into item values (1, 'a'), (2, 'b')").await;
        node.load(rows(
            item(),
            vec![
                update(&["1", "a"], &["7", "a"]),
                update(&["2", "b"], &["1", "b"]),
                update(&["8", "x"], &["9", "x"]),
            ],
        ))
        .await
        .unwrap_or_else(|err| panic!("{kind}: {err}"));
        assert_eq!(
            node.rows("select id, name from item order by id").await,
            ["1|b", "7|a", "9|x"]
        );
    }
}

#[tokio::test]
async fn rows_without_a_key_are_changed_one_at_a_time() {
    for kind in KINDS {
        let mut node = Node::start(kind).await;
        node.db
            .run("create table item (id int, name varchar(10), note varchar(10))")
            .await;
        let mut info = table(
            "item",
            &[
                ("id", LogicalType::Int),
                ("name", LogicalType::Text),
                ("note", LogicalType::Text),
            ],
            &[0, 1, 2],
        );
        info.column_level = true;
        let twin: &[&str] = &["1", "a", "∅"];
        node.load(rows(
            info,
            vec![
                insert(twin),
                insert(twin),
                insert(twin),
                delete(twin),
                update(twin, &["1", "A", "∅"]),
                delete(&["1", "a", "x"]),
            ],
        ))
        .await
        .unwrap_or_else(|err| panic!("{kind}: {err}"));
        let mut found = node.rows("select id, name, note from item").await;
        found.sort();
        assert_eq!(found, ["1|A|∅", "1|a|∅"], "{kind}");
    }
}

#[tokio::test]
async fn a_failed_row_is_named_and_nothing_of_its_batch_stays() {
    for kind in KINDS {
        let mut node = Node::start(kind).await;
        node.db.run(CREATE_ITEM).await;
        let failure = failure(
            node.load(rows(
                item(),
                vec![
                    insert(&["1", "a"]),
                    insert(&["2", "b"]),
                    insert(&["3", "∅"]),
                    insert(&["4", "d"]),
                ],
            ))
            .await,
        );
        assert_eq!((failure.row_number, failure.data_id), (3, 103), "{kind}");
        assert!(
            failure.message.starts_with("table item, key id=3: "),
            "{}",
            failure.message
        );
        let state = match kind {
            DatabaseKind::Postgres => ("23502", 0),
            DatabaseKind::Mysql => ("23000", 1048),
            DatabaseKind::Sqlite => ("", 1299),
        };
        assert_eq!((failure.sql_state.as_str(), failure.sql_code), state, "{kind}");
        assert_eq!(node.db.number("select count(*) from item").await, 0);
        assert_eq!(node.db.number("select batch_id from sym_incoming_lane").await, 0);
        assert_eq!(node.db.number("select count(*) from sym_incoming_batch").await, 0);
    }
}

#[tokio::test]
async fn a_duplicate_of_another_unique_key_never_changes_another_row() {
    for kind in KINDS {
        let mut node = Node::start(kind).await;
        node.db.run(CREATE_ITEM).await;
        node.db.run("create unique index name_once on item (name)").await;
        node.db.run("insert into item values (1, 'a')").await;
        for change in [insert(&["2", "a"]), update(&["2", "b"], &["2", "a"])] {
            let failure = failure(node.load(rows(item(), vec![change])).await);
            assert_eq!(failure.row_number, 1);
        }
        assert_eq!(node.rows("select id, name from item").await, ["1|a"], "{kind}");
    }
}

#[tokio::test]
async fn what_the_target_lacks_is_named() {
    for kind in KINDS {
        let mut node = Node::start(kind).await;
        let missing = failure(node.load(rows(item(), vec![insert(&["1", "a"])])).await);
        assert_eq!(missing.message, "table item does not exist here");

        node.db.run("create table item (id int primary key)").await;
        let missing = failure(node.load(rows(item(), vec![insert(&["1", "a"])])).await);
        assert_eq!(
            missing.message,
            "table item has no column name; add it, or exclude it from the trigger"
        );

        // A table that is altered meanwhile needs no restart.
        node.db.run("alter table item add Name varchar(10)").await;
        node.load(rows(item(), vec![insert(&["1", "a"])]))
            .await
            .expect("applied");
        node.db.run("alter table item add extra varchar(10)").await;
        node.load(rows(item(), vec![insert(&["2", "b"])]))
            .await
            .expect("applied");
    }
}

#[tokio::test]
async fn a_table_without_transactions_is_refused() {
    let mut node = Node::start(DatabaseKind::Mysql).await;
    for engine in ["MyISAM", "Aria"] {
        node.db
            .run(&format!(
                "create table item (id int primary key, name varchar(10)) engine={engine}"
            ))
            .await;
        let refused = failure(node.load(rows(item(), vec![insert(&["1", "a"])])).await);
        assert!(
            refused.message.contains("which has no transactions"),
            "{}",
            refused.message
        );
        node.db.run("drop table item").await;
    }
}

#[tokio::test]
async fn postgres_takes_identities_generated_columns_schemas_and_odd_names() {
    let mut node = Node::start(DatabaseKind::Postgres).await;
    node.db
        .run(
            "create schema \"My Shop\"; create table \"My Shop\".\"Or\"\"der\" (\
             \"Id\" int generated always as identity primary key, \"select\" text, \
             twice text generated always as (\"select\" || \"select\") stored)",
        )
        .await;
    let mut info = table(
        "Or\"der",
        &[
            ("Id", LogicalType::Int),
            ("select", LogicalType::Text),
            ("twice", LogicalType::Text),
        ],
        &[0],
    );
    info.target_schema = Some("My Shop".into());
    node.load(rows(
        info,
        vec![
            insert(&["5", "a", "aa"]),
            insert(&["6", "b", "bb"]),
            update(&["5", "a", "aa"], &["5", "c", "cc"]),
            update(&["6", "b", "bb"], &["6", "d", "dd"]),
        ],
    ))
    .await
    .expect("applied");
    assert_eq!(
        node.rows("select * from \"My Shop\".\"Or\"\"der\" order by 1")
            .await,
        ["5|c|cc", "6|d|dd"]
    );
}

#[tokio::test]
async fn many_rows_go_together_and_keep_their_order() {
    for kind in KINDS {
        let mut node = Node::start(kind).await;
        node.db
            .run("create table node (id int primary key, parent int references node (id), name varchar(10))")
            .await;
        let info = || {
            table(
                "node",
                &[
                    ("id", LogicalType::Int),
                    ("parent", LogicalType::Int),
                    ("name", LogicalType::Text),
                ],
                &[0],
            )
        };
        let texts: Vec<[String; 3]> = (1..=1200)
            .map(|id| {
                [
                    id.to_string(),
                    if id == 1 {
                        "∅".into()
                    } else {
                        (id - 1).to_string()
                    },
                    "x".into(),
                ]
            })
            .collect();
        let row = |texts: &[String; 3]| texts.each_ref().map(|text| text.clone());
        let as_refs = |texts: &[String; 3]| {
            texts
                .iter()
                .map(String::as_str)
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let inserts = texts.iter().map(|t| {
            let owned = as_refs(&row(t));
            insert(&owned.iter().map(String::as_str).collect::<Vec<_>>())
        });
        node.load(rows(info(), inserts.collect()))
            .await
            .unwrap_or_else(|err| panic!("{kind}: {err}"));
        assert_eq!(node.db.number("select count(*) from node").await, 1200, "{kind}");
        let deletes = texts.iter().rev().map(|t| {
            let owned = as_refs(&row(t));
            delete(&owned.iter().map(String::as_str).collect::<Vec<_>>())
        });
        node.load(rows(info(), deletes.collect()))
            .await
            .unwrap_or_else(|err| panic!("{kind}: {err}"));
        assert_eq!(node.db.number("select count(*) from node").await, 0, "{kind}");
    }
}

#[tokio::test]
async fn what_rolls_sqlites_transaction_back_leaves_nothing_of_its_batch() {
    let mut node = Node::start(DatabaseKind::Sqlite).await;
    node.db.run(CREATE_ITEM).await;
    node.db
        .run(
            "create trigger refuse before insert on item when new.name = 'bad' \
             begin select raise(rollback, 'no bad names'); end",
        )
        .await;
    // More often than the pool has connections.
    for _ in 0..20 {
        let changes = vec![insert(&["1", "a"]), insert(&["2", "bad"]), insert(&["3", "c"])];
        let failure = failure(node.load(rows(item(), changes)).await);
        assert!(failure.message.ends_with("no bad names"), "{}", failure.message);
        assert_eq!(node.db.number("select count(*) from item").await, 0);
        assert_eq!(
            node.db
                .number("select count(*) from sym_state where state_key = 'loading'")
                .await,
            0
        );
    }
    node.load(rows(item(), vec![insert(&["1", "a"])]))
        .await
        .expect("applied");
}

#[tokio::test]
async fn a_constraint_that_ignores_replaces_or_rolls_back_neither_drops_a_row_nor_another_one() {
    for clause in ["ignore", "replace", "rollback"] {
        let mut node = Node::start(DatabaseKind::Sqlite).await;
        node.db
            .run(&format!(
                "create table item (id int primary key on conflict {clause}, \
                 name varchar(10) not null unique on conflict {clause})"
            ))
            .await;
        node.db.run("insert into item values (1, 'a'), (2, 'b')").await;
        node.load(rows(item(), vec![insert(&["1", "A"]), insert(&["3", "c"])]))
            .await
            .unwrap_or_else(|err| panic!("{clause}: {err}"));
        for change in [
            insert(&["4", "b"]),
            update(&["3", "c"], &["3", "b"]),
            insert(&["4", "∅"]),
        ] {
            failure(node.load(rows(item(), vec![change])).await);
        }
        assert_eq!(
            node.rows("select id, name from item order by id").await,
            ["1|A", "2|b", "3|c"],
            "{clause}"
        );
    }
}

#[tokio::test]
async fn postgres_updates_rows_whose_identity_is_no_key() {
    let mut node = Node::start(DatabaseKind::Postgres).await;
    node.db
        .run("create table item (id int primary key, number int generated always as identity, name text)")
        .await;
    let columns = [
        ("id", LogicalType::Int),
        ("number", LogicalType::Int),
        ("name", LogicalType::Text),
    ];
    let info = || table("item", &columns, &[0]);
    node.load(rows(
        info(),
        vec![
            insert(&["1", "11", "a"]),
            insert(&["2", "12", "b"]),
            update(&["1", "11", "a"], &["1", "11", "A"]),
            update(&["2", "12", "b"], &["2", "12", "B"]),
            update(&["1", "11", "A"], &["1", "11", "α"]),
            insert(&["2", "12", "β"]),
        ],
    ))
    .await
    .expect("applied");
    let other = [
        insert(&["1", "99", "x"]),
        update(&["1", "11", "α"], &["1", "99", "x"]),
    ];
    for change in other {
        let failure = failure(node.load(rows(info(), vec![change])).await);
        assert!(failure.message.contains("number"), "{}", failure.message);
    }
    assert_eq!(
        node.rows("select * from item order by 1").await,
        ["1|11|α", "2|12|β"]
    );
}

#[tokio::test]
async fn keys_that_a_collation_takes_for_the_same_are_never_merged() {
    for (kind, declared) in [
        (DatabaseKind::Mysql, "varchar(10) collate utf8mb4_general_ci"),
        (DatabaseKind::Mysql, "char(10) collate utf8mb4_general_ci"),
        (DatabaseKind::Sqlite, "varchar(10) collate nocase"),
    ] {
        let mut node = Node::start(kind).await;
        node.db
            .run(&format!(
                "create table item (id {declared} primary key, name varchar(10))"
            ))
            .await;
        let columns = [("id", LogicalType::Text), ("name", LogicalType::Text)];
        let info = || table("item", &columns, &[0]);
        node.load(rows(
            info(),
            vec![insert(&["A", "a"]), insert(&["b", "b"]), insert(&["é", "e"])],
        ))
        .await
        .unwrap_or_else(|err| panic!("{kind}: {err}"));
        for change in [
            insert(&["a", "x"]),
            update(&["a", "x"], &["a", "y"]),
            delete(&["a", "x"]),
        ] {
            let failed = vec![delete(&["b", "b"]), delete(&["c", "c"]), change];
            let failure = failure(node.load(rows(info(), failed)).await);
            assert_eq!(failure.row_number, 3, "{kind} {}", failure.message);
            assert!(
                failure.message.starts_with("table item, key id=a: "),
                "{kind} {}",
                failure.message
            );
        }
        assert_eq!(
            node.rows("select * from item order by name").await,
            ["A|a", "b|b", "é|e"]
        );

        // The same to the byte, or another case from the same source: what the source says.
        node.load(rows(
            info(),
            vec![
                update(&["A", "a"], &["a", "1"]),
                update(&["é", "e"], &["é", "2"]),
                delete(&["b", "b"]),
                delete(&["c", "c"]),
                insert(&["é", "3"]),
            ],
        ))
        .await
        .unwrap_or_else(|err| panic!("{kind} {declared}: {err}"));
        assert_eq!(
            node.rows("select * from item order by name").await,
            ["a|1", "é|3"]
        );
    }
}
