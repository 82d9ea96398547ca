//! `make bench-load`: a new node is loaded from one PostgreSQL to another while the source is written all the time and a
//! third node gets every change; `COPY out | COPY in` of the same tables beside it, under the same writes.
//!
//! `ROWS` (1000000) and `TPS` (500) say how much.

use rand::RngExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};
use symstream_shared::db::Sql;
use symstream_tests::configuration::Configuration;
use symstream_tests::database::TestDatabase;
use symstream_tests::engine::{EngineFile, Engines};
use symstream_tests::folder::Folder;
use symstream_tests::measure::{durable_postgres, percentile, rate, run_services, setting, site, until};
use symstream_tests::network::{Site, installed, quiet};
use symstream_tests::server::NatsServer;
use symstream_tests::usage::{print_peak, print_peaks};
use symstream_tests::writer::Writer;
use tokio::process::Command;

const PATIENCE: Duration = Duration::from_secs(3600);
/// Connections that the application writes on.
const WRITERS: u64 = 4;
/// Latencies that are measured before the load.
const SAMPLES: usize = 200;
const TABLES: [&str; 2] = ["item", "line"];
const DDL: &str = "create table item (id bigint primary key, name varchar(100), qty integer, price numeric(12,2), \
                   updated_at timestamp);\n\
                   create table line (id bigint primary key, item_id bigint not null references item (id), \
                   note varchar(100))";

/// One row of ten refers to another.
async fn fill(database: &TestDatabase, rows: u64) {
    let lines = rows / 10;
    let items = rows - lines;
    database
        .run(&format!(
            "insert into item select n, 'item number ' || lpad(n::text, 28, '0'), n % 1000, (n % 10000) + 0.95, \
             timestamp '2026-01-01' + n * interval '1 second' from generate_series(1, {items}) n;\n\
             insert into line select n, n, 'line of item ' || n from generate_series(1, {lines}) n;\n\
             analyze item; analyze line"
        ))
        .await;
}

/// Writes `tps` transactions a second on both tables: updates, inserts, deletes.
fn write(source: &TestDatabase, rows: u64, tps: u64) -> Vec<Writer> {
    let pace = Duration::from_micros(1_000_000 * WRITERS / tps);
    let next = Arc::new(AtomicI64::new(
        i64::try_from(rows).expect("a number of rows") * 10,
    ));
    let items = rows - rows / 10;
    let writer = |_| {
        let next = Arc::clone(&next);
        Writer::start_making(source, pace, move || {
            let mut rng = rand::rng();
            // What lines refer to stays.
            let (any, without_line) = (
                rng.random_range(1..=items),
                rng.random_range(rows / 10 + 1..=items),
            );
            match rng.random_range(0..10) {
                0..5 => format!("update item set qty = qty + 1, updated_at = now() where id = {any}"),
                5..8 => {
                    let id = next.fetch_add(1, Ordering::Relaxed);
                    format!(
                        "insert into item values ({id}, 'written meanwhile', 1, 1.5, now());\n\
                         insert into line values ({id}, {id}, 'written meanwhile')"
                    )
                }
                8 => format!("delete from item where id = {without_line}"),
                _ => format!(
                    "update line set note = 'changed' where id = {}",
                    any % (rows / 10) + 1
                ),
            }
        })
    };
    (0..WRITERS).map(writer).collect()
}

/// Times single rows on their way to a node.
struct Samples {
    source: TestDatabase,
    node: TestDatabase,
    next_id: i64,
}

