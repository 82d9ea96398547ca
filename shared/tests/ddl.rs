//! Tables as XML: what is made from a description is described the same, on each database and from one to another.

use symstream_shared::db::DatabaseKind;
use symstream_shared::ddl::{self, ExportTable};
use symstream_tests::database::TestDatabase;
use symstream_tests::folder::Folder;
use symstream_tests::server::{MariaDb, PostgresServer};

/// What all three databases can have: references in any order, in a circle and to the table itself, names that need
/// quotes, and each type that is the same everywhere.
const SHOP: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<database xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" name="dataextractor">
  <table name="Order">
    <column name="id" primaryKey="true" required="true" type="BIGINT"/>
    <column name="line &quot;no&quot;" primaryKey="true" required="true" type="INTEGER"/>
    <column name="select" type="VARCHAR" size="20" default="it's"/>
    <column name="Kunde" type="INTEGER"/>
    <foreign-key name="order_customer" foreignTable="customer" onDelete="setnull" onUpdate="cascade">
      <reference local="Kunde" foreign="id"/>
    </foreign-key>
    <index name="order_idx">
      <index-column name="Kunde"/>
      <index-column name="select"/>
    </index>
    <unique name="order_u">
      <unique-column name="select"/>
      <unique-column name="id"/>
    </unique>
  </table>
  <table name="customer">
    <column name="id" primaryKey="true" required="true" type="INTEGER" autoIncrement="true"/>
    <column name="boss" type="INTEGER"/>
    <column name="last_order" type="BIGINT"/>
    <column name="last_line" type="INTEGER"/>
    <foreign-key name="customer_boss" foreignTable="customer">
      <reference local="boss" foreign="id"/>
    </foreign-key>
    <foreign-key name="customer_last" foreignTable="Order" onDelete="cascade">
      <reference local="last_order" foreign="id"/>
      <reference local="last_line" foreign="line &quot;no&quot;"/>
    </foreign-key>
  </table>
  <table name="kind">
    <column name="a" primaryKey="true" required="true" type="VARCHAR" size="50"/>
    <column name="b" type="BOOLEAN" default="1"/>
    <column name="c" type="SMALLINT" default="-7"/>
    <column name="d" required="true" type="DECIMAL" size="12,3" default="1.500"/>
    <column name="e" type="REAL"/>
    <column name="f" type="DOUBLE" default="0.25"/>
    <column name="g" type="CHAR" size="3" default=""/>
    <column name="h" type="LONGVARCHAR" default="two &#10; lines \ and more"/>
    <column name="i" type="DATE" default="2024-02-29"/>
    <column name="j" type="TIME" default="CURRENT_TIME"/>
    <column name="k" required="true" type="TIMESTAMP" default="CURRENT_TIMESTAMP"/>
    <column name="l" type="BLOB"/>
    <column name="m" type="DATE" default="CURRENT_DATE"/>
  </table>
</database>
"#;

struct Databases {
    all: [TestDatabase; 3],
    _guards: (PostgresServer, MariaDb, Folder),
}

async fn databases() -> Databases {
    let guards = (
        PostgresServer::start().await,
        MariaDb::start().await,
        Folder::new(),
    );
    let all = [
        guards.0.create_database("shop").await,
        guards.1.create_database("shop").await,
        TestDatabase::sqlite(&guards.2, "shop"),
    ];
    Databases { all, _guards: guards }
}

fn shop() -> Vec<ExportTable> {
    ["Order", "customer", "kind"]
        .map(|name| ExportTable::new(None, name))
        .into()
}

async fn export(database: &TestDatabase, tables: &[ExportTable]) -> String {
    let mut conn = database.database().conn().await.expect("connection");
    ddl::export(&mut conn, tables).await.expect("describe")
}

async fn create(database: &TestDatabase, xml: &str) -> Vec<String> {
    let mut conn = database.database().conn().await.expect("connection");
    ddl::create_missing(&mut conn, xml).await.expect("create")
}

