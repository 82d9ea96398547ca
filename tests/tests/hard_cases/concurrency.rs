//! Transactions that run beside each other, last long, or are large: cases 1, 2 and 3.

use super::looking::{logs, reaches};
use futures_util::future::join_all;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use symstream_shared::db::{DatabaseKind, Sql, Tx};
use symstream_tests::compare::{Part, become_equal};
use symstream_tests::configuration::Configuration;
use symstream_tests::database::TestDatabase;
use symstream_tests::eventually::eventually;
use symstream_tests::network::{PATIENCE, Site};
use symstream_tests::ring::Ring;

const ACCOUNTS: i64 = 8;
const MONEY: i64 = ACCOUNTS * 1000;
const WORKERS: i64 = 4;
const TRANSFERS: i64 = 40;
/// Longer than an agent takes to read its parameters again.
const A_WHILE: Duration = Duration::from_secs(3);

/// Each site has tables of its own, so that all of them can be sources at once.
const ACCOUNT: Part<'static> = Part {
    table: "",
    columns: &["id", "money", "changed_by"],
    condition: "",
};

fn ddl(_: DatabaseKind) -> String {
    ["p", "m", "s"]
        .iter()
        .map(|source| {
            format!(
                "create table account_{source} (id integer primary key, money integer, changed_by integer);
                 create table late_{source} (id integer primary key, note varchar(50));"
            )
        })
        .collect()
}

fn configuration() -> Configuration {
    let tables = ["p", "m", "s"].map(|source| [format!("account_{source}"), format!("late_{source}")]);
    tables
        .iter()
        .flatten()
        .fold(Configuration::default(), |all, table| all.table(table, "main"))
        .max_batch_size(3)
}

async fn execute(tx: &mut Tx, sql: String) {
    tx.execute(&sql, &[])
        .await
        .unwrap_or_else(|err| panic!("{err}\n{sql}"));
}

/// Moves money between accounts: each transaction locks its rows in the order of their keys, and writes down who
/// was there last.
async fn transfers(site: &Site, worker: i64) {
    let table = format!("account_{}", site.id());
    for round in 0..TRANSFERS {
        let (a, b) = (
            (worker + round) % ACCOUNTS,
            (worker * 3 + round * 5 + 1) % ACCOUNTS,
        );
        let (first, second) = (a.min(b), a.max(b));
        if first == second {
            continue;
        }
        let who = worker * 1000 + round;
        let mut tx = site.database.begin().await.expect("begin");
        for (account, sum) in [(first, -round), (second, round)] {
            let sql =
                format!("update {table} set money = money + {sum}, changed_by = {who} where id = {account}");
            execute(&mut tx, sql).await;
            tokio::task::yield_now().await;
        }
        tx.commit().await.expect("commit");
    }
}

/// Looks at the target until `stop`: a part of a transaction would change the sum.
async fn watch_sum(database: TestDatabase, table: String, stop: Arc<AtomicBool>) -> u32 {
    let mut looks = 0;
    let sql = format!("select {} from {table}", database.kind().as_text("sum(money)"));
    while !stop.load(Ordering::Relaxed) {
        let sum = database.rows(&sql).await;
        let all = MONEY.to_string();
        assert!(
            sum == [["∅"]] || sum == [[all]],
            "{table}: a part of a transaction is visible: {sum:?}"
        );
        looks += 1;
        tokio::task::yield_now().await;
    }
    looks
}

async fn interleaved(source: &Site, target: &Site) {
    let table = format!("account_{}", source.id());
    let rows: Vec<String> = (0..ACCOUNTS).map(|id| format!("({id}, 1000, 0)")).collect();
    let sql = format!("insert into {table} values {}", rows.join(", "));
    source.database.transaction(&sql).await;
    let stop = Arc::new(AtomicBool::new(false));
    let watcher = tokio::spawn(watch_sum(target.database.clone(), table.clone(), stop.clone()));
    join_all((0..WORKERS).map(|worker| transfers(source, worker))).await;
    let part = Part {
        table: &table,
        ..ACCOUNT
    };
    become_equal(&source.database, &target.database, part).await;
    stop.store(true, Ordering::Relaxed);
    assert!(watcher.await.expect("the watcher") > 0);
}

