//! What a node changed itself and its initial load does not know stays as it is.

use crate::loads::{begin, clear_item, row, step};
use crate::node::{CREATE_ITEM, KINDS, Node, delete, insert, item, rows, source};
use std::time::Duration;
use symstream_loader::{BatchKey, BatchLoader, Content, LoadError};
use symstream_shared::db::{DatabaseKind, Sql};
use symstream_shared::id::{ChannelId, NodeId};
use symstream_shared::schema::Tables;
use symstream_shared::wire::{BatchResult, LanePart, LoadBegin, LoadStep, Rows, Seen};
use symstream_tests::database::TestDatabase;
use symstream_tests::eventually::eventually;

/// A node with `item` and its trigger history, and the loader of its source's loads.
pub struct Loaded {
    pub node: Node,
    loads: BatchLoader,
    position: i64,
}

impl Loaded {
    pub async fn start(kind: DatabaseKind) -> Self {
        let node = Node::start(kind).await;
        node.db.run(CREATE_ITEM).await;
        for statement in [
            "insert into sym_incoming_lane (source_node_id, channel_id, batch_id, attempt_count) values ('cloud', 'reload', 0, 0)",
            "insert into sym_node (node_id, node_group_id, external_id) values ('cloud', 'hub', 'cloud')",
            "insert into sym_trigger_hist (trigger_hist_id, trigger_id, source_table_name, name_for_insert_trigger, \
             name_for_update_trigger, name_for_delete_trigger, table_hash, column_names, pk_column_names, \
             last_trigger_build_reason, column_types, table_columns) \
             values (1, 'item', 'item', 'i', 'u', 'd', 0, 'id,name', 'id', 'N', 'int,text', 'id,name')",
        ] {
            node.db.run(statement).await;
        }
        let database = node.db.database().clone();
        Self {
            loads: BatchLoader::new(database, Tables::default(), &ChannelId::reload(), "here".into()),
            node,
            position: 0,
        }
    }

    pub async fn try_load(&mut self, part: &LanePart) -> Result<BatchResult, LoadError> {
        let key = BatchKey {
            source: source(),
            batch_id: part.batch_id,
            previous: self.position,
        };
        let result = self.loads.load(&key, &Content::Message(part, 0)).await;
        if result.is_ok() {
            self.position = part.batch_id;
        }
        result
    }

    pub async fn load(&mut self, part: &LanePart) {
        let kind = self.node.db.kind();
        self.try_load(part)
            .await
            .unwrap_or_else(|err| panic!("{kind}: {err}"));
    }

    pub async fn items(&self) -> Vec<String> {
        self.node.rows("select id, name from item order by id").await
    }
}

/// A row of `item` as the triggers write it.
fn text(kind: DatabaseKind, (id, name): (i64, &str)) -> String {
    match kind {
        DatabaseKind::Postgres => format!("'{id},{name}'"),
        DatabaseKind::Mysql => format!("'\"{id}\",\"{name}\"'"),
        DatabaseKind::Sqlite => format!("'{id},\"{name}\"'"),
    }
}

/// What a trigger writes for a change of `item`.
fn captured(
    kind: DatabaseKind,
    data_id: i64,
    old: Option<(i64, &str)>,
    new: Option<(i64, &str)>,
    origin: Option<&str>,
) -> String {
    let event = match (old, new) {
        (None, _) => "I",
        (_, None) => "D",
        _ => "U",
    };
    let text = |row: Option<(i64, &str)>| row.map_or("null".to_owned(), |row| text(kind, row));
    format!(
        "insert into sym_data (data_id, table_name, event_type, row_data, old_data, trigger_hist_id, source_node_id) \
         values ({data_id}, 'item', '{event}', {}, {}, 1, {})",
        text(new),
        text(old),
        origin.map_or("null".to_owned(), |origin| format!("'{origin}'")),
    )
}

async fn sent(db: &TestDatabase, data_id: i64, node: &str, channel: &str, batch_id: i64) {
    db.run(&format!(
        "insert into sym_data_event (data_id, node_id, channel_id, batch_id) values ({data_id}, '{node}', '{channel}', {batch_id})"
    ))
    .await;
    let node = if node.starts_with('*') { "cloud" } else { node };
    db.run(&format!(
        "insert into sym_outgoing_batch (batch_id, node_id, channel_id, status) values ({batch_id}, '{node}', '{channel}', 'SE')"
    ))
    .await;
}

