//! The target's triggers know where loaded rows come from, as those that capture builds read it.

use crate::node::{CREATE_ITEM, KINDS, Node, insert, item, rows, update};
use symstream_shared::db::DatabaseKind;
use symstream_shared::id::NodeId;
use symstream_shared::wire::Change;

/// A trigger on inserts into `item` that writes the switch's value into `seen`.
async fn watch(node: &Node, kind: DatabaseKind) {
    node.db.run(CREATE_ITEM).await;
    let (before, origin, after) = match kind {
        DatabaseKind::Postgres => (
            "create function seen() returns trigger language plpgsql as $$ begin insert into seen values (new.id, ",
            "nullif(current_setting('symstream.source_node', true), '')",
            "); return null; end $$; \
             create trigger seen after insert on item for each row execute function seen()",
        ),
        DatabaseKind::Mysql => (
            "create trigger seen after insert on item for each row insert into seen values (new.id, ",
            "@symstream_source_node",
            ")",
        ),
        DatabaseKind::Sqlite => (
            "create trigger seen after insert on item begin insert into seen values (new.id, ",
            "(select state_value from sym_state where state_key = 'loading')",
            "); end",
        ),
    };
    node.db
        .run("create table seen (id int, origin varchar(50))")
        .await;
    node.db.run(&format!("{before}{origin}{after}")).await;
}

fn came_by(path: &[&str], change: Change) -> Change {
    let path = path.iter().map(|id| NodeId::new(*id).expect("id")).collect();
    Change { path, ..change }
}

#[tokio::test]
async fn triggers_know_whose_rows_are_loaded_and_nobody_else_does() {
    for kind in KINDS {
        let mut node = Node::start(kind).await;
        watch(&node, kind).await;

        node.load(rows(item(), vec![insert(&["1", "a"])]))
            .await
            .expect("applied");
        assert!(
            node.load(rows(item(), vec![insert(&["2", "b"]), insert(&["3", "∅"])]))
                .await
                .is_err()
        );
        // The loader's connection is the pool's only one, so this is its next user.
        node.db.run("insert into item values (4, 'd')").await;

        assert_eq!(
            node.rows("select origin from seen order by id").await,
            ["cloud", "∅"],
            "{kind}"
        );
    }
}

#[tokio::test]
async fn each_row_of_a_batch_carries_its_own_way() {
    for kind in KINDS {
        // GIVEN rows that were made at the source, and rows that came to it by other nodes, side by side
        let mut node = Node::start(kind).await;
        watch(&node, kind).await;
        node.load(rows(
            item(),
            vec![
                insert(&["1", "a"]),
                insert(&["2", "b"]),
                came_by(&["depot"], insert(&["3", "c"])),
                came_by(&["depot"], insert(&["4", "d"])),
                came_by(&["7", "depot"], insert(&["5", "e"])),
                came_by(&["7", "depot"], update(&["5", "e"], &["5", "E"])),
                insert(&["6", "f"]),
            ],
        ))
        .await
        .unwrap_or_else(|err| panic!("{kind}: {err}"));
        node.db.run("insert into item values (7, 'g')").await;

        // THEN the first node is where the row was made, and the last one is the batch's source
        assert_eq!(
            node.rows("select id, origin from seen order by id").await,
            [
                "1|cloud",
                "2|cloud",
                "3|depot,cloud",
                "4|depot,cloud",
                "5|7,depot,cloud",
                "6|cloud",
                "7|∅"
            ],
            "{kind}"
        );
    }
}
