//! Requests as operators write them, encoded by real databases.

use super::*;
use crate::batch_rows::{BatchRows, Piece};
use crate::data_runs::DataRuns;
use crate::sync_triggers::sync_triggers;
use crate::testing::TestNode;
use symstream_shared::db::DatabaseKind::{self, Mysql, Postgres, Sqlite};
use symstream_shared::db::TxKind;
use symstream_shared::id::ChannelId;
use symstream_shared::model::local_configuration;
use symstream_shared::wire::{Message, Part};

/// A node whose table `item` is captured; nodes of `there` get the rows of their own place, loads only those with an
/// id above 1.
struct Fixture {
    node: TestNode,
    config: Config,
}

impl Fixture {
    async fn start(kind: DatabaseKind) -> Self {
        let node = TestNode::start(kind).await;
        node.db
            .run(
                "create table item (id integer primary key, name varchar(20), place varchar(20));
                 insert into item values (1, 'one', '001'), (2, 'two', '001'), (3, 'three', '002'), (4, 'four', '001');
                 insert into sym_node (node_id, node_group_id, external_id, sync_enabled) \
                 values ('001', 'there', '001', 1), ('002', 'there', '002', 1), ('009', 'elsewhere', '009', 1);
                 insert into sym_trigger (trigger_id, source_table_name, source_node_group_id, target_node_group_id, \
                 channel_id, node_select, initial_load_select) values ('item', 'item', 'here', 'there', 'main', \
                 'c.external_id = :PLACE', 'id > 1 and place = ''$(externalId)'' -- those of the node')",
            )
            .await;
        let source = &node.source;
        let mut conn = source.database.conn().await.expect("connection");
        let config = local_configuration(&mut conn, &source.tables)
            .await
            .expect("configuration");
        drop(conn);
        let group = &source.engine.group;
        sync_triggers(&source.database, &source.tables, &config, group, false)
            .await
            .expect("triggers");
        Self { node, config }
    }

    async fn hist_id(&self) -> i64 {
        self.node
            .db
            .number("select max(trigger_hist_id) from sym_trigger_hist where inactive_time is null")
            .await
    }

    /// Writes an event with these values, and publishes the batch that it is.
    async fn publish(&self, event: &str, table: &str, hist_id: i64, row_data: &str, pk_data: &str) -> Part {
        let source = &self.node.source;
        let insert = format!(
            "insert into sym_data (table_name, event_type, trigger_hist_id, channel_id, row_data, pk_data) \
             values ('{table}', '{event}', {hist_id}, 'main', {row_data}, {pk_data})"
        );
        self.node.db.run(&insert).await;
        let mut runs = DataRuns::default();
        runs.push(self.node.db.number("select max(data_id) from sym_data").await);
        let mut tx = source.database.begin(TxKind::ReadOnly).await.expect("snapshot");
        let mut rows = BatchRows::new(&source.tables, &self.config, &runs);
        let Piece::Request(request) = rows.next(&mut tx, &mut HistCache::new()).await.expect("read") else {
            panic!("no request");
        };
        let info = BatchInfo {
            source: source.node.clone(),
            source_group: source.engine.group.clone(),
            channel: ChannelId::new("main").expect("id"),
            batch_id: 1,
            configuration_version: 1,
            created_ms: 0,
            targets: Vec::new(),
            load: None,
            absent: Vec::new(),
            loading: Vec::new(),
            request: None,
        };
        let spool = request
            .encode(source, &self.config, info, &mut tx)
            .await
            .expect("encoded");
        assert_eq!(spool.count(), 1);
        let mut parts = spool.into_parts().expect("parts");
        let (_, body) = parts.next().expect("a part").expect("read");
        match Message::decode(&body).expect("message") {
            Message::Captured(part) => part,
            other => panic!("{other:?}"),
        }
    }

    async fn data_id(&self) -> i64 {
        self.node.db.number("select max(data_id) from sym_data").await
    }
}

/// The first column of each row, and the nodes that the rule chose for it.
fn rows(part: &Part) -> Vec<(i64, String, String)> {
    let answers = part.answers.first();
    (0_u32..)
        .zip(&part.rows.changes)
        .map(|(index, change)| {
            let id = change
                .new
                .as_ref()
                .and_then(|row| row[0].to_text())
                .unwrap_or_default();
            let nodes = answers.and_then(|answers| {
                let (_, set) = answers.changes.iter().find(|(change, _)| *change == index)?;
                Some(answers.sets[*set as usize].join(","))
            });
            assert_eq!(change.operation, symstream_shared::wire::Operation::Insert);
            (change.data_id, id, nodes.unwrap_or_default())
        })
        .collect()
}

