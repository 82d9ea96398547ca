//! How the rows of an initial load meet what stands in the target.

use crate::loads::{begin, step};
use crate::local_changes::Loaded;
use crate::node::{KINDS, delete, item, rows, table, update};
use symstream_loader::LoadError;
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
