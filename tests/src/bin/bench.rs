//! `make bench`: from one PostgreSQL to another, through all three services, beside PostgreSQL's own logical
//! replication between the same two servers, in turns.

use std::time::{Duration, Instant};
use symstream_shared::db::Sql;
use symstream_tests::configuration::Configuration;
use symstream_tests::database::TestDatabase;
use symstream_tests::engine::EngineFile;
use symstream_tests::engine::Engines;
use symstream_tests::eventually::eventually;
use symstream_tests::folder::Folder;
use symstream_tests::measure::{durable_postgres, percentile};
use symstream_tests::network::{PATIENCE, Site, installed};
use symstream_tests::pair::loaded;
use symstream_tests::server::{NatsServer, PostgresServer};

const ROUNDS: usize = 3;
/// Transactions of 100 rows in each round.
const TRANSACTIONS: i64 = 500;
const ROWS: i64 = 100;
/// Single rows in each round, whose way is timed.
const SAMPLES: i64 = 100;
const DDL: &str = "create table item (id bigint primary key, name varchar(100), qty integer, \
                   price numeric(12,2), updated_at timestamp)";

/// One way from source to target, and what was measured on it.
struct Way {
    name: &'static str,
    source: TestDatabase,
    target: TestDatabase,
    next_id: i64,
    rows_per_second: Vec<f64>,
    latencies: Vec<Duration>,
}

impl Way {
    async fn new(name: &'static str, database: &str, servers: [&PostgresServer; 2]) -> Self {
        let [source, target] = servers;
        let (source, target) = (
            source.create_database(database).await,
            target.create_database(database).await,
        );
        source.run(DDL).await;
        target.run(DDL).await;
        Self {
            name,
            source,
            target,
            next_id: 1,
            rows_per_second: Vec::new(),
            latencies: Vec::new(),
        }
    }

    fn insert(&mut self, rows: i64) -> String {
        let first = self.next_id;
        self.next_id += rows;
        let values: Vec<String> = (first..self.next_id)
            .map(|id| {
                format!(
                    "({id}, 'item number {id:0>28}', {}, {}.95, now())",
                    id % 1000,
                    id % 10_000
                )
            })
            .collect();
        format!("insert into item values {}", values.join(","))
    }

    /// Waits until the target has everything.
    async fn arrive(&self, target: &mut impl Sql) {
        let last = self.next_id - 1;
        let start = Instant::now();
        loop {
            let row = target
                .query_opt("select max(id) from item", &[])
                .await
                .expect("ask the target");
            if row.and_then(|row| row.opt_int(0).ok().flatten()) >= Some(last) {
                return;
            }
            assert!(
                start.elapsed() < PATIENCE,
                "{}: row {last} did not arrive in {PATIENCE:?}",
                self.name
            );
        }
    }

    async fn measure_throughput(&mut self) {
        let statements: Vec<String> = (0..TRANSACTIONS).map(|_| self.insert(ROWS)).collect();
        let mut source = self
            .source
            .database()
            .conn()
            .await
            .expect("connect to the source");
        let start = Instant::now();
        for statement in &statements {
            source
                .execute_script(statement)
                .await
                .expect("insert at the source");
        }
        let last = self.next_id - 1;
        eventually(PATIENCE * 5, format!("row {last} by {}", self.name), || async {
            let found = self.target.number("select coalesce(max(id), 0) from item").await;
            if found == last {
                Ok(())
            } else {
                Err(format!("row {found} is the last"))
            }
        })
        .await;
        let elapsed = start.elapsed();
        #[allow(clippy::cast_precision_loss)]
        self.rows_per_second
            .push((TRANSACTIONS * ROWS) as f64 / elapsed.as_secs_f64());
    }

    async fn measure_latency(&mut self) {
        let mut source = self
            .source
            .database()
            .conn()
            .await
            .expect("connect to the source");
        let mut target = self
            .target
            .database()
            .conn()
            .await
            .expect("connect to the target");
        for _ in 0..SAMPLES {
            let statement = self.insert(1);
            source
                .execute_script(&statement)
                .await
                .expect("insert at the source");
            let committed = Instant::now();
            self.arrive(&mut target).await;
            self.latencies.push(committed.elapsed());
            // Uneven, so that nobody's polling period can fall into step.
            tokio::time::sleep(Duration::from_millis(rand::random_range(10..40))).await;
        }
    }

