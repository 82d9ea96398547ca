//! Names and shapes of tables: case 14.

use symstream_shared::db::DatabaseKind::{self, Mysql, Postgres, Sqlite};
use symstream_tests::compare::{Part, become_equal};
use symstream_tests::configuration::Configuration;
use symstream_tests::database::TestDatabase;
use symstream_tests::network::Site;
use symstream_tests::ring::Ring;

/// Names that are hard for one database or another.
const TABLES: [&str; 4] = ["Sales Orders", "group", "it\"s `odd`, ümlaut", "UPPER"];
const COLUMNS: [&str; 8] = [
    "Id",
    "select",
    "two words",
    "qu\"ote",
    "back`tick",
    "a,b",
    "Größe",
    "new",
];
/// The key, in another order than the table's.
const KEY: [&str; 3] = ["a,b", "Id", "two words"];

fn quoted(kind: DatabaseKind, names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| kind.quote(name)).collect();
    names.join(", ")
}

fn create(kind: DatabaseKind, table: &str) -> String {
    let columns: Vec<String> = COLUMNS
        .iter()
        .map(|name| {
            let not_null = if KEY.contains(name) { " not null" } else { "" };
            format!("{} varchar(30){not_null}", kind.quote(name))
        })
        .collect();
    let columns = columns.join(", ");
    format!(
        "create table {table} ({columns}, primary key ({}));",
        quoted(kind, &KEY)
    )
}

/// A table outside the schema that the node's own tables are in. SQLite has none.
fn elsewhere(kind: DatabaseKind) -> String {
    match kind {
        Postgres => "\"Sales Office\".\"Table 1\"",
        Mysql => "`sales-office`.`Table 1`",
        Sqlite => "\"Table 1\"",
    }
    .to_owned()
}

/// Columns `c0` to `c198` beside the key.
fn wide() -> String {
    let columns: Vec<String> = (0..199).map(|number| format!("c{number} integer")).collect();
    format!(
        "create table wide (id integer primary key, {});",
        columns.join(", ")
    )
}

fn ddl(kind: DatabaseKind) -> String {
    let schema = match kind {
        Postgres => "create schema \"Sales Office\";",
        Mysql => "create database `sales-office`;",
        Sqlite => "",
    };
    let own: String = TABLES
        .iter()
        .map(|table| create(kind, &kind.quote(table)))
        .collect();
    format!("{schema}{own}{}{}", create(kind, &elsewhere(kind)), wide())
}

fn configuration() -> Configuration {
    let tables = TABLES
        .iter()
        .fold(Configuration::default(), |all, table| all.table(table, "main"));
    // The one table whose schema has another name at each node.
    let schemas = [
        ("postgres", "source", "'Sales Office'"),
        ("mariadb", "source", "'sales-office'"),
        ("postgres", "target", "'Sales Office'"),
        ("mariadb", "target", "'sales-office'"),
    ];
    schemas.iter().fold(
        tables.table("wide", "main").table("Table 1", "main"),
        |all, (group, end, schema)| {
            all.and(&format!(
                "update sym_trigger set {end}_schema_name = {schema} where source_table_name = 'Table 1' \
                 and {end}_node_group_id = '{group}'"
            ))
        },
    )
}

/// The rows of a table with odd columns, wherever it is.
async fn rows(database: &TestDatabase, table: &str) -> Vec<Vec<String>> {
    let columns = quoted(database.kind(), &COLUMNS);
    let mut rows = database.rows(&format!("select {columns} from {table}")).await;
    rows.sort();
    rows
}

async fn odd_names(source: &Site, target: &Site, tables: [String; 2]) {
    let [from, to] = &tables;
    let kind = source.database.kind();
    let column = |name: &str| kind.quote(name);
    let place = source.id();
    let insert = format!(
        "insert into {from} values ('1', '2', '3', '4', '5', '6', '7', '{place}'),
                                   ('a', '''', '\"', null, ',', '`', '', '{place}'),
                                   ('gone', '', '', '', '', '', '', '{place}')"
    );
    source.database.run(&insert).await;
    let update = format!(
        "update {from} set {} = 'changed', {} = 'key' where {} = '1'",
        column("qu\"ote"),
        column("a,b"),
        column("Id")
    );
    source.database.run(&update).await;
    source
        .database
        .run(&format!("delete from {from} where {} = 'gone'", column("Id")))
        .await;
    let expected = [
        ["1", "2", "3", "changed", "5", "key", "7", place],
        ["a", "'", "\"", "∅", ",", "`", "", place],
    ];
    symstream_tests::eventually::eventually(
        symstream_tests::network::PATIENCE,
        format!("{to} at {}", target.id()),
        || async {
            let found = rows(&target.database, to).await;
            if found == expected {
                Ok(())
            } else {
                Err(format!("{found:?}"))
            }
        },
    )
    .await;
    source.database.run(&format!("delete from {from}")).await;
}

async fn two_hundred_columns(source: &Site, target: &Site) {
    let all: Vec<String> = (0..200).map(|number| number.to_string()).collect();
    let sql = format!(
        "insert into wide values ({}); insert into wide (id, c198) values (1000, 7)",
        all.join(", ")
    );
    source.database.run(&sql).await;
    source
        .database
        .run("update wide set c0 = null, c197 = -1 where id = 0")
        .await;
    let columns: Vec<String> = (0..199).map(|number| format!("c{number}")).collect();
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    let part = Part {
        table: "wide",
        columns: &columns,
        condition: "",
    };
    assert_eq!(become_equal(&source.database, &target.database, part).await, 2);
    source.database.run("delete from wide").await;
    assert_eq!(become_equal(&source.database, &target.database, part).await, 0);
}

#[tokio::test]
async fn names_and_shapes_of_tables_are_no_matter() {
    let ring = Ring::start(ddl, configuration()).await;
    for (source, target) in ring.ways() {
        let kinds = [source, target].map(|site| site.database.kind());
        for table in TABLES {
            odd_names(source, target, kinds.map(|kind| kind.quote(table))).await;
        }
        odd_names(source, target, kinds.map(elsewhere)).await;
        two_hundred_columns(source, target).await;
        ring.quiet().await;
    }
}
