//! Creating the tables, and bringing older ones up to date.

use crate::database;
use symstream_shared::db::Database;
use symstream_shared::schema::{self, Tables};
use symstream_tests::database::TestDatabase;
use symstream_tests::server::{MariaDb, PostgresServer};
use tempfile::TempDir;

async fn texts(database: &Database, sql: &str) -> Vec<String> {
    let rows = database.query(sql, &[]).await.expect("query");
    rows.iter().map(|row| row.text(0).expect("text")).collect()
}

#[tokio::test]
async fn tables_are_created_once_and_dropped_whole() {
    let dir = TempDir::new().expect("folder");
    let database = database(&dir);
    let tables = Tables::new("clinic").expect("prefix");

    assert!(
        !schema::create(&database, &tables)
            .await
            .expect("create")
            .is_empty()
    );
    assert!(
        schema::create(&database, &tables)
            .await
            .expect("create again")
            .is_empty()
    );

    let names = texts(
        &database,
        "select name from sqlite_master where type = 'table' and name like 'clinic%'",
    )
    .await;
    assert_eq!(names.len(), 27, "{names:?}");
    database
        .execute(
            "insert into clinic_trigger (trigger_id, source_table_name, channel_id) values (7, 't', 'c')",
            &[],
        )
        .await
        .expect("every other column has a default");

    schema::drop_all(&database, &tables).await.expect("drop");
    assert!(
        texts(
            &database,
            "select name from sqlite_master where name like 'clinic%'"
        )
        .await
        .is_empty()
    );
}

#[tokio::test]
async fn an_older_version_is_brought_up_to_date_and_keeps_its_rows() {
    // GIVEN tables that lack a column with a time for its default, a plain column, an index and a whole table,
    // and a trigger of the application's that writes to one of them
    let dir = TempDir::new().expect("folder");
    let database = database(&dir);
    let tables = Tables::default();
    schema::create(&database, &tables).await.expect("create");
    let before = texts(
        &database,
        "select sql from sqlite_master where name like 'sym%' and sql is not null order by name",
    )
    .await;
    for statement in [
        "insert into sym_trigger_router (trigger_id, router_id) values ('t', 'r')",
        "insert into sym_outgoing_batch (batch_id, node_id) values (1, 'n')",
        "alter table sym_trigger_router drop column create_time",
        "alter table sym_outgoing_batch drop column create_time",
        "drop index sym_outgoing_batch_status_idx",
        "drop table sym_state",
        "create table application (id integer)",
        "create trigger application_insert after insert on application begin
           insert into sym_trigger_router (trigger_id, router_id) values (new.id, 'r'); end",
    ] {
        database.execute(statement, &[]).await.expect(statement);
    }

    // WHEN
    schema::create(&database, &tables).await.expect("upgrade");

    // THEN
    assert!(
        schema::create(&database, &tables)
            .await
            .expect("again")
            .is_empty()
    );
    let columns = "select group_concat(name || ' ' || type || ' ' || \"notnull\" || ' ' || coalesce(dflt_value, '') || ' ' || pk)
                   from (select * from pragma_table_info('sym_trigger_router') order by name)";
    let after = texts(&database, columns).await;
    schema::drop_all(&database, &Tables::new("other").expect("prefix"))
        .await
        .expect("nothing to drop");
    assert!(
        after[0].contains("create_time TEXT 1 strftime('%Y-%m-%d %H:%M:%f','now') 0"),
        "{after:?}"
    );
    assert_eq!(
        texts(
            &database,
            "select sql from sqlite_master where name like 'sym%' and sql is not null order by name"
        )
        .await
        .len(),
        before.len()
    );
    database
        .execute("insert into application values (8)", &[])
        .await
        .expect("the trigger still works");
    let keys = texts(
        &database,
        "select trigger_id from sym_trigger_router where create_time is not null order by 1",
    )
    .await;
    assert_eq!(keys, ["8", "t"]);
    assert_eq!(
        texts(&database, "select cast(batch_id as text) from sym_outgoing_batch").await,
        ["1"]
    );
}

/// A text whose limit was taken away loses it in older tables too, keeps what it holds, and everything stays as it is made
/// anew.
async fn texts_are_widened(database: TestDatabase, narrow: &str, column: &str) {
    let tables = Tables::default();
    schema::create(database.database(), &tables)
        .await
        .expect("create");
    let made = database.rows(column).await;
    let path = "n".repeat(60);
    let insert = |source: &str| {
        format!(
            "insert into sym_data (table_name, event_type, trigger_hist_id, source_node_id) values ('t', 'I', 1, '{source}')"
        )
    };
    // GIVEN a column as an older version made it
    database.run(narrow).await;
    database.run(&insert("a")).await;
    database
        .try_run(&insert(&path))
        .await
        .expect_err("it is too narrow");

    // WHEN the tables are brought up to date
    let ran = schema::create(database.database(), &tables)
        .await
        .expect("upgrade");

    assert_eq!(ran.len(), 1, "{ran:?}");
    assert_eq!(database.rows(column).await, made);
    database.run(&insert(&path)).await;
    assert_eq!(
        database
            .rows("select source_node_id from sym_data order by data_id")
            .await,
        [["a"], [path.as_str()]]
    );
    let again = schema::create(database.database(), &tables).await;
    assert!(again.expect("again").is_empty());
}

#[tokio::test]
async fn texts_are_widened_on_postgresql() {
    let server = PostgresServer::start().await;
    texts_are_widened(
        server.create_database("node").await,
        "alter table sym_data alter column source_node_id type varchar(50)",
        "select data_type, is_nullable from information_schema.columns \
         where table_name = 'sym_data' and column_name = 'source_node_id'",
    )
    .await;
}

#[tokio::test]
async fn texts_are_widened_on_mariadb() {
    let server = MariaDb::start().await;
    texts_are_widened(
        server.create_database("node").await,
        "alter table sym_data modify column source_node_id varchar(50) null",
        "select column_type, is_nullable, collation_name from information_schema.columns \
         where table_name = 'sym_data' and column_name = 'source_node_id'",
    )
    .await;
}

#[tokio::test]
async fn many_at_once_create_the_tables_once() {
    let dir = TempDir::new().expect("folder");
    let all: Vec<_> = (0..6)
        .map(|_| {
            let database = database(&dir);
            tokio::spawn(async move {
                schema::create(&database, &Tables::default())
                    .await
                    .expect("create")
                    .len()
            })
        })
        .collect();
    let mut ran = Vec::new();
    for one in all {
        ran.push(one.await.expect("task"));
    }
    assert_eq!(
        ran.iter().filter(|statements| **statements > 0).count(),
        1,
        "{ran:?}"
    );
}
