//! Batches for all nodes of a group, and what nodes say of themselves.

use super::*;
use symstream_shared::id::GroupId;
use symstream_shared::wire::{Contact, GroupRows};

fn of_group(group: &str, nodes: &[&str], ranges: &[(i64, i64)]) -> GroupRows {
    GroupRows {
        group: GroupId::new(group).expect("id"),
        nodes: nodes.iter().map(|id| node(id)).collect(),
        ranges: ranges.to_vec(),
        change_count: 2,
    }
}

async fn recorded(kind: DatabaseKind) {
    let f = Fixture::start(kind).await;
    let mut report = routed(1, &[("single", &[(3, 3)])], &[]);
    report.groups = vec![of_group("there", &["001", "002", "003"], &[(1, 2)])];
    // GIVEN a node that answered the next batch before this report, and one that answered this one
    f.routed(&routed(2, &[("002", &[(4, 4)])], &[])).await;
    f.status(&status(1, BatchStatus::Error, 1_700_000_000_070)).await;
    f.node
        .db
        .run("update sym_outgoing_batch set status = 'OK' where node_id = '002'")
        .await;
    for _ in 0..2 {
        f.routed(&report).await;
        // THEN the rows have one event for all of them
        assert_eq!(
            f.lines("select data_id, node_id, batch_id from sym_data_event where data_id < 4 order by 1")
                .await,
            ["1 *there 1", "2 *there 1", "3 single 1"],
            "{kind}"
        );
        // AND each has its batch, with its own histories
        assert_eq!(
            f.outgoing().await,
            ["1 001 ER", "1 002 OK", "1 003 SE", "1 single SE", "2 002 OK"],
            "{kind}"
        );
        let histories = "select node_id, status, data_event_count from sym_outgoing_batch_hist \
                         where batch_id = 1 and hostname = 'router' order by node_id, start_time";
        assert_eq!(
            f.lines(histories).await,
            [
                "001 NE 2",
                "001 SE ∅",
                "002 NE 2",
                "002 SE ∅",
                "003 NE 2",
                "003 SE ∅",
                "single NE 1",
                "single SE ∅"
            ],
            "{kind}"
        );
    }
}

#[tokio::test]
async fn a_group_has_one_event_for_a_row_and_a_batch_for_each_node() {
    for kind in [Postgres, Mysql, Sqlite] {
        recorded(kind).await;
    }
}

#[tokio::test]
async fn a_group_whose_name_fills_the_column_has_events_of_its_nodes() {
    let f = Fixture::start(Sqlite).await;
    let mut report = routed(1, &[], &[]);
    report.groups = vec![of_group(&"g".repeat(50), &["001", "002"], &[(1, 1)])];
    f.routed(&report).await;
    let events = f.lines("select node_id from sym_data_event order by 1").await;
    assert_eq!(events, ["001", "002"]);
}

impl Fixture {
    async fn contact(&self, unsent: i64, reload_wanted: Option<&str>) {
        self.status(&StatusReport {
            results: Vec::new(),
            contact: Some(Contact {
                unsent,
                reload_wanted: reload_wanted.map(str::to_owned),
            }),
            ..status(1, BatchStatus::Ok, 0)
        })
        .await;
    }

    /// Reason, whether it was heard of, whether it is loaded.
    async fn need(&self) -> Vec<String> {
        self.lines(
            "select n.reason, case when n.contact_time is null then 'away' else 'back' end, s.initial_load_enabled \
             from sym_reload_need n join sym_node_security s on s.node_id = n.node_id",
        )
        .await
    }

    async fn secured(kind: DatabaseKind) -> Self {
        let f = Self::start(kind).await;
        f.node
            .db
            .run("insert into sym_node_security (node_id, password, initial_load_enabled) values ('001', 'x', 0)")
            .await;
        f
    }
}

async fn back_again(kind: DatabaseKind) {
    let f = Fixture::secured(kind).await;
    // A node that nobody marked is loaded by nobody.
    f.contact(0, None).await;
    assert!(f.need().await.is_empty(), "{kind}");
    let asked = "select count(*) from sym_node_security where initial_load_enabled = 1";
    assert_eq!(f.node.db.number(asked).await, 0, "{kind}");
    // GIVEN one that is marked WHEN it is back with changes of its own THEN these come first
    f.node
        .db
        .run("insert into sym_reload_need (node_id, reason, create_time, freed) values ('001', 'too much', '2026-01-01 00:00:00', 1)")
        .await;
    f.contact(3, None).await;
    assert_eq!(f.need().await, ["too much back 0"], "{kind}");
    f.contact(0, None).await;
    f.contact(0, None).await;
    assert_eq!(f.need().await, ["too much back 1"], "{kind}");
    // WHEN its load has begun THEN what it says of itself, late, asks for no second one
    f.node
        .db
        .run("delete from sym_reload_need; insert into sym_load (load_id, node_id, status) values (9, '001', 'SE')")
        .await;
    f.contact(0, Some("a hole")).await;
    assert!(f.need().await.is_empty(), "{kind}");
}

#[tokio::test]
async fn a_marked_node_is_loaded_when_it_is_back_and_has_sent_what_it_had() {
    for kind in [Postgres, Mysql, Sqlite] {
        back_again(kind).await;
    }
}

#[tokio::test]
async fn a_node_that_asks_to_be_loaded_is_marked_by_that() {
    let f = Fixture::secured(Sqlite).await;
    f.contact(1, Some("a hole")).await;
    assert_eq!(f.need().await, ["a hole back 0"]);
    f.contact(0, Some("a hole")).await;
    assert_eq!(f.need().await, ["a hole back 1"]);
}
