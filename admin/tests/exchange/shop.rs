use super::{KINDS, Place, Servers};
use std::fmt::Write;
use symstream_shared::db::{DatabaseKind, Param};

/// Tables that all databases can have, in the words in which they are exported: references in any order, in a circle and
/// to the table itself, names that need quotes, and each type that is the same everywhere.
const TABLES: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<database xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" name="dataextractor">
  <table name="value">
    <column name="id" primaryKey="true" required="true" type="INTEGER"/>
    <column name="flag" type="BOOLEAN"/>
    <column name="small" type="SMALLINT"/>
    <column name="big" type="BIGINT"/>
    <column name="amount" type="DECIMAL" size="20,4"/>
    <column name="single" type="REAL"/>
    <column name="double" type="DOUBLE"/>
    <column name="code" type="CHAR" size="5"/>
    <column name="name" type="VARCHAR" size="300"/>
    <column name="text" type="LONGVARCHAR"/>
    <column name="day" type="DATE"/>
    <column name="clock" type="TIME"/>
    <column name="at" type="TIMESTAMP"/>
    <column name="image" type="BLOB"/>
  </table>
  <table name="Order">
    <column name="id" primaryKey="true" required="true" type="BIGINT"/>
    <column name="line &quot;no&quot;" primaryKey="true" required="true" type="INTEGER"/>
    <column name="select" type="VARCHAR" size="20" default="it's"/>
    <column name="Kunde" type="INTEGER"/>
    <foreign-key name="order_customer" foreignTable="customer" onDelete="setnull">
      <reference local="Kunde" foreign="id"/>
    </foreign-key>
    <index name="order_idx">
      <index-column name="Kunde"/>
      <index-column name="select"/>
    </index>
  </table>
  <table name="customer">
    <column name="id" primaryKey="true" required="true" type="INTEGER" autoIncrement="true"/>
    <column name="boss" type="INTEGER"/>
    <column name="last_order" type="BIGINT"/>
    <column name="last_line" type="INTEGER"/>
    <foreign-key name="customer_boss" foreignTable="customer">
      <reference local="boss" foreign="id"/>
    </foreign-key>
    <foreign-key name="customer_last" foreignTable="Order">
      <reference local="last_order" foreign="id"/>
      <reference local="last_line" foreign="line &quot;no&quot;"/>
    </foreign-key>
    <unique name="customer_u">
      <unique-column name="last_order"/>
      <unique-column name="id"/>
    </unique>
  </table>
"#;

/// Longer than what is read and written at once.
const LONG: usize = 2 * 1024 * 1024;

/// Values that get lost easily.
fn texts() -> Vec<String> {
    [
        "",
        " ",
        " a ",
        "it's \"x\"",
        "a\\b\\",
        "a\r\nb\nc\rd\t",
        "<a>&amp;]]>",
        "\u{1}\u{1f}\u{ffff}",
        "ü😀\u{202e}",
        "null",
        "0",
        "\\N",
        "%s ? $1 :x",
    ]
    .map(str::to_owned)
    .into_iter()
    .chain(["ü'\\ text ".repeat(LONG / 20)])
    .collect()
}

fn blobs() -> Vec<Vec<u8>> {
    let long: Vec<u8> = (0..LONG)
        .map(|at| u8::try_from(at % 251).expect("byte"))
        .collect();
    vec![vec![], vec![0], vec![0, 255, 39, 92], b"text".to_vec(), long]
}

/// Rows whose references point forward, around and at themselves, and rows with each value.
async fn fill(place: &Place) {
    let database = &place.database;
    let quote = |name: &str| database.kind().quote(name);
    let order = quote("Order");
    let (line, select, kunde) = (quote("line \"no\""), quote("select"), quote("Kunde"));
    database
        .run(&format!(
            "insert into customer (id, boss) values (1, 1); insert into customer (id, boss) values (7, 1); \
             update customer set boss = 7 where id = 1; \
             insert into {order} (id, {line}, {select}, {kunde}) values (9007199254740993, 1, null, 7), (2, 1, '', 1); \
             update customer set last_order = 9007199254740993, last_line = 1 where id = 7; \
             update customer set last_order = 2, last_line = 1 where id = 1"
        ))
        .await;
    let name = |name: &str| quote(name);
    for (id, text) in (1_i64..).zip(texts()) {
        let query = format!(
            "insert into {} (id, {}) values (?, ?)",
            name("value"),
            name("text")
        );
        database
            .database()
            .execute(&query, &[id.into(), text.into()])
            .await
            .expect("text");
    }
    for (id, bytes) in (100_i64..).zip(blobs()) {
        let query = format!("insert into {} (id, image) values (?, ?)", name("value"));
        database
            .database()
            .execute(&query, &[id.into(), Param::Bytes(bytes)])
            .await
            .expect("bytes");
    }
    let (yes, no) = match database.kind() {
        DatabaseKind::Postgres => ("true", "false"),
        _ => ("1", "0"),
    };
    database
        .run(&format!(
            "insert into {value} (id, flag, small, big, amount, {single}, {double}, code, name, day, clock, {at}) values \
             (200, {yes}, -32768, -9223372036854775808, -12345678901.7891, 0.1, 0.1, 'ab', 'x', '2024-02-29', \
             '23:59:59', '2024-02-29 23:59:59.999999'), \
             (201, {no}, 32767, 9223372036854775807, 0.0001, -1e-30, 1.7976931348623157e308, '', '', '1000-01-01', \
             '00:00:00', '1999-12-31 00:00:00'), \
             (202, null, 0, 0, 0, 16777216, 5e-300, null, null, null, '12:30:00.5', '2024-01-01 10:00:00.12')",
            value = name("value"),
            single = name("single"),
            double = name("double"),
            at = name("at"),
        ))
        .await;
}

