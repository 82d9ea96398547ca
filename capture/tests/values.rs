//! Every value decodes to what the database itself says it is, whatever the application's session is set to.

use crate::source::Source;
use symstream_shared::cell::Cell;
use symstream_tests::server::PostgresServer;

/// Types, and values of them as SQL.
const POSTGRES: &[(&str, &[&str])] = &[
    ("smallint", &["-32768", "32767"]),
    ("bigint", &["-9223372036854775808", "9223372036854775807"]),
    (
        "real",
        &["'NaN'", "'-Infinity'", "0.1", "3.4028235e38", "1e-45", "'-0'"],
    ),
    (
        "double precision",
        &[
            "'NaN'",
            "'Infinity'",
            "0.1",
            "1.7976931348623157e308",
            "5e-324",
            "'-0'",
            "1.0/3",
        ],
    ),
    (
        "numeric",
        &[
            "'NaN'",
            "'Infinity'",
            "12345678901234567890.123456789012345678901234567890",
            "1.50",
            "-0.0",
        ],
    ),
    ("numeric(12,2)", &["1.5", "-9999999999.99"]),
    ("boolean", &["true", "false"]),
    (
        "text",
        &[
            "''",
            "'a\"b\\c, (d)'",
            "E'line\\r\\nbreak\\ttab'",
            "'∅ 𝄞 ü'",
            "'  '",
            "','",
            "'()'",
            "E'\\x01\\x7f'",
        ],
    ),
    ("varchar(20)", &["'x'", "'\\N'", "'NULL'", "'\"'", "'\\'"]),
    ("char(5)", &["'ab'", "''"]),
    ("bytea", &["''", "'\\x00ff5c2722'"]),
    ("bit(3)", &["B'101'", "B'000'"]),
    ("varbit(9)", &["B'101010101'", "B''"]),
    (
        "date",
        &["'2024-02-29'", "'0044-03-15 BC'", "'infinity'", "'-infinity'"],
    ),
    ("time", &["'23:59:59.999999'", "'00:00'", "'24:00:00'"]),
    ("timetz", &["'12:34:56.789+05:30'", "'00:00-12'"]),
    (
        "timestamp",
        &[
            "'2024-10-27 02:30:00.000001'",
            "'4713-01-01 00:00:00 BC'",
            "'infinity'",
            "'-infinity'",
        ],
    ),
    (
        "timestamptz",
        &[
            "'2024-10-27 02:30:00+02'",
            "'2024-10-27 02:30:00.5+01'",
            "'0001-01-01 00:00:00+00 BC'",
            "'infinity'",
        ],
    ),
    (
        "interval",
        &["'1 year 2 mons -3 days 04:05:06.789'", "'-1 sec'", "'0'"],
    ),
    ("uuid", &["'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'"]),
    ("json", &["'{\"a\":  \"b\\\\c\\u00fc\"}'", "'null'"]),
    ("jsonb", &["'{\"a\": [1, 2.50, \"x,y\"]}'"]),
    ("money", &["1234.5", "-0.01"]),
    ("inet", &["'10.0.0.1/8'", "'::1'"]),
    ("int4range", &["'[1,5)'", "'empty'"]),
    ("point", &["'(0.1,-2)'"]),
    (
        "text[]",
        &[
            "'{}'",
            "array['a,b', null, 'c\"d', '\\', '']",
            "array[['x','y'],['z','']]",
        ],
    ),
    (
        "timestamptz[]",
        &["array['2024-10-27 02:30:00+02'::timestamptz, 'infinity']"],
    ),
    ("float8[]", &["array[0.1, 'NaN', 1e300]"]),
    ("\"Mood\"", &["'so so'", "'ok'"]),
    (
        "address",
        &[
            "row('a \"b\" \\ c', 0.1, '2024-01-02')::address",
            "row(null, null, null)::address",
        ],
    ),
    ("positive", &["5"]),
];

const HOSTILE: &str = "set datestyle = 'SQL, DMY'; set timezone = 'Asia/Kathmandu'; set intervalstyle = 'iso_8601'; \
     set extra_float_digits = -15; set bytea_output = 'escape'; set lc_monetary = 'C'; \
     set standard_conforming_strings = off; set search_path = nowhere; set quote_all_identifiers = on; \
     set enable_hashjoin = off";

#[tokio::test]
async fn a_value_of_postgresql_is_captured_as_it_is_in_any_session() {
    let server = PostgresServer::start().await;
    let source = Source::new(server.create_database("values_pg").await).await;
    source
        .db
        .run(
            "create type \"Mood\" as enum ('ok', 'so so'); create type address as (street text, x float8, day date); \
             create domain positive as int check (value > 0); create domain more_positive as positive",
        )
        .await;
    // One table a type, so that each has only the settings that its type asks for.
    for (index, (sql_type, _)) in POSTGRES.iter().enumerate() {
        source
            .db
            .run(&format!(
                "create table t{index} (id int primary key, v {sql_type}, \"origin\" text)"
            ))
            .await;
        source
            .trigger(&format!("t{index}"), &format!("t{index}"), "")
            .await;
    }
    source.sync().await;
    let hostile = source.db.database().conn().await.expect("connection");
    let mut hostile = hostile.detach();
    symstream_shared::db::Sql::execute_script(&mut hostile, HOSTILE)
        .await
        .expect("hostile settings");
    for (index, (sql_type, values)) in POSTGRES.iter().enumerate() {
        let mut expected = Vec::new();
        for (id, value) in values.iter().chain(&["null"]).enumerate() {
            // Inserted by a session of ours, so that the value is the one that is written here; the hostile one
            // touches the row and has the triggers write it.
            source
                .db
                .run(&format!("insert into t{index} values ({id}, {value})"))
                .await;
            source.take().await;
            for statement in [
                format!("update public.t{index} set id = id where id = {id}"),
                format!(
                    "insert into public.t{index} select id + 1000, v from public.t{index} where id = {id}"
                ),
                format!("delete from public.t{index} where id = {id} + 1000"),
            ] {
                symstream_shared::db::Sql::execute_script(&mut hostile, &statement)
                    .await
                    .expect(&statement);
            }
            let judge = source
                .db
                .rows(&format!(
                    "select case when num_nulls(v) = 0 then concat(v) end from t{index} where id = {id}"
                ))
                .await;
            expected.push(judge[0][0].clone());
            let captured = source.take().await;
            assert_eq!(captured.len(), 3, "{sql_type} {value}");
            for (row, image) in [
                (0, captured[0].new.as_ref()),
                (0, captured[0].old.as_ref()),
                (1, captured[1].new.as_ref()),
                (2, captured[2].old.as_ref()),
            ] {
                let cell = &image.expect("image")[1];
                let found = match cell {
                    Cell::Null => "∅".to_owned(),
                    Cell::Bytes(_) => format!("\\x{}", cell.to_text().expect("bytes")),
                    _ if *sql_type == "boolean" => if cell.to_text().as_deref() == Some("1") {
                        "t"
                    } else {
                        "f"
                    }
                    .to_owned(),
                    _ => cell.to_text().expect("text"),
                };
                assert_eq!(found, judge[0][0], "{sql_type} {value}, change {row}");
            }
        }
        assert_eq!(expected.last().map(String::as_str), Some("∅"));
    }
}