#[tokio::test]
async fn a_description_comes_back_from_every_database() {
    let databases = databases().await;
    for database in &databases.all {
        assert_eq!(create(database, SHOP).await, ["Order", "customer", "kind"]);
        assert_eq!(export(database, &shop()).await, SHOP, "{}", database.kind());
        assert!(create(database, SHOP).await.is_empty(), "everything is there");
        // References and defaults are more than words.
        database.run("insert into kind (a, d) values ('x', 2)").await;
        let rows = database
            .rows("select b, c, g, h, m is null, k is null from kind")
            .await;
        assert_eq!(
            rows,
            [[
                "1",
                "-7",
                if database.kind() == DatabaseKind::Postgres {
                    "   "
                } else {
                    ""
                },
                "two \n lines \\ and more",
                "0",
                "0"
            ]]
        );
        let orphan = database.try_run("insert into customer (boss) values (99)").await;
        assert!(orphan.is_err(), "{}", database.kind());
    }
}

#[tokio::test]
async fn a_table_may_be_described_under_the_name_that_it_has_elsewhere() {
    let databases = databases().await;
    for database in &databases.all {
        create(database, SHOP).await;
        let mut tables = shop();
        tables[1].as_table = "kunde".to_owned();
        let xml = export(database, &tables[..2]).await;
        assert_eq!(xml.matches("foreignTable=\"kunde\"").count(), 2, "{xml}");
        assert_eq!(xml.matches("<table name=\"kunde\">").count(), 1, "{xml}");
    }
}

#[tokio::test]
async fn types_of_one_database_are_kept_there_and_become_the_nearest_elsewhere() {
    let databases = databases().await;
    let [postgres, mysql, sqlite] = &databases.all;
    postgres
        .run(
            "create type mood as enum ('a', 'b'); create table t (id uuid primary key default gen_random_uuid(), \
             at timestamptz(3) not null default now(), j jsonb, n integer[], s varchar default 'x', m mood, \
             c int check (c > 0), g int generated always as (c + 1) stored, i inet)",
        )
        .await;
    mysql
        .run(
            "create table t (id int unsigned auto_increment primary key, e enum('x','it''s') not null default 'x', \
             at timestamp not null default current_timestamp on update current_timestamp, b bit(5), j json, y year, \
             z mediumtext, bin binary(4), big bigint unsigned)",
        )
        .await;
    sqlite
        .run(
            "create table t (id integer primary key, a, b \"my type\"(3), c int default (1 + 1), d NVARCHAR(30), \
             e datetime default current_timestamp)",
        )
        .await;
    let table = [ExportTable::new(None, "t")];
    for (index, database) in databases.all.iter().enumerate() {
        let xml = export(database, &table).await;
        for (other_index, other) in databases.all.iter().enumerate() {
            // The type `mood` is a table's no more than its checks are.
            let name = format!("t{index}");
            let renamed = xml.replace("<table name=\"t\">", &format!("<table name=\"{name}\">"));
            assert_eq!(create(other, &renamed).await, [name.as_str()], "{xml}");
            let again = export(
                other,
                &[ExportTable {
                    as_table: "t".into(),
                    ..ExportTable::new(None, name)
                }],
            )
            .await;
            if index == other_index {
                assert_eq!(again, xml, "{}", database.kind());
            }
        }
    }
    assert_eq!(
        postgres
            .rows(
                "select string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' order by attnum) \
                   from pg_attribute where attrelid = 't0'::regclass and attnum > 0"
            )
            .await,
        [[
            "id uuid, at timestamp(3) with time zone, j jsonb, n integer[], s text, m text, c integer, g integer, i inet"
        ]]
    );
    assert_eq!(
        mysql
            .rows(
                "select group_concat(column_name, ' ', column_type order by ordinal_position separator ', ') \
                   from information_schema.columns where table_name = 't1' and table_schema = database()"
            )
            .await,
        [[
            "id int(10) unsigned, e enum('x','it''s'), at timestamp, b bit(5), j longtext, y year(4), z mediumtext, \
           bin binary(4), big bigint(20) unsigned"
        ]]
    );
    assert_eq!(
        mysql
            .rows(
                "select group_concat(column_name, ' ', column_type order by ordinal_position separator ', ') \
                   from information_schema.columns where table_name = 't0' and table_schema = database()"
            )
            .await,
        [[
            "id char(36), at datetime(6), j longtext, n longtext, s longtext, m longtext, c int(11), g int(11), i longtext"
        ]]
    );
}

