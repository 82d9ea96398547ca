//! Values of one database in another.

use crate::node::{Node, rows, table};
use symstream_loader::LoadError;
use symstream_shared::cell::Cell;
use symstream_shared::db::DatabaseKind;
use symstream_shared::logical::LogicalType as L;
use symstream_shared::wire::{Change, Operation};

/// A column of its own for each value: its declaration, what the value meant at the source, the value, and how the
/// target shows it. `None`: it has to be refused.
type Case = (&'static str, L, Cell, Option<&'static str>);

fn text(text: &str) -> Cell {
    Cell::Text(text.into())
}

async fn check(kind: DatabaseKind, show: fn(&str) -> String, cases: Vec<Case>) {
    let mut node = Node::start(kind).await;
    let mut problems = Vec::new();
    for (number, (declared, source, cell, want)) in cases.into_iter().enumerate() {
        let name = format!("t{number}");
        node.db
            .run(&format!("create table {name} (id int primary key, c {declared})"))
            .await;
        let info = || table(&name, &[("id", L::Int), ("c", source)], &[0]);
        let insert = |id: i64| Change {
            data_id: 1,
            table: 0,
            operation: Operation::Insert,
            new: Some(vec![Cell::Text(id.to_string()), cell.clone()]),
            old: None,
            path: Vec::new(),
        };
        // Once alone and twice together: these are different statements.
        let mut loaded = node.load(rows(info(), vec![insert(1)])).await;
        if loaded.is_ok() {
            loaded = node.load(rows(info(), vec![insert(2), insert(3)])).await;
        }
        match (loaded, want) {
            (Ok(_), Some(want)) => {
                let found = node.rows(&format!("select {} from {name}", show("c"))).await;
                if found != [want, want, want] {
                    problems.push(format!(
                        "{declared} from {source:?} {cell:?}: {found:?} instead of {want:?}"
                    ));
                }
            }
            (Ok(_), None) => {
                let found = node.rows(&format!("select {} from {name}", show("c"))).await;
                problems.push(format!(
                    "{declared} from {source:?} {cell:?} is not refused: {found:?}"
                ));
            }
            (Err(LoadError::Failed(result)), None) => {
                let message = result.failure.expect("failure").message;
                if !message.contains(&format!("table {name}")) {
                    problems.push(format!("{declared} from {source:?} {cell:?}: unclear: {message}"));
                }
            }
            (Err(err), _) => problems.push(format!("{declared} from {source:?} {cell:?}: {err}")),
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[tokio::test]
async fn postgres_holds_every_value_as_it_was_or_refuses_it() {
    let cases: Vec<Case> = vec![
        ("boolean", L::Bool, text("1"), Some("true")),
        ("boolean", L::Int, text("0"), Some("false")),
        ("boolean", L::Int, text("2"), None),
        ("smallint", L::Int, text("-32768"), Some("-32768")),
        ("smallint", L::Int, text("32768"), None),
        ("bigint", L::Int, text("18446744073709551615"), None),
        (
            "numeric",
            L::Int,
            text("18446744073709551615"),
            Some("18446744073709551615"),
        ),
        ("numeric", L::Decimal, text("1.10"), Some("1.10")),
        ("numeric", L::Decimal, text("NaN"), Some("NaN")),
        ("numeric(5,2)", L::Decimal, text("1.005"), None),
        ("numeric(5,2)", L::Decimal, text("999.99"), Some("999.99")),
        ("real", L::Float32, text("0.1"), Some("0.1")),
        ("real", L::Float64, text("0.1"), Some("0.1")),
        ("real", L::Float64, text("0.10000000000000002"), None),
        ("double precision", L::Float64, text("-0"), Some("-0")),
        ("double precision", L::Float64, text("5e-324"), Some("5e-324")),
        ("double precision", L::Float64, text("NaN"), Some("NaN")),
        (
            "double precision",
            L::Any,
            Cell::Real(f64::NEG_INFINITY),
            Some("-Infinity"),
        ),
        ("text", L::Text, text("ü\u{1}\"'\\\n😀"), Some("ü\u{1}\"'\\\n😀")),
        ("text", L::Text, text(""), Some("")),
        ("text", L::Text, Cell::Null, Some("∅")),
        ("text", L::Text, text("a\0b"), None),
        ("text", L::Bytes, Cell::Bytes(vec![1]), None),
        ("varchar(3)", L::Text, text("äöü"), Some("äöü")),
        ("varchar(3)", L::Text, text("äöü "), None),
        ("char(3)", L::Text, text("a    "), Some("a")),
        (
            "varchar(3)[]",
            L::Array,
            text("{abc,NULL,\"\"}"),
            Some("{abc,NULL,\"\"}"),
        ),
        ("varchar(3)[]", L::Array, text("{abcd}"), None),
        ("int[]", L::Array, text("{{1,2},{3,4}}"), Some("{{1,2},{3,4}}")),
        (
            "bytea",
            L::Bytes,
            Cell::Bytes(vec![0, 92, 255]),
            Some("\\x005cff"),
        ),
        ("bytea", L::Bytes, Cell::Bytes(vec![]), Some("\\x")),
        ("bytea", L::Text, text("a"), None),
        ("bit(5)", L::Bits, text("101"), Some("00101")),
        ("bit(2)", L::Bits, text("101"), None),
        ("varbit(5)", L::Bits, text("0101"), Some("0101")),
        ("date", L::Date, text("0044-03-15 BC"), Some("0044-03-15 BC")),
        ("date", L::Date, text("infinity"), Some("infinity")),
        ("date", L::Date, text("0000-00-00"), None),
        ("date", L::Date, text("2023-02-29"), None),
        ("date", L::Text, text("tomorrow"), None),
        ("time", L::Time, text("23:59:59.999999"), Some("23:59:59.999999")),
        ("time", L::Time, text("-01:00:00"), None),
        (
            "timetz",
            L::TimeTz,
            text("12:00:00+05:30"),
            Some("12:00:00+05:30"),
        ),
        (
            "timestamp",
            L::Timestamp,
            text("2024-02-29 12:00:00.000001"),
            Some("2024-02-29 12:00:00.000001"),
        ),
        (
            "timestamp(3)",
            L::Timestamp,
            text("2024-02-29 12:00:00.000001"),
            None,
        ),
        (
            "timestamp",
            L::TimestampTz,
            text("2024-02-29 12:00:00+00"),
            Some("2024-02-29 12:00:00"),
        ),
        (
            "timestamptz",
            L::TimestampTz,
            text("2024-02-29 12:00:00.5+00"),
            Some("2024-02-29 12:00:00.5+00"),
        ),
        (
            "timestamptz",
            L::Timestamp,
            text("2024-02-29 12:00:00"),
            Some("2024-02-29 12:00:00+00"),
        ),
        (
            "timestamptz",
            L::TimestampTz,
            text("0044-03-15 12:00:00+00 BC"),
            Some("0044-03-15 12:00:00+00 BC"),
        ),
        (
            "interval",
            L::Interval,
            text("1 year -2 days +03:04:05.6"),
            Some("1 year -2 days +03:04:05.6"),
        ),
        (
            "uuid",
            L::Uuid,
            text("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
            Some("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
        ),
        (
            "json",
            L::Json,
            text("{\"b\": 1,  \"a\":2}"),
            Some("{\"b\": 1,  \"a\":2}"),
        ),
        ("jsonb", L::Json, text("{\"a\":2}"), Some("{\"a\": 2}")),
        ("inet", L::Other, text("10.0.0.0/8"), Some("10.0.0.0/8")),
    ];
    check(
        DatabaseKind::Postgres,
        |column| format!("cast({column} as text)"),
        cases,
    )
    .await;
}

#[tokio::test]
async fn mariadb_holds_every_value_as_it_was_or_refuses_it() {
    let cases: Vec<Case> = vec![
        ("enum('a','b')", L::Text, text("b"), Some("b")),
        ("enum('a','b')", L::Text, text("2"), None),
        ("enum('a','b')", L::Int, text(" 1"), None),
        ("enum('a','1')", L::Int, text("1"), Some("1")),
        ("set('a','b')", L::Enum, text("a,b"), Some("a,b")),
        ("set('a','b')", L::Text, text("3"), None),
        ("tinyint(1)", L::Bool, text("1"), Some("1")),
        (
            "bigint",
            L::Int,
            text("-9223372036854775808"),
            Some("-9223372036854775808"),
        ),
        (
            "bigint unsigned",
            L::Int,
            text("18446744073709551615"),
            Some("18446744073709551615"),
        ),
        ("bigint unsigned", L::Int, text("-1"), None),
        ("tinyint", L::Int, text("128"), None),
        (
            "decimal(30,20)",
            L::Decimal,
            text("0.12345678901234567891"),
            Some("0.12345678901234567891"),
        ),
        ("decimal(5,2)", L::Decimal, text("1.005"), None),
        ("decimal(5,2)", L::Decimal, text("NaN"), None),
        ("float", L::Float32, text("0.1"), Some("0.1")),
        ("float", L::Float64, text("0.1"), Some("0.1")),
        ("float", L::Float64, text("0.10000000000000002"), None),
        ("double", L::Float64, text("0.1"), Some("0.1")),
        (
            "double",
            L::Float64,
            text("1.7976931348623157e308"),
            Some("1.7976931348623157e308"),
        ),
        ("double", L::Float64, text("Infinity"), None),
        ("double(10,2)", L::Float64, text("0.125"), None),
        (
            "varchar(20)",
            L::Text,
            text("ü\u{1}\"'\\\n😀"),
            Some("ü\u{1}\"'\\\n😀"),
        ),
        ("varchar(3)", L::Text, text("abc "), None),
        ("varchar(9) character set latin1", L::Text, text("😀"), None),
        ("text", L::Text, text("a\0b"), Some("a\0b")),
        (
            "blob",
            L::Bytes,
            Cell::Bytes(vec![0, 92, 255]),
            Some("00__005CFF"),
        ),
        ("varbinary(2)", L::Bytes, Cell::Bytes(vec![1, 2, 3]), None),
        ("binary(4)", L::Bytes, Cell::Bytes(vec![1, 2, 3]), None),
        ("blob", L::Text, text("a"), None),
        ("bit(9)", L::Bits, text("000000101"), Some("\u{0}\u{5}")),
        ("bit(2)", L::Bits, text("101"), None),
        ("date", L::Date, text("0000-00-00"), Some("0000-00-00")),
        ("date", L::Date, text("0044-03-15 BC"), None),
        (
            "time(6)",
            L::Time,
            text("-838:59:59.000000"),
            Some("-838:59:59.000000"),
        ),
        ("time", L::Time, text("10:00:00.5"), None),
        (
            "datetime(6)",
            L::Timestamp,
            text("2024-02-29 12:00:00.000001"),
            Some("2024-02-29 12:00:00.000001"),
        ),
        ("datetime", L::Timestamp, text("2024-02-29 12:00:00.5"), None),
        (
            "datetime",
            L::TimestampTz,
            text("2024-02-29 12:00:00+00"),
            Some("2024-02-29 12:00:00"),
        ),
        (
            "timestamp null",
            L::TimestampTz,
            text("2024-02-29 12:00:00+00"),
            Some("2024-02-29 12:00:00"),
        ),
        (
            "timestamp null",
            L::TimestampTz,
            text("1900-01-01 00:00:00+00"),
            None,
        ),
        ("timestamp null", L::Timestamp, text("infinity"), None),
        ("enum('a','b')", L::Enum, text("b"), Some("b")),
        ("enum('a','b')", L::Enum, text("c"), None),
        (
            "uuid",
            L::Uuid,
            text("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
            Some("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
        ),
        (
            "json",
            L::Json,
            text("{\"b\": 1,  \"a\":2}"),
            Some("{\"b\": 1,  \"a\":2}"),
        ),
        ("json", L::Json, text("{"), None),
        ("year", L::Int, text("2024"), Some("2024")),
    ];
    check(
        DatabaseKind::Mysql,
        |column| {
            format!("if(hex({column}) = '005CFF', concat('00__', hex({column})), cast({column} as char))")
        },
        cases,
    )
    .await;
}

#[tokio::test]
async fn sqlite_holds_every_value_as_it_was_or_refuses_it() {
    let cases: Vec<Case> = vec![
        (
            "integer",
            L::Int,
            text("-9223372036854775808"),
            Some("integer -9223372036854775808"),
        ),
        ("integer", L::Int, text("18446744073709551615"), None),
        ("integer", L::Any, text("abc"), Some("text 'abc'")),
        ("integer", L::Any, Cell::Real(0.5), Some("real 0.5")),
        ("boolean", L::Bool, text("1"), Some("integer 1")),
        ("real", L::Float64, text("0.1"), Some("real 0.1")),
        ("real", L::Float64, text("Infinity"), Some("real 9.0e+999")),
        ("real", L::Float64, text("NaN"), None),
        (
            "real",
            L::Any,
            Cell::Int(1 << 60),
            Some("real 1.152921504606846976e+18"),
        ),
        ("real", L::Any, Cell::Int((1 << 60) + 1), None),
        ("numeric(30,20)", L::Decimal, text("0.12345678901234567891"), None),
        ("numeric(10,2)", L::Decimal, text("1.50"), Some("real 1.5")),
        (
            "text",
            L::Decimal,
            text("0.12345678901234567891"),
            Some("text '0.12345678901234567891'"),
        ),
        ("text", L::Float64, text("1e-7"), Some("text '1e-7'")),
        ("numeric", L::Text, text("007"), None),
        ("text", L::Text, text("007"), Some("text '007'")),
        ("blob", L::Bytes, Cell::Bytes(vec![0, 255]), Some("blob X'00FF'")),
        ("blob", L::Any, text("abc"), Some("text 'abc'")),
        ("text", L::Bytes, Cell::Bytes(vec![0, 255]), Some("blob X'00FF'")),
        ("", L::Any, Cell::Int(5), Some("integer 5")),
        ("", L::Any, text("5"), Some("text '5'")),
        (
            "datetime",
            L::Timestamp,
            text("2024-02-29 12:00:00.5"),
            Some("text '2024-02-29 12:00:00.5'"),
        ),
        (
            "date",
            L::Date,
            text("0044-03-15 BC"),
            Some("text '0044-03-15 BC'"),
        ),
        (
            "text",
            L::Uuid,
            text("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
            Some("text 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'"),
        ),
        ("integer", L::Bits, text("0101"), Some("integer 5")),
    ];
    check(
        DatabaseKind::Sqlite,
        |column| format!("typeof({column}) || ' ' || quote({column})"),
        cases,
    )
    .await;
}
