//! How the rows of an initial load meet what stands in the target.

use crate::loads::{begin, step};
use crate::local_changes::Loaded;
use crate::node::{KINDS, delete, insert, item, rows, table, update};
use symstream_loader::LoadError;
use symstream_shared::db::DatabaseKind;
use symstream_shared::logical::LogicalType;
use symstream_shared::wire::{Change, LanePart, LoadBegin, LoadStep, Rows, TableInfo};

/// A batch of load 10 behind its first one.
fn part(batch_id: i64, previous: i64, rows: Rows) -> LanePart {
    LanePart {
        rows,
        ..step(10, batch_id, previous, LoadStep::Rows)
    }
}

/// `<name>(id, <column>)` with the key `id`.
fn referring(name: &str, column: &str) -> TableInfo {
    table(
        name,
        &[("id", LogicalType::Int), (column, LogicalType::Int)],
        &[0],
    )
}

fn of(table: u16, change: Change) -> Change {
    Change { table, ..change }
}

#[tokio::test]
async fn an_update_of_a_load_makes_no_row() {
    for kind in KINDS {
        let mut loaded = Loaded::start(kind).await;
        loaded
            .node
            .db
            .run("insert into item values (1, 'a'), (3, 'c')")
            .await;
        loaded.load(&begin(10, 0, LoadBegin::default())).await;
        let updates = ["1", "2", "3"].map(|id| update(&[id, "x"], &[id, "new"]));
        loaded.load(&part(11, 10, rows(item(), updates.into()))).await;
        assert_eq!(loaded.items().await, ["1|new", "3|new"], "{kind}");
    }
}

#[tokio::test]
async fn deletes_of_a_load_that_rows_refer_to_wait_for_the_others() {
    for kind in KINDS {
        // GIVEN a chain of rows, and tables that refer to each other
        let mut loaded = Loaded::start(kind).await;
        for statement in [
            "create table tree (id int primary key, parent int, foreign key (parent) references tree (id))",
            "create table team (id int primary key, head int)",
            "create table person (id int primary key, team int, foreign key (team) references team (id))",
            "insert into tree values (1, null), (2, 1), (3, 2), (4, null)",
            "insert into team values (1, 1), (2, null), (3, null)",
            "insert into person values (1, 1), (2, 3)",
        ] {
            loaded.node.db.run(statement).await;
        }
        loaded.load(&begin(10, 0, LoadBegin::default())).await;
        // WHEN their deletes come parents first THEN the rows are gone
        let deletes = Rows {
            tables: vec![
                referring("tree", "parent"),
                referring("team", "head"),
                referring("person", "team"),
            ],
            ..rows(
                item(),
                vec![
                    of(0, delete(&["1", "∅"])),
                    of(0, delete(&["2", "1"])),
                    of(0, delete(&["3", "2"])),
                    of(1, delete(&["1", "1"])),
                    of(1, delete(&["2", "∅"])),
                    of(2, delete(&["1", "1"])),
                    of(2, delete(&["7", "1"])),
                ],
            )
        };
        loaded.load(&part(11, 10, deletes)).await;
        let left = async |table: &str| {
            let question = format!("select id from {table} order by id");
            loaded.node.rows(&question).await
        };
        assert_eq!(left("tree").await, ["4"], "{kind}");
        assert_eq!(left("team").await, ["3"], "{kind}");
        assert_eq!(left("person").await, ["2"], "{kind}");
        let counted = "select row_count from sym_incoming_load";
        assert_eq!(loaded.node.rows(counted).await, ["7"], "{kind}");
        // WHEN one is of a row that another one refers to which stays THEN that is an error, and nothing is done.
        let refused = Rows {
            tables: vec![referring("tree", "parent"), referring("team", "head")],
            ..rows(
                item(),
                vec![of(0, delete(&["4", "∅"])), of(1, delete(&["3", "∅"]))],
            )
        };
        match loaded.try_load(&part(12, 11, refused)).await {
            Err(LoadError::Failed(result)) => {
                let failure = result.failure.expect("a failure");
                assert!(
                    failure.message.contains("table team, key id=3"),
                    "{kind}: {}",
                    failure.message
                );
                assert_eq!(failure.data_id, 102, "{kind}");
            }
            other => panic!("{kind}: {other:?}"),
        }
        assert_eq!(loaded.node.rows("select id from tree").await, ["4"], "{kind}");
    }
}

/// Writes what happens to each row of `item` into `log`, the inserts before they happen.
fn log_triggers(kind: DatabaseKind) -> String {
    let mut sql = String::from("create table log (what varchar(20));");
    for (time, event) in [("before", "insert"), ("after", "update")] {
        let letter = &event[..1];
        sql += &match kind {
            DatabaseKind::Postgres => format!(
                "create function log_{event}() returns trigger language plpgsql as $$ begin \
                 insert into log values ('{letter}' || new.id); return new; end $$; \
                 create trigger log_{event} {time} {event} on item for each row execute function log_{event}();"
            ),
            DatabaseKind::Mysql => format!(
                "create trigger log_{event} {time} {event} on item for each row \
                 insert into log values (concat('{letter}', new.id));"
            ),
            DatabaseKind::Sqlite => format!(
                "create trigger log_{event} {time} {event} on item begin \
                 insert into log values ('{letter}' || new.id); end;"
            ),
        };
    }
    sql
}