/// Everything that was captured until now is read.
async fn read_all(db: &TestDatabase) {
    let position = match db.kind() {
        DatabaseKind::Postgres => "select cast(pg_current_snapshot() as text)",
        DatabaseKind::Mysql | DatabaseKind::Sqlite => "select max(data_id) from sym_data",
    };
    let position = db.rows(position).await.remove(0).remove(0);
    db.run(&format!(
        "insert into sym_state (state_key, state_value) values ('capture_position', '{position}')"
    ))
    .await;
}

fn seen(channel: &str, batch_id: i64) -> Seen {
    Seen {
        node: NodeId::new("shop").expect("id"),
        channel: ChannelId::new(channel).expect("id"),
        batch_id,
    }
}

/// Changes of every kind that the load of source `cloud` knows or does not know, up to batch 5 of the channel.
async fn change(db: &TestDatabase) {
    let kind = db.kind();
    for id in [1, 2, 4, 5, 6, 7, 9, 10, 11, 12, 13] {
        db.run(&format!("insert into item values ({id}, 'mine')")).await;
    }
    let of = |id: i64| {
        let row = Some((id, "mine"));
        move |data_id, origin| captured(kind, data_id, Some((id, "old")), row, origin)
    };
    db.run(&captured(kind, 1, None, Some((2, "mine")), None)).await;
    sent(db, 1, "cloud", "default", 7).await;
    db.run(&captured(kind, 2, Some((3, "old")), None, None)).await;
    db.run("insert into sym_capture_batch (batch_id, channel_id, data_ranges, routed) values (8, 'default', '2', 0)")
        .await;
    db.run(&of(4)(3, None)).await;
    sent(db, 3, "cloud", "default", 5).await;
    db.run(&of(5)(4, None)).await;
    sent(db, 4, "depot", "default", 9).await;
    db.run(&of(7)(5, None)).await;
    sent(db, 5, "*hub", "default", 10).await;
    db.run(&of(11)(6, None)).await;
    sent(db, 6, "cloud", "other", 1).await;
    read_all(db).await;
    db.run(&of(1)(7, None)).await;
    db.run(&of(6)(8, Some("cloud"))).await;
    db.run(&captured(kind, 9, Some((8, "old")), Some((9, "mine")), None))
        .await;
    db.run(&captured(kind, 10, None, Some((10, "mine")), None)).await;
}

#[tokio::test]
async fn what_the_node_changed_itself_is_newer_than_a_load() {
    for kind in KINDS {
        for clear in [false, true] {
            let mut loaded = Loaded::start(kind).await;
            change(&loaded.node.db).await;
            let what = if clear { clear_item() } else { LoadBegin::default() };
            let what = LoadBegin {
                seen: vec![
                    seen("default", 5),
                    Seen {
                        node: NodeId::new("other").expect("id"),
                        ..seen("default", 99)
                    },
                ],
                ..what
            };
            loaded.load(&begin(20, 0, what)).await;
            if clear {
                let left = ["1|mine", "2|mine", "7|mine", "9|mine", "10|mine", "11|mine"];
                assert_eq!(loaded.items().await, left, "{kind}");
            }

            let ids: Vec<String> = [1, 2, 3, 4, 5, 6, 7, 8, 11, 12].map(|id| id.to_string()).into();
            let mut changes: Vec<_> = ids.iter().map(|id| insert(&[id, "load"])).collect();
            changes.extend([delete(&["10", "∅"]), delete(&["13", "∅"])]);
            let part = LanePart {
                rows: rows(item(), changes),
                ..step(20, 21, 20, LoadStep::Rows)
            };
            loaded.load(&part).await;
            assert_eq!(
                loaded.items().await,
                [
                    "1|mine", "2|mine", "4|load", "5|load", "6|load", "7|mine", "9|mine", "10|mine",
                    "11|mine", "12|load"
                ],
                "{kind}, clear {clear}"
            );
            assert_eq!(
                loaded
                    .node
                    .rows("select row_count, seen_batches from sym_incoming_load")
                    .await,
                ["5|default=5"],
                "{kind}"
            );
            // The loader's connection is the pool's only one, so this is its next user.
            let switch = match kind {
                DatabaseKind::Postgres => {
                    "select count(*) from (select nullif(current_setting('symstream.source_node', true), '') as origin) s \
                     where origin is not null"
                }
                DatabaseKind::Mysql => "select @symstream_source_node is not null",
                DatabaseKind::Sqlite => "select count(*) from sym_state where state_key = 'loading'",
            };
            loaded.load(&row(20, 22, 21, &["1", "load"])).await;
            assert_eq!(loaded.node.db.number(switch).await, 0, "{kind}");
        }
    }
}