impl Samples {
    async fn one(&mut self) -> Duration {
        self.next_id -= 1;
        let id = self.next_id;
        self.source
            .run(&format!(
                "insert into item values ({id}, 'a sample', 0, 0, now())"
            ))
            .await;
        let committed = Instant::now();
        let mut node = self
            .node
            .database()
            .conn()
            .await
            .expect("connect to the third node");
        let sql = format!("select 1 from item where id = {id}");
        while node
            .query_opt(&sql, &[])
            .await
            .expect("ask the third node")
            .is_none()
        {
            assert!(committed.elapsed() < PATIENCE, "a sample did not arrive");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let took = committed.elapsed();
        // Uneven, so that nobody's polling period can fall into step.
        tokio::time::sleep(Duration::from_millis(rand::random_range(10..40))).await;
        took
    }
}

/// `COPY out | COPY in` of both tables, into tables of their own at the target's server.
async fn copy(source: &TestDatabase, target: &TestDatabase) -> Duration {
    target
        .run("create schema copied; set search_path to copied; create table copied.item (like public.item including all); \
              create table copied.line (like public.line including all)")
        .await;
    let begin = Instant::now();
    for table in TABLES {
        let script =
            "psql -qX \"$0\" -c \"copy $2 to stdout\" | psql -qX \"$1\" -c \"copy copied.$2 from stdin\"";
        let status = Command::new("bash")
            .args(["-o", "pipefail", "-c", script, source.url(), target.url(), table])
            .status()
            .await
            .expect("run psql");
        assert!(status.success(), "copy of {table}: {status}");
    }
    let took = begin.elapsed();
    target.run("drop schema copied cascade").await;
    took
}

fn print_latency(when: &str, samples: &[Duration]) {
    println!(
        "third node, {when:<27} {:>12.1} ms p50 {:>9.1} ms p99   ({} samples)",
        percentile(samples, 50),
        percentile(samples, 99),
        samples.len()
    );
}

async fn assert_equal(source: &Site, other: &Site) {
    for table in TABLES {
        let sql = format!("select count(*), md5(string_agg(t::text, ',' order by id)) from {table} t");
        let (left, right) = (source.database.rows(&sql).await, other.database.rows(&sql).await);
        assert_eq!(left, right, "{table} at {}", other.id());
    }
}

async fn admin_of(engines: &Engines, site: &Site, args: &[&str]) {
    let args = [&["--engine", site.engine.name.as_str()], args].concat();
    engines.command("symadmin", &args).await.ok();
}

#[tokio::main]
async fn main() {
    let (rows, tps) = (setting("ROWS", 1_000_000), setting("TPS", 500));
    let folder = Folder::new();
    let engines = Engines::new(&folder);
    let nats = NatsServer::start().await;
    let (here, there) = (durable_postgres().await, durable_postgres().await);
    let databases = [
        here.create_database("source").await,
        there.create_database("late").await,
        there.create_database("third").await,
    ];
    for database in &databases {
        database.run(DDL).await;
    }
    fill(&databases[0], rows).await;
    fill(&databases[2], rows).await;
    let source = EngineFile::new("source", "000", databases[0].url(), &nats.url());
    let late = EngineFile::new("late", "001", databases[1].url(), &nats.url()).registers_at(&source);
    let third = EngineFile::new("third", "002", databases[2].url(), &nats.url()).registers_at(&source);
    let mut source = site(&engines, source, &databases[0]);
    let mut late = site(&engines, late, &databases[1]);
    let mut third = site(&engines, third, &databases[2]);
    let configuration = TABLES.iter().fold(
        Configuration::default()
            .link("source", "late")
            .link("source", "third"),
        |all, table| all.table(table, "items"),
    );
    let links = "update sym_node_group_link set data_event_action = 'P'";
    admin_of(&engines, &source, &["create-sym-tables"]).await;
    source.database.transaction(&configuration.and(links).sql()).await;
    admin_of(&engines, &source, &["open-registration", "third", "002"]).await;
    run_services(&engines, &mut source);
    run_services(&engines, &mut third);
    installed(&source, &TABLES).await;
    let registered =
        "select count(*) from sym_node_security where node_id = '002' and registration_time is not null";
    until(
        &source,
        "the third node's registration",
        registered,
        "1",
        PATIENCE,
    )
    .await;

    // The third node has all rows already, and is loaded with nothing.
    let writers = write(&source.database, rows, tps);
    let mut samples = Samples {
        source: source.database.clone(),
        node: third.database.clone(),
        next_id: 0,
    };
    let mut before = Vec::new();
    while before.len() < SAMPLES {
        before.push(samples.one().await);
    }

    let written = |writers: &[Writer]| writers.iter().map(Writer::committed).sum::<u64>();
    admin_of(&engines, &source, &["open-registration", "late", "001"]).await;
    admin_of(&engines, &source, &["reload-node", "001"]).await;
    let (begin, written_before) = (Instant::now(), written(&writers));
    run_services(&engines, &mut late);
    let done = "select count(*) from sym_node_security where node_id = '001' and initial_load_time is not null \
                and initial_load_enabled = 0";
    let mut during = Vec::new();
    while source.database.number(done).await == 0 {
        during.push(samples.one().await);
    }
    let took = begin.elapsed();
    let written_meanwhile = written(&writers) - written_before;
    let mut after = Vec::new();
    while after.len() < SAMPLES {
        after.push(samples.one().await);
    }
    let copied = copy(&source.database, &late.database).await;
    for writer in writers {
        writer.stop().await;
    }
    let draining = Instant::now();
    quiet(&[&source, &late, &third]).await;
    println!(
        "quiet {:.1} s after the last write",
        draining.elapsed().as_secs_f64()
    );
    assert_equal(&source, &late).await;
    assert_equal(&source, &third).await;

    println!(
        "initial load of {rows} rows              {:>12.1} s {:>12.0} rows/s, beside {:.0} transactions/s at the source",
        took.as_secs_f64(),
        rate(rows, took),
        rate(written_meanwhile, took)
    );
    println!(
        "COPY out | COPY in of the same           {:>12.1} s {:>12.0} rows/s",
        copied.as_secs_f64(),
        rate(rows, copied)
    );
    print_latency("before the load", &before);
    print_latency("during the load", &during);
    print_latency("after the load", &after);
    println!("all three are equal afterwards");
    print_peak("nats-server", nats.id());
    for one in [&mut source, &mut late, &mut third] {
        print_peaks(&one.processes);
        one.stop().await;
    }
}