#[tokio::test]
async fn rows_that_are_here_become_updates_and_fire_nothing_else() {
    for kind in KINDS {
        for with_triggers in [false, true] {
            // GIVEN every second one of 600 rows
            let mut loaded = Loaded::start(kind).await;
            let ids = (1..=600).map(|id: i64| id.to_string());
            let here: Vec<String> = ids
                .clone()
                .step_by(2)
                .map(|id| format!("({id}, 'old')"))
                .collect();
            let here = format!("insert into item values {}", here.join(", "));
            loaded.node.db.run(&here).await;
            if with_triggers {
                loaded.node.db.run(&log_triggers(kind)).await;
            }
            // WHEN a load brings all of them
            loaded.load(&begin(10, 0, LoadBegin::default())).await;
            let inserts = ids.map(|id| insert(&[&id, "new"])).collect();
            loaded.load(&part(11, 10, rows(item(), inserts))).await;
            // THEN all are new, and a trigger fired once for each.
            let count = "select count(*) from item where name = 'new'";
            assert_eq!(loaded.node.rows(count).await, ["600"], "{kind}");
            if with_triggers {
                let fired = "select count(*), count(distinct what) from log where what like";
                for (what, of) in [("u%", 1), ("i%", 0)] {
                    let fired = loaded.node.rows(&format!("{fired} '{what}'")).await;
                    assert_eq!(fired, ["300|300"], "{kind} {what}");
                    let right = format!(
                        "select id from item where id % 2 = {of} and not exists (select 1 from log where what = {})",
                        match kind {
                            DatabaseKind::Mysql => format!("concat('{}', id)", &what[..1]),
                            _ => format!("'{}' || id", &what[..1]),
                        }
                    );
                    assert_eq!(
                        loaded.node.rows(&right).await,
                        Vec::<String>::new(),
                        "{kind} {what}"
                    );
                }
            }
        }
    }
}

#[tokio::test]
async fn a_row_with_another_rows_unique_value_does_not_take_its_place() {
    for kind in KINDS {
        let mut loaded = Loaded::start(kind).await;
        loaded
            .node
            .db
            .run("create unique index by_name on item (name)")
            .await;
        loaded
            .node
            .db
            .run("insert into item values (1, 'a'), (2, 'b')")
            .await;
        loaded.load(&begin(10, 0, LoadBegin::default())).await;
        for new in [[["1", "x"], ["3", "b"]], [["2", "b"], ["1", "b"]]] {
            let inserts = new.iter().map(|row| insert(row)).collect();
            match loaded.try_load(&part(11, 10, rows(item(), inserts))).await {
                Err(LoadError::Failed(_)) => {}
                other => panic!("{kind}: {other:?}"),
            }
            assert_eq!(loaded.items().await, ["1|a", "2|b"], "{kind}");
        }
        // Values that pass from row to row in their order do.
        let inserts = [["1", "x"], ["3", "a"], ["2", "y"], ["4", "b"]];
        let inserts = inserts.iter().map(|row| insert(row)).collect();
        loaded.load(&part(11, 10, rows(item(), inserts))).await;
        assert_eq!(loaded.items().await, ["1|x", "2|y", "3|a", "4|b"], "{kind}");
    }
}

#[tokio::test]
async fn early_deletes_make_place_where_nothing_refers_to_the_row() {
    for kind in KINDS {
        // GIVEN rows whose unique values other rows have at the source, one of them with a child
        let mut loaded = Loaded::start(kind).await;
        for statement in [
            "create unique index by_name on item (name)",
            "create table leaf (id int primary key, item int, foreign key (item) references item (id))",
            "insert into item values (1, 'a'), (2, 'b'), (3, 'c')",
            "insert into leaf values (1, 2)",
        ] {
            loaded.node.db.run(statement).await;
        }
        loaded.load(&begin(10, 0, LoadBegin::default())).await;
        // WHEN what is gone at the source goes first THEN that with a child stays for now, and is no error.
        let gone = || rows(item(), vec![delete(&["1", "a"]), delete(&["2", "b"])]);
        loaded
            .load(&LanePart {
                rows: gone(),
                ..step(10, 11, 10, LoadStep::Early)
            })
            .await;
        assert_eq!(loaded.items().await, ["2|b", "3|c"], "{kind}");
        loaded
            .load(&part(12, 11, rows(item(), vec![insert(&["4", "a"])])))
            .await;
        loaded
            .load(&part(
                13,
                12,
                rows(referring("leaf", "item"), vec![delete(&["1", "2"])]),
            ))
            .await;
        loaded.load(&part(14, 13, gone())).await;
        assert_eq!(loaded.items().await, ["3|c", "4|a"], "{kind}");
    }
}