#[tokio::test]
async fn what_a_description_can_not_say_is_told_with_its_place() {
    let databases = databases().await;
    let [postgres, mysql, sqlite] = &databases.all;
    postgres
        .run(
            "create domain posint as int check (value > 0); create type mood as enum ('a'); \
             create table t (m mood, p posint, id int generated always as identity primary key, a int check (a > 0), \
             b text default lower('X'), c int unique deferrable); \
             create index part on t (a) where a > 5; create index lowered on t (lower(b))",
        )
        .await;
    mysql
        .run(
            "create table t (id int primary key, a varchar(300) unique, b int check (b > 0), c varchar(20) \
             default (uuid()), d int as (b + 1), e text, unique index prefixed (e(10)), fulltext index words (e))",
        )
        .await;
    sqlite
        .run("create table t (id int primary key, a int check (a > 0), b text default (hex(1)), c int as (a + 1)); \
              create index part on t (a) where a > 5")
        .await;
    let wanted: [&[&str]; 3] = [
        &[
            "column b of table t: its default lower('X'::text) has no equivalent",
            "column m of table t: its type mood becomes LONGVARCHAR",
            "column p of table t: its type posint becomes INTEGER",
            "table t: column id takes a row's own number",
            "table t: the check t_a_check is left out",
            "table t: the index lowered is left out, because it is of an expression",
            "table t: the index part is left out, because it is of some rows only",
            "table t: the unique constraint t_c_key is no longer deferrable",
        ],
        &[
            "column c of table t: its default uuid() has no equivalent",
            "column d of table t: it is computed",
            "table t: the check b is left out",
            "table t: the index prefixed is left out, because it is of the beginning of a column",
            "table t: the index words is left out, because it is no B-tree",
        ],
        &[
            "column b of table t: its default hex(1) has no equivalent",
            "column c of table t: it is computed",
            "table t: its checks are left out",
            "table t: the index part is left out, because it is of some rows only",
        ],
    ];
    for (database, wanted) in databases.all.iter().zip(wanted) {
        let mut conn = database.database().conn().await.expect("connection");
        let found = ddl::read(&mut conn, None, "t")
            .await
            .expect("read")
            .expect("there");
        let mut warnings = found.warnings;
        warnings.sort();
        assert_eq!(warnings.len(), wanted.len(), "{}: {warnings:#?}", database.kind());
        for (warning, wanted) in warnings.iter().zip(wanted) {
            assert!(warning.starts_with(wanted), "{warning} is not {wanted}");
        }
    }
}

#[tokio::test]
async fn a_reference_to_a_table_that_is_not_here_is_left_out_and_names_stay_apart() {
    let databases = databases().await;
    let table = |name: &str| {
        format!(
            "<table name=\"{name}\"><column name=\"id\" type=\"INTEGER\" primaryKey=\"true\" required=\"true\"/>\
             <column name=\"other\" type=\"INTEGER\"/><foreign-key name=\"fk\" foreignTable=\"gone\">\
             <reference local=\"other\" foreign=\"id\"/></foreign-key>\
             <foreign-key name=\"fk2\" foreignTable=\"a\"><reference local=\"other\" foreign=\"id\"/></foreign-key>\
             <index name=\"by_other\"><index-column name=\"other\"/><index-column name=\"id\"/></index></table>"
        )
    };
    for database in &databases.all {
        let xml = format!("<database>{}{}</database>", table("a"), table("b"));
        assert_eq!(create(database, &xml).await, ["a", "b"], "{}", database.kind());
        database
            .run("insert into a (id, other) values (1, null); insert into b (id, other) values (1, 1)")
            .await;
        let orphan = database.try_run("insert into b (id, other) values (2, 9)").await;
        assert!(
            orphan.is_err(),
            "{}: the other reference is there",
            database.kind()
        );
    }
}
