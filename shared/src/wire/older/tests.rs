//! Bytes as older processes wrote them, made from the structs that they had.

use crate::cell::Cell;
use crate::id::{ChannelId, GroupId, NodeId};
use crate::logical::LogicalType;
use crate::wire::{
    Change, ColumnInfo, DataRange, LanePart, Message, Operation, Part, RoutedReport, Rows, RuleAnswers,
    RuleId, TableInfo, TargetRows,
};
use serde::Serialize;

#[derive(Serialize)]
enum OldMessage {
    Captured(OldPart),
    Lane(OldLanePart),
    Routed(OldReport),
}

#[derive(Serialize)]
struct OldTable {
    hist_id: i64,
    trigger_id: String,
    source_schema: Option<String>,
    source_table: String,
    target_schema: Option<String>,
    target_table: String,
    columns: Vec<ColumnInfo>,
    key: Vec<u16>,
    column_level: bool,
}

#[derive(Serialize)]
struct OldChange {
    data_id: i64,
    table: u16,
    operation: Operation,
    new: Option<Vec<Cell>>,
    old: Option<Vec<Cell>>,
    origin: Option<NodeId>,
}

#[derive(Serialize)]
struct OldRows {
    tables: Vec<OldTable>,
    changes: Vec<OldChange>,
}

#[derive(Serialize)]
struct OldPart {
    source: NodeId,
    source_group: GroupId,
    channel: ChannelId,
    batch_id: i64,
    configuration_version: i64,
    created_ms: i64,
    target: Option<NodeId>,
    rows: OldRows,
    answers: Vec<RuleAnswers>,
    load_complete: bool,
}

#[derive(Serialize)]
struct OldLanePart {
    source: NodeId,
    target: NodeId,
    channel: ChannelId,
    batch_id: i64,
    previous_batch_id: i64,
    part: u32,
    part_last: u32,
    parts: Vec<u32>,
    change_count: u64,
    rows: OldRows,
}

#[derive(Serialize)]
struct OldTarget {
    node: NodeId,
    ranges: Vec<DataRange>,
    change_count: u64,
}

#[derive(Serialize)]
struct OldReport {
    source: NodeId,
    channel: ChannelId,
    batch_id: i64,
    created_ms: i64,
    started_ms: i64,
    sent_ms: i64,
    hostname: String,
    targets: Vec<OldTarget>,
    unrouted: Vec<DataRange>,
    last: bool,
}

fn node(id: &str) -> NodeId {
    NodeId::new(id).expect("id")
}

fn channel() -> ChannelId {
    ChannelId::new("c").expect("id")
}

fn columns() -> Vec<ColumnInfo> {
    vec![ColumnInfo {
        name: "id".to_owned(),
        logical: LogicalType::Text,
    }]
}

fn answers() -> Vec<RuleAnswers> {
    vec![RuleAnswers {
        rule: RuleId::Router("r".to_owned()),
        sets: vec![vec!["x".to_owned()]],
        changes: vec![(0, 0)],
    }]
}

fn cells() -> Option<Vec<Cell>> {
    Some(vec![Cell::Text("1".to_owned())])
}

/// One change that was made at the source, and one that came from node `b`.
fn old_rows() -> OldRows {
    let change = |data_id, origin: Option<&str>| OldChange {
        data_id,
        table: 0,
        operation: Operation::Insert,
        new: cells(),
        old: None,
        origin: origin.map(node),
    };
    OldRows {
        tables: vec![OldTable {
            hist_id: 3,
            trigger_id: "t".to_owned(),
            source_schema: None,
            source_table: "sale".to_owned(),
            target_schema: None,
            target_table: "sale".to_owned(),
            columns: columns(),
            key: vec![0],
            column_level: true,
        }],
        changes: vec![change(7, None), change(8, Some("b"))],
    }
}

