//! Values that only one of the databases has, between two of its kind.

use super::*;

/// Inserts each of `values` as SQL, then compares what `question` says at both ends.
async fn arrives(kind: DatabaseKind, ddl: &str, table: &str, values: &[&str], question: &str) {
    let pair = Pair::start(kind, kind, ddl, &[table]).await;
    for (id, value) in values.iter().enumerate() {
        pair.source
            .database
            .run(&format!("insert into {table} values ({id}, {value})"))
            .await;
    }
    let sql = format!("select id, {question} from {table} order by id");
    eventually(PATIENCE, "the same answers at both ends", || async {
        let (source, target) = (
            pair.source.database.rows(&sql).await,
            pair.target.database.rows(&sql).await,
        );
        if source.len() == values.len() && source == target {
            Ok(())
        } else {
            let difference = source
                .iter()
                .zip(&target)
                .find(|(source, target)| source != target);
            Err(format!(
                "{} of {} rows; {difference:?}",
                target.len(),
                source.len()
            ))
        }
    })
    .await;
    pair.quiet().await;
}

#[tokio::test]
async fn what_only_postgres_has_arrives_at_postgres() {
    let ddl = "create type mood as enum ('sad', 'it''s ok', 'a,b');
        create domain positive as numeric check (value > 0);
        create table special (id integer primary key, f float8, n numeric, d date, ts timestamp, tz timestamptz,
        i interval, tt timetz, a integer[], ta text[][], b jsonb, net inet, m mood, p positive, r int4range,
        v varbit, x xml, mac macaddr, c \"char\")";
    let others = "'{}', '{}', null, null, null, null, null, null, null, null, null";
    let rows = [
        format!("'NaN', 'NaN', 'infinity', 'infinity', '-infinity', '-1 year 3 days 04:05:06.000001', '23:59:59.999999+14', {others}"),
        format!("'-Infinity', '1e-300', '0044-03-15 BC', '0044-03-15 12:00:00.5 BC', '0044-03-15 12:00:00 BC', null, null, {others}"),
        format!("'-0', '{}.{}', '4713-01-01 BC', '294276-12-31 23:59:59.999999', '1883-11-18 12:03:57-04:56:02', null, null, {others}", "9".repeat(500), "1".repeat(500)),
        "1e-320, 0.000, null, null, null, null, null, '{1,NULL,-3}', '{{\"a,b\",\"c\\\"d\"},{NULL,\"NULL\"}}', \
         '{\"b\": [1.10, \"\\u00fc\"]}', '::1/64', 'it''s ok', 1.50, '[1,5)', b'10101', '<a b=\"c\">d</a>', \
         '08:00:2b:01:02:03', 'x'".to_owned(),
    ];
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    arrives(Postgres, ddl, "special", &rows, "special::text").await;
}

#[tokio::test]
async fn what_only_mariadb_has_arrives_at_mariadb() {
    let ddl = "create table special (id integer primary key, d date, dt datetime(6), t time(6), y year,
        s set('a','b','c d'), u bigint unsigned, z decimal(65,30), f float, b bit(64), g tinyint, bin binary(4),
        ci varchar(20) character set latin1)";
    let rows = [
        "'0000-00-00', '0000-00-00 00:00:00', '-838:59:59', 0, '', 18446744073709551615, \
         -99999999999999999999999999999999999.999999999999999999999999999999, 3.4028234e38, b'1', -128, x'00ff0000', 'ä'",
        "'2024-02-00', '9999-12-31 23:59:59.999999', '838:59:59', 2155, 'a,c d', 0, 0.000000000000000000000000000001, \
         1.17549e-38, 18446744073709551615, 127, x'', ''",
    ];
    arrives(
        Mysql,
        ddl,
        "special",
        &rows,
        "concat_ws('|', d, dt, t, y, s, u, z, cast(f as double), hex(b), g, hex(bin), hex(ci))",
    )
    .await;
}

#[tokio::test]
async fn values_of_any_type_in_any_column_arrive_at_sqlite() {
    let ddl = "create table special (id integer primary key, i integer, t text, b blob, r real, n numeric, anything)";
    let values = [
        "1",
        "-9223372036854775808",
        "9223372036854775807",
        "1.5",
        "9e999",
        "-9e999",
        "0.1",
        "1e-320",
        "'text'",
        "''",
        "'1'",
        "'1.0'",
        "x'00ff'",
        "x''",
        "null",
        "'it''s'",
        "123456789012345678901234567890",
    ];
    let rows: Vec<String> = values.iter().map(|value| [*value; 6].join(", ")).collect();
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    let question = ["i", "t", "b", "r", "n", "anything"]
        .map(|column| format!("typeof({column}) || ' ' || quote({column})"))
        .join(", ");
    arrives(Sqlite, ddl, "special", &rows, &question).await;
}

#[tokio::test]
async fn a_value_that_the_target_can_not_hold_is_an_error_that_names_table_and_column() {
    let source = "create table special (id integer primary key, amount double precision)";
    let target = "create table special (id integer primary key, amount double)";
    let configuration = Configuration::default()
        .link(SOURCE, TARGET)
        .table("special", "main");
    let pair = Pair::start_with((Postgres, source), (Mysql, target), &configuration, &["special"]).await;
    pair.source
        .database
        .run("insert into special values (1, 'NaN')")
        .await;
    let message = eventually(PATIENCE, "an error", || async {
        let rows = pair
            .target
            .database
            .rows("select sql_message from sym_incoming_batch_hist where status = 'ER'")
            .await;
        rows.into_iter().next().ok_or("there is none")
    })
    .await;
    for word in ["special", "amount", "NaN"] {
        assert!(message[0].contains(word), "{message:?}");
    }
    assert_eq!(
        pair.target.database.number("select count(*) from special").await,
        0
    );
}
