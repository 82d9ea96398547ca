//! Transactions arrive whole, however large, and however late they commit.

use DatabaseKind::{Mysql, Postgres, Sqlite};
use std::time::{Duration, Instant};
use symstream_shared::db::{DatabaseKind, Param, Sql};
use symstream_tests::compare::{Part, become_equal, content};
use symstream_tests::configuration::Configuration;
use symstream_tests::database::TestDatabase;
use symstream_tests::eventually::eventually;
use symstream_tests::network::PATIENCE;
use symstream_tests::pair::{Pair, SOURCE, TARGET};

const ORDERS: &str = "create table orders (id integer primary key, note varchar(50));
     create table lines (order_id integer not null, line integer not null, note varchar(50), \
     primary key (order_id, line), foreign key (order_id) references orders (id));
     create table totals (order_id integer primary key, lines integer, \
     foreign key (order_id) references orders (id))";
const BIG: &str = "create table big (id integer primary key, body text)";
const BIG_MYSQL: &str = "create table big (id integer primary key, body longtext)";

fn all(table: &'static str, columns: &'static [&'static str]) -> Part<'static> {
    Part {
        table,
        columns,
        condition: "",
    }
}

/// Waits until `sql` gives `number`; it may give nothing between `before` and that on the way.
async fn jumps(database: &TestDatabase, sql: &str, before: i64, number: i64) {
    eventually(PATIENCE, format!("{number} from {sql}"), || async {
        let found = database.number(sql).await;
        assert!(
            found == before || found == number,
            "{sql}: {found} is visible: the transaction was cut"
        );
        if found == number {
            Ok(())
        } else {
            Err(format!("it is {found}"))
        }
    })
    .await;
}

#[tokio::test]
async fn a_transaction_over_several_tables_arrives_whole() {
    // GIVEN a channel whose batches are smaller than the transactions
    let configuration = ["orders", "lines", "totals"]
        .iter()
        .fold(Configuration::default().link(SOURCE, TARGET), |all, table| {
            all.table(table, "sales")
        })
        .max_batch_size(5);
    let pair = Pair::start_with(
        (Postgres, ORDERS),
        (Sqlite, ORDERS),
        &configuration,
        &["orders", "lines", "totals"],
    )
    .await;
    for order in 1..=3 {
        // WHEN an order, its lines and its total are written in one transaction
        let lines: String = (1..=40)
            .map(|line| {
                format!(
                    "insert into lines values ({order}, {line}, 'x');
                     update totals set lines = lines + 1 where order_id = {order};\n"
                )
            })
            .collect();
        let sql = format!(
            "insert into orders values ({order}, 'new'); insert into totals values ({order}, 0); {lines}
             update orders set note = 'complete' where id = {order}"
        );
        pair.source.database.transaction(&sql).await;
        // THEN nobody at the target ever sees a part of it
        let seen = "select (select count(*) from orders) * 1000 + (select count(*) from lines) * 10 \
                    + (select count(*) from totals)";
        jumps(&pair.target.database, seen, (order - 1) * 1401, order * 1401).await;
    }
    let totals = pair.target.database.rows("select lines from totals").await;
    assert_eq!(totals, [["40"], ["40"], ["40"]]);
    let notes = pair
        .target
        .database
        .rows("select distinct note from orders")
        .await;
    assert_eq!(notes, [["complete"]]);
    pair.quiet().await;
}

async fn twenty_thousand_rows(source: DatabaseKind, target: DatabaseKind) {
    let ddl = "create table many (id integer primary key, name varchar(50), amount integer)";
    let pair = Pair::start(source, target, ddl, &["many"]).await;
    let rows: Vec<String> = (1..=20_000)
        .map(|id| format!("({id}, 'name of {id}', {})", id * 7))
        .collect();
    pair.source
        .database
        .transaction(&format!("insert into many values {}", rows.join(",")))
        .await;
    jumps(&pair.target.database, "select count(*) from many", 0, 20_000).await;
    let part = all("many", &["id", "name", "amount"]);
    assert_eq!(
        become_equal(&pair.source.database, &pair.target.database, part).await,
        20_000
    );

    // The same rows changed and removed, again in one transaction.
    let sql = "update many set amount = amount + 1; delete from many where id > 10000";
    pair.source.database.transaction(sql).await;
    jumps(&pair.target.database, "select count(*) from many", 20_000, 10_000).await;
    assert_eq!(
        become_equal(&pair.source.database, &pair.target.database, part).await,
        10_000
    );
    pair.quiet().await;
}

#[tokio::test]
async fn twenty_thousand_rows_in_one_transaction_arrive_from_postgres_at_mariadb() {
    twenty_thousand_rows(Postgres, Mysql).await;
}

#[tokio::test]
async fn twenty_thousand_rows_in_one_transaction_arrive_from_mariadb_at_sqlite() {
    twenty_thousand_rows(Mysql, Sqlite).await;
}

#[tokio::test]
async fn twenty_thousand_rows_in_one_transaction_arrive_from_sqlite_at_postgres() {
    twenty_thousand_rows(Sqlite, Postgres).await;
}

/// Text that no compression makes small.
fn noise(bytes: usize) -> String {
    const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789'\"\\,\n ";
    (0..bytes)
        .map(|_| char::from(LETTERS[rand::random_range(0..LETTERS.len())]))
        .collect()
}

async fn five_megabytes(source: DatabaseKind, target: DatabaseKind) {
    let ddl = |kind| if kind == Mysql { BIG_MYSQL } else { BIG };
    let configuration = Configuration::default().link(SOURCE, TARGET).table("big", "main");
    let pair = Pair::start_with(
        (source, ddl(source)),
        (target, ddl(target)),
        &configuration,
        &["big"],
    )
    .await;
    let body = noise(5_000_000);
    let mut tx = pair.source.database.begin().await.expect("begin");
    tx.execute("insert into big values (1, 'small')", &[])
        .await
        .expect("insert");
    tx.execute("insert into big values (2, ?)", &[Param::from(body.as_str())])
        .await
        .expect("insert");
    tx.execute("insert into big values (3, 'small')", &[])
        .await
        .expect("insert");
    tx.commit().await.expect("commit");
    jumps(&pair.target.database, "select count(*) from big", 0, 3).await;
    let rows = content(&pair.target.database, all("big", &["id", "body"]))
        .await
        .expect("read");
    assert!(rows[1][1] == body, "the 5 MB text arrived changed");
    pair.quiet().await;
}

#[tokio::test]
async fn a_text_of_five_megabytes_arrives_from_postgres_at_sqlite() {
    five_megabytes(Postgres, Sqlite).await;
}

#[tokio::test]
async fn a_text_of_five_megabytes_arrives_from_mariadb_at_postgres() {
    five_megabytes(Mysql, Postgres).await;
}

#[tokio::test]
async fn a_text_of_five_megabytes_arrives_from_sqlite_at_mariadb() {
    five_megabytes(Sqlite, Mysql).await;
}

async fn late_committer(source: DatabaseKind) {
    let ddl = "create table late (id integer primary key, note varchar(50))";
    let pair = Pair::start(source, Sqlite, ddl, &["late"]).await;
    let (source, target) = (&pair.source.database, &pair.target.database);
    let insert = |id: i64| format!("insert into late values ({id}, 'row {id}')");

    // GIVEN a transaction that began first and wrote first, and one that will be rolled back
    let mut first = source.begin().await.expect("begin");
    first.execute(&insert(1), &[]).await.expect("insert");
    let mut abandoned = source.begin().await.expect("begin");
    abandoned.execute(&insert(2), &[]).await.expect("insert");

    // WHEN later ones commit, they arrive without waiting for it
    for id in 3..=5 {
        let start = Instant::now();
        source.run(&insert(id)).await;
        eventually(PATIENCE, format!("row {id}"), || async {
            let sql = format!("select count(*) from late where id = {id}");
            if target.number(&sql).await == 1 {
                Ok(())
            } else {
                Err("it is not there")
            }
        })
        .await;
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "an open transaction held row {id} up"
        );
    }
    first.execute(&insert(6), &[]).await.expect("insert");
    abandoned.rollback().await.expect("roll back");
    source.run(&insert(7)).await;
    first.commit().await.expect("commit");

    // THEN it is not skipped
    let part = all("late", &["id", "note"]);
    assert_eq!(become_equal(source, target, part).await, 6);
    pair.quiet().await;
}

#[tokio::test]
async fn a_transaction_that_commits_late_is_not_skipped_on_postgres() {
    late_committer(Postgres).await;
}

#[tokio::test]
async fn a_transaction_that_commits_late_is_not_skipped_on_mariadb() {
    late_committer(Mysql).await;
}