    async fn check(&self) {
        let sql = "select count(*), sum(id), sum(qty), sum(price), md5(string_agg(name, ',' order by id)) from item";
        let text = sql
            .replace("sum(id)", "sum(id)::text")
            .replace("sum(price)", "sum(price)::text");
        assert_eq!(
            self.source.rows(&text).await,
            self.target.rows(&text).await,
            "{}: not equal",
            self.name
        );
    }

    fn median_rate(&self) -> f64 {
        let mut sorted = self.rows_per_second.clone();
        sorted.sort_by(f64::total_cmp);
        sorted[sorted.len() / 2]
    }
}

async fn start_native(way: &Way, source: &PostgresServer) {
    way.source
        .run("create publication all_items for table item")
        .await;
    let url = source.url("native");
    way.target
        .run(&format!(
            "create subscription all_items connection '{url}' publication all_items with (copy_data = false)"
        ))
        .await;
}

/// The source with all three services, the target with its two.
async fn start_symstream(way: &Way, engines: &Engines, nats: &NatsServer) -> [Site; 2] {
    let source = EngineFile::new("source", "000", way.source.url(), &nats.url());
    let target = EngineFile::new("target", "001", way.target.url(), &nats.url()).registers_at(&source);
    let configuration = Configuration::default()
        .link("source", "target")
        .table("item", "main")
        .sql();
    engines.write(&source);
    engines.write(&target);
    engines
        .command("symadmin", &["--engine", &source.name, "create-sym-tables"])
        .await
        .ok();
    way.source.transaction(&configuration).await;
    for args in [
        ["open-registration", "target", "001"].as_slice(),
        &["reload-node", "001"],
    ] {
        let args = [&["--engine", source.name.as_str()], args].concat();
        engines.command("symadmin", &args).await.ok();
    }
    let start = |engine: &EngineFile, database: &TestDatabase, services: &[&str]| {
        let start = |service: &&str| {
            engines.start(
                &format!("{}.{service}", engine.name),
                service,
                &["--engine", &engine.name],
            )
        };
        Site {
            engine: engine.clone(),
            database: database.clone(),
            processes: services.iter().map(start).collect(),
        }
    };
    let source = start(&source, &way.source, &["sym-capture", "sym-router", "sym-loader"]);
    let target = start(&target, &way.target, &["sym-capture", "sym-loader"]);
    installed(&source, &["item"]).await;
    loaded(&source, "001").await;
    [source, target]
}

#[tokio::main]
async fn main() {
    let folder = Folder::new();
    let engines = Engines::new(&folder);
    let nats = NatsServer::start().await;
    let (source, target) = (durable_postgres().await, durable_postgres().await);
    let servers = [&source, &target];
    let mut ways = [
        Way::new("SymStream", "symstream", servers).await,
        Way::new("PostgreSQL logical replication", "native", servers).await,
    ];
    let mut sites = start_symstream(&ways[0], &engines, &nats).await;
    start_native(&ways[1], &source).await;

    for round in 1..=ROUNDS {
        for way in &mut ways {
            way.measure_latency().await;
            way.measure_throughput().await;
            way.check().await;
            eprintln!(
                "round {round} of {ROUNDS}: {}: {:.0} rows/s",
                way.name,
                way.rows_per_second[round - 1]
            );
        }
    }
    println!(
        "{:<32} {:>12} {:>12} {:>12}   ({ROUNDS} rounds in turns, {} rows each in transactions of {ROWS})",
        "PostgreSQL to PostgreSQL",
        "rows/s",
        "p50 ms",
        "p99 ms",
        TRANSACTIONS * ROWS
    );
    for way in &ways {
        println!(
            "{:<32} {:>12.0} {:>12.2} {:>12.2}",
            way.name,
            way.median_rate(),
            percentile(&way.latencies, 50),
            percentile(&way.latencies, 99)
        );
    }
    // A subscription would keep the source from stopping in time.
    ways[1].target.run("drop subscription all_items").await;
    for site in &mut sites {
        site.stop().await;
    }
}