/// Asks the database itself for what [`fill`] put in.
async fn assert_filled(place: &Place, whence: &str) {
    let database = &place.database;
    let value = database.kind().quote("value");
    let count = async |query: String, params: &[Param]| {
        let rows = database.database().query(&query, params).await.expect("count");
        rows[0].int(0).expect("number")
    };
    for (id, text) in (1_i64..).zip(texts()) {
        let query = format!(
            "select count(*) from {value} where id = ? and {} = ?",
            database.kind().quote("text")
        );
        let shown: String = text.chars().take(20).collect();
        assert_eq!(
            count(query, &[id.into(), text.into()]).await,
            1,
            "{whence}: {shown:?}"
        );
    }
    for (id, bytes) in (100_i64..).zip(blobs()) {
        let query = format!("select count(*) from {value} where id = ? and image = ?");
        let length = bytes.len();
        assert_eq!(
            count(query, &[id.into(), Param::Bytes(bytes)]).await,
            1,
            "{whence}: {length} bytes"
        );
    }
    let double = database.kind().quote("double");
    for condition in [
        "id = 200 and flag and small = -32768 and big = -9223372036854775808 and code = 'ab'".to_owned(),
        format!("id = 200 and {double} = 0.1 and day = '2024-02-29' and clock = '23:59:59'"),
        format!("id = 201 and not flag and {double} = 1.7976931348623157e308 and name = ''"),
        format!("id = 202 and flag is null and {double} = 5e-300 and name is null and code is null"),
    ] {
        let query = format!("select count(*) from {value} where {condition}");
        assert_eq!(count(query, &[]).await, 1, "{whence}: {condition}");
    }
    let query = format!("select count(*) from {value} where amount = -12345678901.7891");
    assert_eq!(count(query, &[]).await, 1, "{whence}");
}

#[tokio::test]
async fn structure_and_rows_come_back_from_any_database_to_any() {
    let servers = Servers::start().await;
    for from in KINDS {
        let source = servers.place(from).await;
        source
            .import(&format!("{TABLES}</database>\n"), &["--format", "XML"])
            .ok();
        fill(&source).await;
        let xml = source.export("all.xml", &["--format", "XML"]);
        assert!(xml.starts_with(&reordered()), "{from}: {}", &xml[..4000]);
        for to in KINDS {
            let target = servers.place(to).await;
            let whence = format!("{from} to {to}");
            target.import(&xml, &["--format", "XML"]).ok();
            assert_filled(&target, &whence).await;
            let again = target.export("again.xml", &["--format", "XML"]);
            assert_same(&xml, &again, &whence);
            // The numbers go on behind those that came.
            target
                .database
                .run("insert into customer (boss) values (7)")
                .await;
            assert_eq!(
                target.database.number("select max(id) from customer").await,
                8,
                "{whence}"
            );
            // The same once more changes nothing.
            let twice = target.import(&xml, &["--format", "XML"]).ok();
            assert!(
                twice.stderr.contains("3 were there; 0 rows inserted"),
                "{whence}: {twice:?}"
            );
        }
    }
}

/// [`TABLES`] as an export orders them: those that refer to none first, then by name.
fn reordered() -> String {
    let begin = TABLES.find("  <table name=\"value\">").expect("value");
    let end = TABLES.find("  <table name=\"Order\">").expect("Order");
    let mut text = TABLES[..begin].to_owned();
    // `Order` and `customer` are a circle, in which the first by name comes first.
    let _infallible = write!(text, "{}{}", &TABLES[begin..end], &TABLES[end..]);
    text
}

#[track_caller]
pub fn assert_same(want: &str, got: &str, whence: &str) {
    for (index, (want, got)) in want.lines().zip(got.lines()).enumerate() {
        let short = |line: &str| line.chars().take(2000).collect::<String>();
        assert!(
            want == got,
            "{whence}: line {}\n{}\n{}",
            index + 1,
            short(want),
            short(got)
        );
    }
    assert_eq!(want.lines().count(), got.lines().count(), "{whence}");
}

#[tokio::test]
async fn scripts_bring_the_same_to_any_database() {
    let servers = Servers::start().await;
    for from in KINDS {
        let source = servers.place(from).await;
        source
            .import(&format!("{TABLES}</database>\n"), &["--format", "XML"])
            .ok();
        fill(&source).await;
        let xml = source.export("all.xml", &["--format", "XML"]);
        for to in KINDS {
            let target = servers.place(to).await;
            let whence = format!("{from} to {to}");
            let dialect = match to {
                DatabaseKind::Postgres => "postgres",
                DatabaseKind::Mysql => "mysql",
                DatabaseKind::Sqlite => "sqlite",
            };
            let script = source.export("all.sql", &["--compatible", dialect]);
            target.import(&script, &[]).ok();
            assert_filled(&target, &whence).await;
            assert_same(&xml, &target.export("again.xml", &["--format", "XML"]), &whence);
            target
                .database
                .run("insert into customer (boss) values (7)")
                .await;
            assert_eq!(
                target.database.number("select max(id) from customer").await,
                8,
                "{whence}"
            );
        }
    }
}