#[tokio::test]
async fn what_is_newer_may_stand_in_the_way_of_the_rest() {
    for kind in KINDS {
        // GIVEN names that only one row may have, and one that the node has given to another row
        let mut loaded = Loaded::start(kind).await;
        let db = &loaded.node.db;
        db.run("create unique index name_once on item (name)").await;
        db.run("insert into item values (3, 'a')").await;
        db.run(&captured(kind, 1, Some((1, "a")), None, None)).await;
        db.run(&captured(kind, 2, None, Some((3, "a")), None)).await;
        // WHEN it is loaded as it was THEN the rest is written, and the error of a row that is not there is no error
        loaded.load(&begin(20, 0, LoadBegin::default())).await;
        let part = LanePart {
            rows: rows(item(), vec![insert(&["1", "a"]), insert(&["2", "b"])]),
            ..step(20, 21, 20, LoadStep::Rows)
        };
        loaded.load(&part).await;
        assert_eq!(loaded.items().await, ["2|b", "3|a"], "{kind}");
        // and what has nothing to do with it is one.
        let part = LanePart {
            rows: rows(item(), vec![insert(&["4", "b"])]),
            ..step(20, 22, 21, LoadStep::Rows)
        };
        let failed = loaded.try_load(&part).await;
        assert!(matches!(failed, Err(LoadError::Failed(_))), "{kind}");
        assert_eq!(loaded.items().await, ["2|b", "3|a"], "{kind}");
    }
}

#[tokio::test]
async fn a_change_that_commits_while_the_load_waits_for_it_stays() {
    for kind in [DatabaseKind::Postgres, DatabaseKind::Mysql] {
        // GIVEN a transaction of the application's that has changed a row, deleted one and made one
        let mut loaded = Loaded::start(kind).await;
        let db = loaded.node.db.clone();
        db.run("insert into item values (1, 'old'), (2, 'old')").await;
        loaded.load(&begin(20, 0, clear_item())).await;
        db.run("insert into item values (1, 'old'), (2, 'old')").await;
        let mut application = db.begin().await.expect("a transaction");
        for statement in [
            "update item set name = 'mine' where id = 1".to_owned(),
            captured(kind, 1, Some((1, "old")), Some((1, "mine")), None),
            "delete from item where id = 2".to_owned(),
            captured(kind, 2, Some((2, "old")), None, None),
            "insert into item values (3, 'mine')".to_owned(),
            captured(kind, 3, None, Some((3, "mine")), None),
        ] {
            application
                .execute(&statement, &[])
                .await
                .expect("it has them alone");
        }
        // WHEN the load comes to these rows
        let inserts = ["1", "2", "3", "4"].map(|id| insert(&[id, "load"]));
        let part = LanePart {
            rows: Rows {
                ..rows(item(), inserts.into())
            },
            ..step(20, 21, 20, LoadStep::Rows)
        };
        let waits = match kind {
            DatabaseKind::Postgres => "select count(*) from pg_stat_activity where wait_event_type = 'Lock'",
            _ => "select count(*) from information_schema.processlist where state = 'Update'",
        };
        let commit = async {
            eventually(Duration::from_secs(30), "the load waits", || async {
                match db.number(waits).await {
                    0 => Err("it does not"),
                    _ => Ok(()),
                }
            })
            .await;
            application.commit().await.expect("committed");
        };
        tokio::join!(loaded.load(&part), commit);
        // THEN what it committed is there
        assert_eq!(loaded.items().await, ["1|mine", "3|mine", "4|load"], "{kind}");
    }
}