fn rows(trigger_ids: &[&str], paths: [&[&str]; 2]) -> Rows {
    let change = |data_id, path: &[&str]| Change {
        data_id,
        table: 0,
        operation: Operation::Insert,
        new: cells(),
        old: None,
        path: path.iter().map(|id| node(id)).collect(),
    };
    Rows {
        tables: vec![TableInfo {
            hist_id: 3,
            trigger_ids: trigger_ids.iter().map(|id| (*id).to_owned()).collect(),
            source_schema: None,
            source_table: "sale".to_owned(),
            target_schema: None,
            target_table: "sale".to_owned(),
            columns: columns(),
            key: vec![0],
            column_level: true,
        }],
        changes: vec![change(7, paths[0]), change(8, paths[1])],
    }
}

fn part(rows: Rows) -> Message {
    Message::Captured(Part {
        source: node("s"),
        source_group: GroupId::new("g").expect("id"),
        channel: channel(),
        batch_id: 5,
        configuration_version: 2,
        created_ms: 9,
        targets: vec![node("t")],
        rows,
        answers: answers(),
        load: None,
        request: None,
        absent: Vec::new(),
        loading: Vec::new(),
    })
}

fn read(old: &OldMessage) -> Message {
    let plain = rmp_serde::to_vec(old).expect("encode");
    Message::decode(&zstd::bulk::compress(&plain, 1).expect("compress")).expect("decode")
}

#[test]
fn captured_parts_of_older_processes_are_read() {
    let old = OldMessage::Captured(OldPart {
        source: node("s"),
        source_group: GroupId::new("g").expect("id"),
        channel: channel(),
        batch_id: 5,
        configuration_version: 2,
        created_ms: 9,
        target: Some(node("t")),
        rows: old_rows(),
        answers: answers(),
        load_complete: true,
    });
    assert_eq!(read(&old), part(rows(&["t"], [&[], &["b"]])));
}

#[test]
fn lane_parts_of_older_processes_are_read() {
    let old = OldMessage::Lane(OldLanePart {
        source: node("s"),
        target: node("t"),
        channel: channel(),
        batch_id: 5,
        previous_batch_id: 4,
        part: 1,
        part_last: 2,
        parts: vec![1, 2],
        change_count: 2,
        rows: old_rows(),
    });
    let expected = Message::Lane(LanePart {
        load: None,
        after_load: None,
        broadcast: false,
        source: node("s"),
        target: node("t"),
        channel: channel(),
        batch_id: 5,
        previous_batch_id: 4,
        part: 1,
        part_last: 2,
        parts: vec![1, 2],
        change_count: 2,
        rows: rows(&["t"], [&[], &["b"]]),
        statement: None,
    });
    assert_eq!(read(&old), expected);
}

#[test]
fn reports_of_older_processes_are_read() {
    let target = |id: &str| OldTarget {
        node: node(id),
        ranges: vec![(7, 8)],
        change_count: 2,
    };
    let old = OldMessage::Routed(OldReport {
        source: node("s"),
        channel: channel(),
        batch_id: 5,
        created_ms: 1,
        started_ms: 2,
        sent_ms: 3,
        hostname: "h".to_owned(),
        targets: vec![target("a"), target("b")],
        unrouted: vec![(9, 9)],
        last: true,
    });
    let target = |id: &str| TargetRows {
        node: node(id),
        ranges: vec![(7, 8)],
        change_count: 2,
        ignored: false,
    };
    let expected = Message::Routed(RoutedReport {
        groups: Vec::new(),
        source: node("s"),
        channel: channel(),
        batch_id: 5,
        created_ms: 1,
        started_ms: 2,
        sent_ms: 3,
        hostname: "h".to_owned(),
        targets: vec![target("a"), target("b")],
        unrouted: vec![(9, 9)],
        last: true,
    });
    assert_eq!(read(&old), expected);
}

#[test]
fn what_this_process_writes_comes_back() {
    let message = part(rows(&["t", "u"], [&["b", "c"], &[]]));
    assert_eq!(
        Message::decode(&message.encode().expect("encode")).expect("decode"),
        message
    );
}
