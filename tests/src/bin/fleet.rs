//! `make fleet`: many SQLite nodes in one process are registered at one server, loaded, and get one change that is
//! for all of them.
//!
//! `NODES` (200) says how many, `CLOUD` (`sqlite`, `postgres`) what the server's database is.

use std::time::{Duration, Instant};
use symstream_shared::db::DatabaseKind;
use symstream_tests::configuration::Configuration;
use symstream_tests::engine::Engines;
use symstream_tests::eventually::eventually;
use symstream_tests::measure::setting;
use symstream_tests::network::{Network, Site, installed};
use symstream_tests::process::Process;
use symstream_tests::stored::Stored;
use symstream_tests::usage::{open_files, print_peak, print_peaks, processor_time};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(900);
/// Rows that each node is loaded with.
const ROWS: i64 = 1000;
/// Over which time the idle fleet is watched.
const IDLE: Duration = Duration::from_secs(20);
const DDL: &str = "create table item (id integer primary key, name varchar(100))";

struct Fleet {
    cloud: Site,
    shops: Vec<Site>,
    process: Process,
    network: Network,
}

impl Fleet {
    async fn start(nodes: usize, kind: DatabaseKind) -> Self {
        let mut network = Network::start().await;
        let mut cloud = network.server("cloud", "000", kind).await;
        let of_shops = network.folder.subfolder("shops");
        let engines = Engines::new(&network.folder);
        cloud.database.run(DDL).await;
        for first in (1..=ROWS).step_by(100) {
            let rows: Vec<String> = (first..first + 100)
                .map(|id| format!("({id}, 'item {id}')"))
                .collect();
            cloud
                .database
                .run(&format!("insert into item values {}", rows.join(",")))
                .await;
        }
        let configuration = Configuration::default()
            .link("cloud", "shop")
            .link("shop", "cloud")
            .table("item", "items");
        let links = "update sym_node_group_link set data_event_action = 'P'";
        network.configure(&cloud, &configuration.and(links).sql()).await;
        let mut shops = Vec::new();
        for number in 1..=nodes {
            let shop = network
                .node(&cloud, "shop", &format!("{number:03}"), DatabaseKind::Sqlite)
                .await;
            shop.database.run(DDL).await;
            network.admit(&cloud, &shop).await;
            // The fleet's process runs all engines of a folder of their own.
            std::fs::rename(
                network.engines.file(&shop.engine.name),
                of_shops.join(format!("{}.toml", shop.engine.name)),
            )
            .expect("move an engine file");
            shops.push(shop);
        }
        network.run(&mut cloud);
        installed(&cloud, &["item"]).await;
        let of_shops = of_shops.display().to_string();
        let process = engines.start("fleet", "sym", &["--engines-dir", &of_shops]);
        Self {
            cloud,
            shops,
            process,
            network,
        }
    }

    /// Waits until this many nodes are as `condition` says; returns how long it took.
    async fn all(&self, what: &str, condition: &str) -> Duration {
        let begin = Instant::now();
        let sql = format!("select count(*) from sym_node_security where node_id <> '000' and {condition}");
        eventually(PATIENCE, what, || async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            let found = self
                .cloud
                .database
                .try_rows(&sql)
                .await
                .map_err(|err| err.to_string())?;
            if found == [[self.shops.len().to_string()]] {
                Ok(())
            } else {
                Err(format!("{found:?}"))
            }
        })
        .await;
        let took = begin.elapsed();
        println!("{what:<40} {:>8.1} s", took.as_secs_f64());
        took
    }

    /// Waits until each node has what `sql` asks for.
    async fn each_has(&self, what: &str, sql: &str, expected: &str) {
        let begin = Instant::now();
        let mut missing: Vec<&Site> = self.shops.iter().collect();
        let mut first = None;
        while !missing.is_empty() {
            let mut still = Vec::new();
            for shop in missing {
                let found = shop.database.try_rows(sql).await.unwrap_or_default();
                if found == [[expected]] {
                    first.get_or_insert_with(|| begin.elapsed());
                } else {
                    still.push(shop);
                }
            }
            missing = still;
            assert!(
                begin.elapsed() < PATIENCE,
                "{} nodes without {what}",
                missing.len()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let first = first.unwrap_or_default().as_secs_f64();
        println!(
            "{what:<40} {:>8.2} s, the first after {first:.2} s",
            begin.elapsed().as_secs_f64()
        );
    }

    async fn stored(&self) -> Stored {
        Stored::look(&self.network.nats.url()).await
    }
}

#[tokio::main]
async fn main() {
    let nodes = usize::try_from(setting("NODES", 200)).expect("a number of nodes");
    let kind = match std::env::var("CLOUD").as_deref() {
        Ok("postgres") => DatabaseKind::Postgres,
        _ => DatabaseKind::Sqlite,
    };
    println!("{nodes} nodes on SQLite in one process, one cloud on {kind:?}");
    let mut fleet = Fleet::start(nodes, kind).await;
    fleet.all("registered", "registration_time is not null").await;

    let request = "update sym_node_security set initial_load_enabled = 1 where node_id <> '000'";
    fleet.cloud.database.run(request).await;
    fleet
        .all(
            "loaded",
            "initial_load_time is not null and initial_load_enabled = 0",
        )
        .await;
    fleet
        .each_has("rows of the load", "select count(*) from item", &ROWS.to_string())
        .await;

    for round in 1..=3 {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let before = fleet.stored().await;
        fleet
            .cloud
            .database
            .run(&format!("update item set name = 'changed {round}' where id = 1"))
            .await;
        let sql = "select name from item where id = 1";
        fleet
            .each_has("a change for all", sql, &format!("changed {round}"))
            .await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        let after = fleet.stored().await;
        println!("messages stored meanwhile: {:?}", after.since(&before));
    }

    let of = |process: &Process| processor_time(process.id());
    let (fleet_before, cloud_before) = (of(&fleet.process), of(&fleet.cloud.processes[0]));
    tokio::time::sleep(IDLE).await;
    let percent =
        |before: Duration, after: Duration| 100.0 * (after - before).as_secs_f64() / IDLE.as_secs_f64();
    println!(
        "processor when nothing happens           {:>8.1} % of one core for the nodes, {:.1} % for the cloud",
        percent(fleet_before, of(&fleet.process)),
        percent(cloud_before, of(&fleet.cloud.processes[0]))
    );
    println!(
        "the nodes' process has {} files open; JetStream has {} consumers",
        open_files(fleet.process.id()),
        fleet.stored().await.consumers
    );
    print_peak("nats-server", fleet.network.nats.id());
    print_peaks(fleet.cloud.processes.iter().chain([&fleet.process]));
    let stopping = Instant::now();
    fleet
        .process
        .stop(symstream_tests::process::Signal::Term, PATIENCE)
        .await;
    println!(
        "the nodes' process stopped in {:.1} s",
        stopping.elapsed().as_secs_f64()
    );
}
