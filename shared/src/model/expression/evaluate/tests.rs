use super::*;
use crate::id::{ExternalId, GroupId, NodeId};
use crate::logical::LogicalType;
use crate::wire::{ColumnInfo, Operation};

fn table(columns: &[&str]) -> TableInfo {
    TableInfo {
        hist_id: 1,
        trigger_ids: vec!["t".to_owned()],
        source_schema: None,
        source_table: "sale".to_owned(),
        target_schema: None,
        target_table: "sale".to_owned(),
        columns: columns
            .iter()
            .map(|name| ColumnInfo {
                name: (*name).to_owned(),
                logical: LogicalType::Text,
            })
            .collect(),
        key: vec![0],
        column_level: false,
    }
}

fn row(values: &[Option<&str>]) -> Option<Vec<Cell>> {
    Some(
        values
            .iter()
            .map(|value| value.map_or(Cell::Null, |text| Cell::Text(text.to_owned())))
            .collect(),
    )
}

fn change(old: Option<Vec<Cell>>, new: Option<Vec<Cell>>) -> Change {
    let operation = match (&old, &new) {
        (None, _) => Operation::Insert,
        (Some(_), Some(_)) => Operation::Update,
        (Some(_), None) => Operation::Delete,
    };
    Change {
        data_id: 1,
        table: 0,
        operation,
        new,
        old,
        path: Vec::new(),
    }
}

fn bind(expression: &str, columns: &[&str]) -> Result<BoundExpression, BindError> {
    BoundExpression::new(
        &ColumnExpression::parse(expression).expect(expression),
        &table(columns),
    )
}

/// Whether the expression sends a row with these columns and values to node `n` with external id `x` in `g`.
fn sends(expression: &str, columns: &[&str], change: &Change) -> bool {
    let bound = bind(expression, columns).expect("columns");
    let node = Node {
        node_id: NodeId::new("n").expect("id"),
        group: GroupId::new("g").expect("id"),
        external_id: ExternalId::new("x").expect("id"),
        sync_enabled: true,
    };
    bound.selects(change, &node)
}

fn inserted(expression: &str, value: Option<&str>) -> bool {
    sends(
        expression,
        &["STATUS", "other"],
        &change(None, row(&[value, Some("o")])),
    )
}

#[test]
fn a_column_is_compared_with_what_the_node_is() {
    assert!(inserted("STATUS=:EXTERNAL_ID", Some("x")));
    assert!(!inserted("STATUS=:EXTERNAL_ID", Some("n")));
    assert!(inserted("status = :node_id", Some("n")));
    assert!(inserted("status=:NODE_GROUP_ID", Some("g")));
    assert!(!inserted("STATUS!=:EXTERNAL_ID", Some("x")));
    assert!(inserted("STATUS != :EXTERNAL_ID", Some("n")));
    assert!(inserted("STATUS != :EXTERNAL_ID", None));
    assert!(!inserted("STATUS=:EXTERNAL_ID", None));
    assert!(inserted("STATUS contains :EXTERNAL_ID", Some("a,x,b")));
    assert!(!inserted("STATUS contains :EXTERNAL_ID", Some("ax")));
    assert!(!inserted("STATUS not contains :EXTERNAL_ID", Some("a,x")));
}

#[test]
fn a_column_is_compared_with_constants() {
    assert!(inserted("STATUS=OK", Some("OK")));
    assert!(!inserted("STATUS=OK", Some("ok")));
    assert!(inserted("STATUS=in progress", Some("in progress")));
    assert!(inserted("STATUS='a or b = ''c'''", Some("a or b = 'c'")));
    assert!(inserted(
        "STATUS='two\nlines' or OTHER=nothing",
        Some("two\nlines")
    ));
    assert!(inserted("STATUS=a=b", Some("a=b")));
    assert!(inserted("STATUS=O'Brien or OTHER=p", Some("O'Brien")));
    assert!(inserted("STATUS=black and white", Some("black and white")));
    assert!(inserted("STATUS='NULL'", Some("NULL")));
    assert!(inserted("STATUS=''", Some("")));
    assert!(inserted("STATUS=NULL", None));
    assert!(!inserted("STATUS=NULL", Some("")));
    assert!(inserted("STATUS!=NULL", Some("")));
    assert!(inserted("STATUS != OK", None));
    assert!(inserted("STATUS CONTAINS OK", Some("NO,OK")));
    assert!(!inserted("STATUS NOT CONTAINS OK", Some("NO,OK")));
    assert!(inserted("STATUS=normal or OTHER=oracle", Some("normal")));
}

#[test]
fn any_comparison_suffices_and_lines_separate_them_too() {
    for expression in [
        "STATUS=a or STATUS=b",
        "STATUS=a OR\nSTATUS=b",
        "STATUS=a\nor STATUS=b",
        "STATUS=a\r\n\r\nSTATUS=b\n",
    ] {
        assert!(inserted(expression, Some("a")), "{expression:?}");
        assert!(inserted(expression, Some("b")), "{expression:?}");
        assert!(!inserted(expression, Some("c")), "{expression:?}");
    }
}

#[test]
fn old_and_new_values_are_seen() {
    let update = change(row(&[Some("x")]), row(&[Some("y")]));
    assert!(!sends("c=:EXTERNAL_ID", &["C"], &update));
    assert!(sends("old_c=:EXTERNAL_ID", &["C"], &update));
    assert!(sends("C!=:OLD_C", &["C"], &update));
    let delete = change(row(&[Some("x")]), None);
    assert!(sends("C=:EXTERNAL_ID", &["C"], &delete));
    assert!(sends("OLD_C=:EXTERNAL_ID", &["C"], &delete));
    let insert = change(None, row(&[Some("x")]));
    assert!(sends("OLD_C=NULL", &["C"], &insert));
    assert!(sends(
        "old_c=:EXTERNAL_ID",
        &["C", "OLD_C"],
        &change(None, row(&[Some("y"), Some("x")]))
    ));
}

#[test]
fn names_match_exactly_before_they_match_in_another_case() {
    let columns = ["Key", "key", "two words", "a=b"];
    let insert = change(None, row(&[Some("1"), Some("2"), Some("3"), Some("4")]));
    assert!(sends("key=2", &columns, &insert));
    assert!(sends("Key=1", &columns, &insert));
    assert!(sends("two words=3", &columns, &insert));
    assert!(sends("\"a=b\" = 4", &columns, &insert));
    assert!(sends("\"a=b\" contains 4", &columns, &insert));
    assert!(matches!(
        bind("KEY=1", &columns),
        Err(BindError::AmbiguousColumn { .. })
    ));
}

#[test]
fn a_column_that_the_table_lacks_is_named() {
    assert_eq!(
        bind("b=1", &["a"]).expect_err("no b").to_string(),
        "table sale has no column \"b\""
    );
    assert_eq!(
        bind("a=:old_b", &["a"]).expect_err("no b").to_string(),
        "table sale has no column \"b\""
    );
}
