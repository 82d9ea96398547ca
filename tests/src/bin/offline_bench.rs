//! `make bench-offline`: a node is away while much is written, and comes back: how long it takes, and in how much memory.
//!
//! `CHANGES` (100000) says how much.

use std::time::{Duration, Instant};
use symstream_tests::compare::{Part, check_equal};
use symstream_tests::configuration::Configuration;
use symstream_tests::engine::{EngineFile, Engines};
use symstream_tests::folder::Folder;
use symstream_tests::measure::{durable_postgres, rate, run_services, setting, site, until};
use symstream_tests::network::{installed, quiet};
use symstream_tests::pair::loaded;
use symstream_tests::server::NatsServer;
use symstream_tests::usage::{print_peak, print_peaks};

const PATIENCE: Duration = Duration::from_secs(1800);
/// Changes of one transaction.
const ROWS: u64 = 10;
const DDL: &str = "create table item (id bigint primary key, name varchar(100), qty integer)";

#[tokio::main]
async fn main() {
    let changes = setting("CHANGES", 100_000);
    let folder = Folder::new();
    let engines = Engines::new(&folder);
    let nats = NatsServer::start().await;
    let (here, there) = (durable_postgres().await, durable_postgres().await);
    let databases = [
        here.create_database("source").await,
        there.create_database("away").await,
    ];
    let source = EngineFile::new("source", "000", databases[0].url(), &nats.url());
    let away = EngineFile::new("away", "001", databases[1].url(), &nats.url()).registers_at(&source);
    let mut source = site(&engines, source, &databases[0]);
    let mut away = site(&engines, away, &databases[1]);
    let configuration = Configuration::default()
        .link("source", "away")
        .table("item", "items");
    let admin = async |args: &[&str]| {
        let args = [&["--engine", source.engine.name.as_str()], args].concat();
        engines.command("symadmin", &args).await.ok();
    };
    admin(&["create-sym-tables"]).await;
    for database in &databases {
        database.run(DDL).await;
    }
    let links = "update sym_node_group_link set data_event_action = 'P'";
    source.database.transaction(&configuration.and(links).sql()).await;
    admin(&["open-registration", "away", "001"]).await;
    admin(&["reload-node", "001"]).await;
    run_services(&engines, &mut source);
    run_services(&engines, &mut away);
    installed(&source, &["item"]).await;
    loaded(&source, "001").await;
    away.stop().await;

    let begin = Instant::now();
    for first in (0..changes).step_by(usize::try_from(ROWS).expect("a small number")) {
        // Half of what is written changes what was written before.
        let half = first / 2;
        let rows: Vec<String> = (half..half + ROWS / 2)
            .map(|id| format!("({id}, 'item {id}', 0)"))
            .collect();
        let sql = format!(
            "insert into item values {};\nupdate item set qty = qty + 1 where id between {half} and {}",
            rows.join(","),
            half + ROWS / 2 - 1
        );
        source.database.transaction(&sql).await;
    }
    println!(
        "{changes} changes written in {:.1} s",
        begin.elapsed().as_secs_f64()
    );
    let unrouted = "select count(*) from sym_capture_batch where routed = 0";
    let uncut = "select count(*) from sym_data d where not exists \
                 (select 1 from sym_data_event e where e.data_id = d.data_id)";
    until(&source, "everything to be routed", unrouted, "0", PATIENCE).await;
    until(&source, "everything to wait for the node", uncut, "0", PATIENCE).await;
    println!(
        "all of it waits for the node after {:.1} s",
        begin.elapsed().as_secs_f64()
    );

    let begin = Instant::now();
    run_services(&engines, &mut away);
    let rows = (changes / 2).to_string();
    let last = "select count(*) from item where qty = 1";
    let took = until(&away, "the last change", last, &rows, PATIENCE).await;
    println!(
        "the node has caught up {:.1} s after its start: {:.0} changes/s",
        took.as_secs_f64(),
        rate(changes, took)
    );
    quiet(&[&source, &away]).await;
    println!(
        "and its source knows it after {:.1} s",
        begin.elapsed().as_secs_f64()
    );
    let part = Part {
        table: "item",
        columns: &["id", "name", "qty"],
        condition: "",
    };
    check_equal(&source.database, &away.database, part)
        .await
        .expect("equal");
    print_peak("nats-server", nats.id());
    for one in [&mut source, &mut away] {
        print_peaks(&one.processes);
        one.stop().await;
    }
}