async fn table_is_sent_again(kind: DatabaseKind) {
    let f = Fixture::start(kind).await;
    let hist_id = f.hist_id().await;
    let part = f.publish("R", "item", hist_id, "null", "'\"001\"'").await;
    let data_id = f.data_id().await;
    let row = |id: &str| (data_id, id.to_owned(), "001".to_owned());
    assert_eq!(part.targets, [NodeId::new("001").expect("id")], "{kind}");
    assert_eq!(part.request, Some(Request::Reload { data_id }), "{kind}");
    assert_eq!(rows(&part), [row("2"), row("4")], "{kind}");
    // AND a subset
    let part = f
        .publish(
            "R",
            "item",
            hist_id,
            "'\"t.name like ''f%'' or t.id = 3 -- some\"'",
            "'001'",
        )
        .await;
    let ids: Vec<String> = rows(&part).into_iter().map(|(_, id, _)| id).collect();
    assert_eq!(ids, ["4"], "{kind}");
    // AND nothing to a node that no rule is for, or that nobody knows
    for node in ["009", "unknown"] {
        let part = f
            .publish("R", "item", hist_id, "null", &format!("'{node}'"))
            .await;
        assert_eq!(part.targets, [NodeId::new(node).expect("id")], "{kind}");
        assert!(rows(&part).is_empty(), "{kind} {node}");
    }
}

#[tokio::test]
async fn a_reload_has_the_rows_that_rules_and_condition_select() {
    for kind in [Postgres, Mysql, Sqlite] {
        table_is_sent_again(kind).await;
    }
}

#[tokio::test]
async fn a_statement_goes_to_its_node() {
    let f = Fixture::start(Sqlite).await;
    let part = f
        .publish("S", "", 0, "'\"update t set a = \"\"x, y\"\"\"'", "'\"001\"'")
        .await;
    let request = Request::Statement {
        data_id: f.data_id().await,
        sql: "update t set a = \"x, y\"".to_owned(),
    };
    assert_eq!(part.request, Some(request));
    assert_eq!(part.targets, [NodeId::new("001").expect("id")]);
    assert!(part.rows.changes.is_empty());
}

async fn goes_to_nobody(kind: DatabaseKind) {
    let f = Fixture::start(kind).await;
    let hist_id = f.hist_id().await;
    f.node.db.run("create table other (id integer primary key)").await;
    for (event, table, hist_id, row_data, pk_data) in [
        ("S", "", 0, "'select 1'", "null"),
        ("S", "", 0, "'select 1'", "'a,b'"),
        ("S", "", 0, "'\"open'", "'001'"),
        ("S", "", 0, "null", "'001'"),
        ("R", "item", hist_id, "null", "''"),
        ("R", "item", hist_id + 100, "null", "'001'"),
        ("R", "other", hist_id, "null", "'001'"),
        ("R", "item", hist_id, "'t.nothing = 1'", "'001'"),
        ("R", "item", hist_id, "'id = (('", "'001'"),
    ] {
        let part = f.publish(event, table, hist_id, row_data, pk_data).await;
        let what = format!("{kind} {event} {table} {row_data} {pk_data}");
        assert_eq!(part.targets, [NodeId::new("-1").expect("id")], "{what}");
        assert_eq!(
            part.request.map(|request| request.data_id()),
            Some(f.data_id().await),
            "{what}"
        );
        assert!(part.rows.changes.is_empty(), "{what}");
    }
    // AND a table that is gone
    f.node.db.run("drop table item").await;
    let part = f.publish("R", "item", hist_id, "null", "'001'").await;
    assert_eq!(part.targets, [NodeId::new("-1").expect("id")], "{kind}");
}

#[tokio::test]
async fn a_request_that_can_not_be_carried_out_goes_to_nobody() {
    for kind in [Postgres, Mysql, Sqlite] {
        goes_to_nobody(kind).await;
    }
}

#[tokio::test]
async fn a_reload_goes_by_any_active_trigger_that_shares_the_rows() {
    let mut f = Fixture::start(Sqlite).await;
    let source = f.node.source.clone();
    f.node
        .db
        .run(
            "insert into sym_trigger (trigger_id, source_table_name, source_node_group_id, target_node_group_id, \
             channel_id) values ('other', 'item', 'here', 'there', 'main')",
        )
        .await;
    let read = || async {
        let mut conn = source.database.conn().await.expect("connection");
        local_configuration(&mut conn, &source.tables)
            .await
            .expect("configuration")
    };
    f.config = read().await;
    let group = &source.engine.group;
    sync_triggers(&source.database, &source.tables, &f.config, group, false)
        .await
        .expect("triggers");
    // The history of the one that is switched off then.
    let hist_id = f
        .node
        .db
        .number("select max(trigger_hist_id) from sym_trigger_hist where trigger_id = 'item' and inactive_time is null")
        .await;
    f.node
        .db
        .run("update sym_trigger set inactive_time = '2020-01-01 00:00:00' where trigger_id = 'item'")
        .await;
    f.config = read().await;
    sync_triggers(&source.database, &source.tables, &f.config, group, false)
        .await
        .expect("triggers");
    let part = f.publish("R", "item", hist_id, "null", "'001'").await;
    assert_eq!(part.targets, [NodeId::new("001").expect("id")]);
    assert_eq!(rows(&part).len(), 4);
}
