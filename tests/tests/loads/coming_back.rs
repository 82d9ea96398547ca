//! A node that was away while much was written.

use super::scene::LOAD_PATIENCE;
use symstream_shared::db::DatabaseKind::{self, Mysql, Postgres, Sqlite};
use symstream_tests::compare::{Part, check_equal};
use symstream_tests::configuration::Configuration;
use symstream_tests::eventually::eventually;
use symstream_tests::network::{Network, SERVICES, installed};
use symstream_tests::pair::loaded;
use symstream_tests::usage::peak_memory;

/// Transactions that are missed on each channel, and rows of each.
const TRANSACTIONS: i64 = 60;
const ROWS: i64 = 200;
/// What each process of the node may take, however much waits for it: what waits here is several times that.
const MEMORY_MAX_KIB: u64 = 100 * 1024;

async fn comes_back(kinds: [DatabaseKind; 2]) {
    let tables = ["urgent", "later"];
    let mut network = Network::start().await;
    let mut source = network.server("source", "000", kinds[0]).await;
    let mut away = network.node(&source, "away", "001", kinds[1]).await;
    for site in [&source, &away] {
        for table in tables {
            let columns = "id integer primary key, note varchar(3000)";
            site.database
                .run(&format!("create table {table} ({columns})"))
                .await;
        }
    }
    let configuration = tables
        .iter()
        .fold(Configuration::default().link("source", "away"), |all, table| {
            all.table(table, table)
        })
        .and("update sym_channel set processing_order = 2 where channel_id = 'later'");
    network.configure(&source, &configuration.sql()).await;
    network.admit(&source, &away).await;
    network.symadmin(&source, &["reload-node", "001"]).await.ok();
    network.run(&mut source);
    network.run_services(&mut away);
    installed(&source, &tables).await;
    loaded(&source, "001").await;

    // GIVEN much that is written while the node is away, what is less urgent first
    away.stop().await;
    let note = "x".repeat(3000);
    for transaction in 0..TRANSACTIONS {
        for table in ["later", "urgent"] {
            let first = transaction * ROWS;
            let rows: Vec<String> = (first..first + ROWS)
                .map(|id| format!("({id}, '{note}')"))
                .collect();
            source
                .database
                .run(&format!("insert into {table} values {}", rows.join(",")))
                .await;
        }
    }
    eventually(LOAD_PATIENCE, "everything to wait for the node", || async {
        match source
            .database
            .number("select count(*) from sym_capture_batch where routed = 0")
            .await
        {
            0 => Ok(()),
            left => Err(format!("{left} batches are not routed")),
        }
    })
    .await;
    // WHEN it comes back
    network.run_services(&mut away);
    // THEN what is urgent is there before most of the rest
    let count = async |table: &str| {
        away.database
            .number(&format!("select count(*) from {table}"))
            .await
    };
    eventually(LOAD_PATIENCE, "what is urgent", || async {
        let missing = TRANSACTIONS * ROWS - count("urgent").await;
        if missing == 0 {
            Ok(())
        } else {
            Err(format!("{missing} rows are missing"))
        }
    })
    .await;
    let later = count("later").await;
    assert!(
        later < TRANSACTIONS * ROWS / 2,
        "{later} rows of the other channel came before"
    );
    for table in tables {
        let part = Part {
            table,
            columns: &["id", "note"],
            condition: "",
        };
        eventually(LOAD_PATIENCE, table, || {
            check_equal(&source.database, &away.database, part)
        })
        .await;
    }
    for (process, service) in away.processes.iter().zip(SERVICES) {
        let peak = peak_memory(process.id());
        eprintln!("{service}: {peak} KiB at most");
        assert!(peak < MEMORY_MAX_KIB, "{service} took {peak} KiB");
    }
    source.stop().await;
    away.stop().await;
}

#[tokio::test]
async fn a_node_that_missed_much_catches_up_in_little_memory_on_sqlite() {
    comes_back([Postgres, Sqlite]).await;
}

#[tokio::test]
async fn a_node_that_missed_much_catches_up_in_little_memory_on_mariadb() {
    comes_back([Sqlite, Mysql]).await;
}

#[tokio::test]
async fn a_node_that_missed_much_catches_up_in_little_memory_on_postgres() {
    comes_back([Mysql, Postgres]).await;
}