#[tokio::test]
async fn transactions_that_run_beside_each_other_arrive_whole_and_in_their_order() {
    let ring = Ring::start(ddl, configuration()).await;
    join_all(ring.ways().map(|(source, target)| interleaved(source, target))).await;
    ring.quiet().await;
}

/// A transaction that is open while many batches are cut, sent, loaded and known as `OK`, while its agent is
/// stopped and started again, and that commits last.
async fn open_for_long(ring: &mut Ring, place: usize) {
    let table = format!("late_{}", ring.sites[place].id());
    let target = ring.sites[(place + 1) % 3].database.clone();
    let source = ring.sites[place].database.clone();
    let insert = |id: i64| format!("insert into {table} values ({id}, 'row {id}')");
    let arrived = async |id: i64| {
        let sql = format!("select count(*) from {table} where id = {id}");
        eventually(PATIENCE, format!("row {id} of {table}"), || async {
            if target.number(&sql).await == 1 {
                Ok(())
            } else {
                Err("it is not there")
            }
        })
        .await;
    };
    let mut open = source.begin().await.expect("begin");
    execute(&mut open, insert(1)).await;
    for id in 2..6 {
        source.run(&insert(id)).await;
        arrived(id).await;
    }
    ring.sites[place].stop().await;
    for id in 6..10 {
        source.run(&insert(id)).await;
    }
    execute(&mut open, insert(10)).await;
    ring.network.run(&mut ring.sites[place]);
    arrived(9).await;
    assert_eq!(target.number(&format!("select count(*) from {table}")).await, 8);
    open.commit().await.expect("commit");
    arrived(1).await;
    arrived(10).await;
    let columns = &["id", "note"];
    let part = Part {
        table: &table,
        columns,
        condition: "",
    };
    assert_eq!(become_equal(&source, &target, part).await, 10);
}

/// SQLite has one writer at a time: there is no such transaction.
#[tokio::test]
async fn a_transaction_that_commits_after_a_restart_of_its_agent_is_not_skipped() {
    let mut ring = Ring::start(ddl, configuration()).await;
    for place in [0, 1] {
        open_for_long(&mut ring, place).await;
    }
    ring.quiet().await;
}

/// Writes 95 rows in one transaction; gives how many batches they went to the target in.
async fn batches_of_a_large_transaction(source: &Site, target: &Site, first: i64) -> i64 {
    const ROWS: i64 = 95;
    let table = format!("late_{}", source.id());
    let rows: Vec<String> = (first..first + ROWS).map(|id| format!("({id}, 'row')")).collect();
    let sql = format!("insert into {table} values {}", rows.join(", "));
    let before = format!(
        "select count(*) from sym_outgoing_batch where node_id = '{}'",
        target.id()
    );
    let count = source.database.number(&before).await;
    source.database.transaction(&sql).await;
    let arrived = format!("select count(*) from {table} where id >= {first}");
    reaches(&target.database, &arrived, ROWS).await;
    reaches(
        &source.database,
        "select count(*) from sym_capture_batch where routed = 0",
        0,
    )
    .await;
    source.database.number(&before).await - count
}

#[tokio::test]
async fn a_large_transaction_is_cut_only_where_a_parameter_says_so() {
    let ring = Ring::start(ddl, configuration()).await;
    for (source, target) in ring.ways() {
        assert_eq!(
            batches_of_a_large_transaction(source, target, 1).await,
            1,
            "{}",
            source.id()
        );
    }
    let cut = "insert into sym_parameter (external_id, node_group_id, param_key, param_value) \
               values ('ALL', 'ALL', 'capture.transaction.max.rows', '10')";
    ring.server().database.run(cut).await;
    for site in &ring.sites {
        reaches(&site.database, "select count(*) from sym_parameter", 1).await;
    }
    // The agents read their parameters again about once a second.
    tokio::time::sleep(A_WHILE).await;
    for (source, target) in ring.ways() {
        let batches = batches_of_a_large_transaction(source, target, 1000).await;
        assert!((10..=32).contains(&batches), "{}: {batches} batches", source.id());
        logs(source, &["WARN", "capture.transaction.max.rows"]).await;
    }
    ring.quiet().await;
}
