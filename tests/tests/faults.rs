//! Whatever is killed or stopped in the middle of a stream of writes: all databases end equal, nothing is applied
//! twice.

use symstream_shared::db::DatabaseKind::{Mysql, Postgres, Sqlite};
use symstream_tests::compare::{Part, become_equal};
use symstream_tests::configuration::Configuration;
use symstream_tests::eventually::eventually;
use symstream_tests::firings::{firings, watch};
use symstream_tests::network::{Network, PATIENCE, SERVICES, Site, installed, quiet};
use symstream_tests::pair::loaded;
use symstream_tests::process::Signal;
use symstream_tests::writer::{COLUMNS, DDL, TABLE, Writer};

/// Transactions of each writer between two faults, and while something is down.
const BETWEEN: u64 = 25;

/// Three nodes that all get every change, each with a writer of its own: the cloud passes on what it gets.
struct Star {
    writers: Vec<Writer>,
    sites: Vec<Site>,
    network: Network,
}

impl Star {
    async fn start() -> Self {
        let mut network = Network::start().await;
        let mut cloud = network.server("cloud", "000", Postgres).await;
        let mut sites = vec![
            network.node(&cloud, "local", "001", Mysql).await,
            network.node(&cloud, "local", "002", Sqlite).await,
        ];
        for site in sites.iter().chain([&cloud]) {
            site.database.run(DDL).await;
            watch(&site.database, TABLE, "id", "amount").await;
        }
        let configuration = Configuration::default()
            .link("cloud", "local")
            .link("local", "cloud")
            .table(TABLE, "items")
            .and("update sym_trigger set sync_on_incoming_batch = 1 where source_node_group_id = 'cloud'");
        network.configure(&cloud, &configuration.sql()).await;
        for site in &sites {
            network.admit(&cloud, site).await;
            network.symadmin(&cloud, &["reload-node", site.id()]).await.ok();
        }
        network.run_services(&mut cloud);
        for site in &mut sites {
            network.run_services(site);
        }
        for site in &sites {
            loaded(&cloud, site.id()).await;
            installed(site, &[TABLE]).await;
        }
        installed(&cloud, &[TABLE]).await;
        sites.insert(0, cloud);
        let writers = sites
            .iter()
            .map(|site| Writer::start(&site.database, &format!("w{}", site.id())))
            .collect();
        let star = Self {
            writers,
            sites,
            network,
        };
        star.advance().await;
        star
    }

    /// Waits until every writer has written more.
    async fn advance(&self) {
        for writer in &self.writers {
            writer.advance(BETWEEN).await;
        }
    }

    /// Ends the writers and compares everything.
    async fn ends_equal(mut self) {
        for writer in self.writers.drain(..) {
            assert!(writer.stop().await > 0);
        }
        let sites: Vec<&Site> = self.sites.iter().collect();
        quiet(&sites).await;
        let part = Part {
            table: TABLE,
            columns: &COLUMNS,
            condition: "",
        };
        for site in &sites[1..] {
            become_equal(&sites[0].database, &site.database, part).await;
        }
        // Each row was written as often, and in the same order, at every node.
        let expected = firings(&sites[0].database, TABLE)
            .await
            .expect("read the firings");
        for site in &sites[1..] {
            let found = firings(&site.database, TABLE).await.expect("read the firings");
            let difference = expected
                .iter()
                .zip(&found)
                .find(|(expected, found)| expected != found);
            assert_eq!(difference, None, "the cloud's firings and those of {}", site.id());
            assert_eq!(expected.len(), found.len());
        }
        for site in &mut self.sites {
            for process in &mut site.processes {
                assert_eq!(process.ended(), None, "{} ended", process.name());
            }
            site.stop().await;
        }
    }

    /// Kills one service, lets the others go on for a while, starts it again.
    async fn kill_and_restart(&mut self, site: usize, service: usize) {
        let name = self.sites[site].processes[service].name().to_owned();
        let (_, program) = name.rsplit_once('.').expect("<engine>.<service>");
        self.sites[site].processes[service].kill();
        self.advance().await;
        self.sites[site].processes[service] = self.network.start_service(&self.sites[site], program);
        self.advance().await;
    }
}

#[tokio::test]
async fn each_service_of_the_cloud_is_killed() {
    let mut star = Star::start().await;
    for _ in 0..2 {
        for service in 0..=SERVICES.len() {
            star.kill_and_restart(0, service).await;
        }
    }
    star.ends_equal().await;
}

#[tokio::test]
async fn each_service_of_the_local_nodes_is_killed() {
    let mut star = Star::start().await;
    for _ in 0..2 {
        for site in 1..=2 {
            for service in 0..SERVICES.len() {
                star.kill_and_restart(site, service).await;
            }
        }
    }
    star.ends_equal().await;
}

#[tokio::test]
async fn everything_is_killed_at_once() {
    let mut star = Star::start().await;
    for site in &mut star.sites {
        for process in &mut site.processes {
            process.kill();
        }
        site.processes.clear();
    }
    star.network.nats.kill();
    star.advance().await;
    star.network.nats.start_again().await;
    for site in &mut star.sites {
        star.network.run_services(site);
    }
    star.advance().await;
    star.ends_equal().await;
}

#[tokio::test]
async fn a_second_router_takes_over_from_one_that_is_killed() {
    let mut star = Star::start().await;
    let second = star.network.start_service(&star.sites[0], "sym-router");
    star.sites[0].processes.push(second);
    star.advance().await;
    let first = SERVICES.len();
    star.sites[0].processes.remove(first).kill();
    star.advance().await;
    star.ends_equal().await;
}

