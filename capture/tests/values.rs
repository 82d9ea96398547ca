//! Every value decodes to what the database itself says it is, whatever the application's session is set to.

use crate::source::Source;
use symstream_shared::cell::Cell;
use symstream_shared::db::Sql;
use symstream_tests::database::TestDatabase;
use symstream_tests::folder::Folder;
use symstream_tests::server::{MariaDb, PostgresServer};

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
    Sql::execute_script(&mut hostile, HOSTILE)
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
                Sql::execute_script(&mut hostile, &statement)
                    .await
                    .expect(&statement);
            }
            // `concat` keeps the padding of a `char(n)`, which is no part of the value.
            let text = if sql_type.starts_with("char(") {
                "cast(v as text)"
            } else {
                "concat(v)"
            };
            let judge = source
                .db
                .rows(&format!(
                    "select case when num_nulls(v) = 0 then {text} end from t{index} where id = {id}"
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

const MARIADB: &[(&str, &[&str])] = &[
    ("tinyint(1)", &["5", "-128"]),
    ("bigint", &["-9223372036854775808", "9223372036854775807"]),
    ("bigint unsigned", &["18446744073709551615"]),
    ("int(8) zerofill", &["42", "0"]),
    ("year", &["2024", "0"]),
    (
        "double",
        &[
            "0.1",
            "1.7976931348623157e308",
            "5e-324",
            "1e0/3",
            "123456789.123456789",
            "1e22",
            "-0.0",
        ],
    ),
    (
        "decimal(65,30)",
        &["12345678901234567890.123456789012345678901234567890", "-0.5"],
    ),
    (
        "varchar(50)",
        &[
            "''",
            "'a\"b\\\\c,'",
            "'line\\r\\nbreak\\ttab'",
            "'𝄞 ü ∅'",
            "'  '",
            "'NULL'",
        ],
    ),
    (
        "varchar(50) character set latin1 collate latin1_german1_ci",
        &["'ü'"],
    ),
    ("text character set utf16", &["'𝄞'"]),
    ("char(5)", &["'ab'"]),
    ("longtext", &["repeat('x', 100000)"]),
    ("date", &["'2024-02-29'", "'0000-00-00'", "'2024-02-00'"]),
    ("time", &["'-838:59:59'", "'23:59:59'"]),
    ("time(6)", &["'12:00:00.000001'"]),
    ("datetime", &["'2024-10-27 02:30:00'", "'0000-00-00 00:00:00'"]),
    ("datetime(6)", &["'9999-12-31 23:59:59.999999'"]),
    ("enum('ok','so \"so\"')", &["'so \"so\"'"]),
    ("set('a','b','c')", &["'a,c'", "''"]),
    ("json", &["'{\"a\":  [1, \"x,y\"]}'"]),
    ("uuid", &["'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'"]),
    ("inet6", &["'::1'"]),
];

/// What a value has to be, where the server's own text is not it: (type, value, canonical text).
const MARIADB_OTHERS: &[(&str, &str, &str)] = &[
    ("float", "0.1", "0.1"),
    ("float", "16777217", "16777216"),
    ("float", "3.40282346e38", "3.4028235e38"),
    ("float", "1.1754944e-38", "1.1754944e-38"),
    ("bit(3)", "b'101'", "101"),
    (
        "bit(64)",
        "b'1000000000000000000000000000000000000000000000000000000000000001'",
        "1000000000000000000000000000000000000000000000000000000000000001",
    ),
    ("bit(5)", "0", "00000"),
    ("binary(3)", "x'00ff'", "00ff00"),
    ("varbinary(9)", "x'00ff5c2722'", "00ff5c2722"),
    ("varbinary(9)", "''", ""),
    ("longblob", "repeat(x'ff', 5)", "ffffffffff"),
    // Both read 02:30 in Vienna.
    (
        "timestamp null",
        "from_unixtime(1729989000)",
        "2024-10-27 00:30:00+00",
    ),
    (
        "timestamp null",
        "from_unixtime(1729992600)",
        "2024-10-27 01:30:00+00",
    ),
    (
        "timestamp(6) null",
        "from_unixtime(1.000001)",
        "1970-01-01 00:00:01.000001+00",
    ),
    (
        "timestamp(3) null",
        "from_unixtime(2147483647.5)",
        "2038-01-19 03:14:07.500+00",
    ),
    (
        "timestamp null",
        "'0000-00-00 00:00:00'",
        "0000-00-00 00:00:00+00",
    ),
    (
        "timestamp not null default 0",
        "'0000-00-00 00:00:00'",
        "0000-00-00 00:00:00+00",
    ),
];

/// In Vienna the clock goes back at the end of October 2024. A server has no zones until they are loaded.
const VIENNA: &str = "insert into mysql.time_zone (Time_zone_id, Use_leap_seconds) values (7, 'N'); \
     insert into mysql.time_zone_name values ('Vienna', 7); \
     insert into mysql.time_zone_transition_type values (7, 0, 7200, 1, 'CEST'), (7, 1, 3600, 0, 'CET'); \
     insert into mysql.time_zone_transition values (7, 1711846800, 0), (7, 1729990800, 1)";

const HOSTILE_MARIADB: &str = "set time_zone = 'Vienna'; set names latin1; \
     set sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT'; set div_precision_increment = 0; \
     set lc_time_names = 'de_AT'; set collation_connection = latin1_german2_ci; set character_set_results = null";

#[tokio::test]
async fn a_value_of_mariadb_is_captured_as_it_is_in_any_session() {
    let server = MariaDb::start().await;
    let source = Source::new(server.create_database("value_types").await).await;
    source.db.run(VIENNA).await;
    let mut hostile = source.db.database().conn().await.expect("connection").detach();
    Sql::execute_script(&mut hostile, HOSTILE_MARIADB)
        .await
        .expect("hostile settings");
    let plain = MARIADB
        .iter()
        .flat_map(|(sql_type, values)| values.iter().map(|value| (*sql_type, *value, None)));
    let others = MARIADB_OTHERS
        .iter()
        .map(|(sql_type, value, wanted)| (*sql_type, *value, Some(*wanted)));
    let cases: Vec<_> = plain.chain(others).collect();
    let columns: Vec<String> = cases
        .iter()
        .enumerate()
        .map(|(index, (sql_type, ..))| format!("v{index} {sql_type}"))
        .collect();
    source
        .db
        .run(&format!(
            "create table t (id int primary key, {})",
            columns.join(", ")
        ))
        .await;
    source.trigger("t", "t", "").await;
    source.sync().await;
    let values: Vec<&str> = cases.iter().map(|(_, value, _)| *value).collect();
    source
        .db
        .run(&format!("insert into t values (1, {})", values.join(", ")))
        .await;
    source.take().await;
    for statement in ["update t set id = 2", "insert into t (id) values (3)"] {
        Sql::execute_script(&mut hostile, statement)
            .await
            .expect(statement);
    }
    let captured = source.take().await;
    for image in [captured[0].new.as_ref(), captured[0].old.as_ref()] {
        let image = image.expect("image");
        for (index, (sql_type, value, wanted)) in cases.iter().enumerate() {
            let wanted = match wanted {
                Some(wanted) => (*wanted).to_owned(),
                None => {
                    let is_number = sql_type.starts_with("int(8)") || *sql_type == "year";
                    let cast = if is_number {
                        format!("v{index} + 0")
                    } else {
                        format!("v{index}")
                    };
                    let judge = source
                        .db
                        .rows(&format!("select cast({cast} as char) from t where id = 2"))
                        .await;
                    judge[0][0].clone()
                }
            };
            assert_eq!(image[index + 1].to_text(), Some(wanted), "{sql_type} {value}");
        }
    }
    let nulls = captured[1].new.as_ref().expect("image")[1..]
        .iter()
        .filter(|cell| cell.is_null())
        .count();
    assert_eq!(nulls, cases.len() - 1, "all but the column that takes no null");
}

#[tokio::test]
async fn a_value_of_sqlite_is_captured_as_what_it_is_whatever_its_column() {
    let folder = Folder::new();
    let source = Source::new(TestDatabase::sqlite(&folder, "values")).await;
    let declared = [
        "", "integer", "text", "real", "numeric", "blob", "boolean", "datetime",
    ];
    let columns: Vec<String> = declared
        .iter()
        .enumerate()
        .map(|(index, declared)| format!("v{index} {declared}"))
        .collect();
    source
        .db
        .run(&format!(
            "create table t (id integer primary key, {})",
            columns.join(", ")
        ))
        .await;
    source.trigger("t", "t", "").await;
    source.sync().await;
    let values = [
        "null",
        "5",
        "-9223372036854775808",
        "9223372036854775807",
        "0.1",
        "5.0",
        "1e300",
        "5e-324",
        "-0.0",
        "9e999",
        "-9e999",
        "123456789.12345679",
        "''",
        "'5'",
        "'5.0'",
        "'a\"b,'",
        "'x''00'''",
        "'∅ 𝄞'",
        "x''",
        "x'00ff'",
        "'line' || char(10) || char(13) || char(9)",
    ];
    for value in values {
        let list = vec![value; declared.len()].join(", ");
        for statement in [
            &format!("insert into t values (1, {list})"),
            "update t set id = 2",
            "delete from t",
            &format!("insert into t values (1, {list})"),
        ] {
            source.db.run(statement).await;
        }
        // Without their declarations, the values come as what they are stored as.
        let names: Vec<String> = (0..declared.len()).map(|index| format!("+v{index}")).collect();
        let select = format!("select {} from t", names.join(", "));
        let judge = source.db.database().query(&select, &[]).await.expect("row");
        source.db.run("delete from t").await;
        let captured = source.take().await;
        for image in [
            &captured[0].new,
            &captured[1].old,
            &captured[1].new,
            &captured[2].old,
            &captured[3].new,
        ] {
            assert_eq!(image.as_ref().expect("image")[1..], judge[0].0, "{value}");
        }
    }
}