#[tokio::test]
async fn a_router_that_froze_and_wakes_late_changes_nothing() {
    let mut star = Star::start().await;
    let second = star.network.start_service(&star.sites[0], "sym-router");
    star.sites[0].processes.push(second);
    star.advance().await;
    // WHEN one freezes, the other takes over what it had in hand
    let frozen = SERVICES.len();
    star.sites[0].processes[frozen].signal(Signal::Stop);
    star.advance().await;
    let last = star.writers[0].committed();
    arrives(&star.sites[2], &format!("w000-{last}")).await;
    // THEN it may wake in the middle of what it did
    star.sites[0].processes[frozen].signal(Signal::Cont);
    star.advance().await;
    star.ends_equal().await;
}

#[tokio::test]
async fn nats_is_stopped_and_killed() {
    let mut star = Star::start().await;
    star.network.nats.stop().await;
    star.advance().await;
    star.network.nats.start_again().await;
    star.advance().await;
    star.network.nats.kill();
    star.advance().await;
    star.network.nats.start_again().await;
    star.advance().await;
    star.network.nats.signal(Signal::Stop);
    star.advance().await;
    star.network.nats.signal(Signal::Cont);
    star.advance().await;
    star.ends_equal().await;
}

#[tokio::test]
async fn postgres_is_stopped_and_killed() {
    let mut star = Star::start().await;
    for kill in [false, true] {
        let server = star.network.postgres.as_mut().expect("the cloud's server");
        if kill {
            server.kill().await
        } else {
            server.stop().await
        }
        star.writers[1].advance(BETWEEN).await;
        star.network
            .postgres
            .as_mut()
            .expect("the cloud's server")
            .start_again()
            .await;
        star.advance().await;
    }
    star.ends_equal().await;
}

#[tokio::test]
async fn mariadb_is_stopped_and_killed() {
    let mut star = Star::start().await;
    for kill in [false, true] {
        let server = star
            .network
            .mariadb
            .as_mut()
            .expect("the first local node's server");
        if kill {
            server.kill()
        } else {
            server.stop().await
        }
        star.writers[0].advance(BETWEEN).await;
        star.network
            .mariadb
            .as_mut()
            .expect("the first local node's server")
            .start_again()
            .await;
        star.advance().await;
    }
    star.ends_equal().await;
}

#[tokio::test]
async fn a_node_that_was_away_catches_up() {
    let mut star = Star::start().await;
    star.sites[2].stop().await;
    star.advance().await;
    star.advance().await;
    star.network.run_services(&mut star.sites[2]);
    let missing = star.writers[0].committed();
    arrives(&star.sites[2], &format!("w000-{missing}")).await;
    star.ends_equal().await;
}

/// Waits until a row has been inserted at a site, though it may be gone since.
async fn arrives(site: &Site, id: &str) {
    eventually(PATIENCE, format!("row {id} at {}", site.id()), || async {
        let sql = format!("select count(*) from firings where row_key = '{id}' and event = 'insert'");
        let found = site
            .database
            .try_rows(&sql)
            .await
            .map_err(|err| err.to_string())?;
        if found == [["1"]] {
            Ok(())
        } else {
            Err("it is not there".to_owned())
        }
    })
    .await;
}

#[tokio::test]
async fn a_large_transaction_is_applied_once_whatever_is_killed() {
    // GIVEN two nodes with each service in a process of its own
    const ROWS: i64 = 10_000;
    let mut network = Network::start().await;
    let mut source = network.server("cloud", "000", Postgres).await;
    let mut target = network.node(&source, "local", "001", Sqlite).await;
    for site in [&source, &target] {
        site.database.run(DDL).await;
    }
    watch(&target.database, TABLE, "id", "amount").await;
    let configuration = Configuration::default()
        .link("cloud", "local")
        .table(TABLE, "items");
    network.configure(&source, &configuration.sql()).await;
    network.admit(&source, &target).await;
    network
        .symadmin(&source, &["reload-node", target.id()])
        .await
        .ok();
    network.run_services(&mut source);
    network.run_services(&mut target);
    loaded(&source, target.id()).await;
    installed(&source, &[TABLE]).await;

    // WHEN transactions of several messages are on their way, and one process after the other is killed
    for round in 0..2 {
        let note = format!("repeat(md5(n::text || '{round}'), 6)");
        source
            .database
            .run(&format!(
                "insert into item select '{round}-' || n, n, {note} from generate_series(1, {ROWS}) n"
            ))
            .await;
        for site in [&mut source, &mut target] {
            for process in &mut site.processes {
                let (_, program) = process.name().rsplit_once('.').expect("<engine>.<service>");
                let program = program.to_owned();
                process.kill();
                let name = format!("{}.{program}", site.engine.name);
                *process = network
                    .engines
                    .start(&name, &program, &["--engine", &site.engine.name]);
            }
        }
        // THEN each arrives, whole
        eventually(PATIENCE, "the transaction", || async {
            let found = target.database.number("select count(*) from item").await;
            assert_eq!(found % ROWS, 0, "the transaction was cut");
            if found == (round + 1) * ROWS {
                Ok(())
            } else {
                Err(format!("{found} rows"))
            }
        })
        .await;
    }

    // AND every row was written once
    quiet(&[&source, &target]).await;
    become_equal(
        &source.database,
        &target.database,
        Part {
            table: TABLE,
            columns: &COLUMNS,
            condition: "",
        },
    )
    .await;
    assert_eq!(
        target.database.number("select count(*) from firings").await,
        2 * ROWS
    );
}
