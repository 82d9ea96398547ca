//! Whatever is killed while a node is loaded: in the end it has what its source has.

use super::scene::{LATE_POOL, SIZES, Scene};
use rand::prelude::IndexedRandom;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::time::Duration;
use symstream_shared::db::DatabaseKind::{self, Mysql, Postgres, Sqlite};
use symstream_tests::family::fill;
use symstream_tests::network::{Network, SERVICES, Site};
use symstream_tests::seeds::run_seeds;

const KINDS: [[DatabaseKind; 3]; 6] = [
    [Postgres, Mysql, Sqlite],
    [Postgres, Sqlite, Mysql],
    [Mysql, Sqlite, Postgres],
    [Mysql, Postgres, Sqlite],
    [Sqlite, Postgres, Mysql],
    [Sqlite, Mysql, Postgres],
];
/// Faults of one load.
const FAULTS: std::ops::RangeInclusive<usize> = 2..=5;
/// Milliseconds between two faults, and of what is away.
const PAUSES: std::ops::Range<u64> = 0..1500;

#[derive(Debug, Clone, Copy)]
enum Node {
    Source,
    Late,
}

#[derive(Debug, Clone, Copy)]
enum Fault {
    /// One of a node's services is killed.
    Service(Node, usize),
    /// All services of a node are killed.
    All(Node),
    /// A node's database server is killed; where it has none, all services of the node.
    Database(Node),
    /// nats-server is killed.
    NatsKilled,
    /// nats-server is stopped in the orderly way.
    NatsAway,
}

impl Fault {
    fn random(rng: &mut StdRng) -> Self {
        let node = *[Node::Source, Node::Late].choose(rng).expect("two nodes");
        match rng.random_range(0..10) {
            0..4 => Self::Service(node, rng.random_range(0..=SERVICES.len())),
            4 | 5 => Self::All(node),
            6 | 7 => Self::Database(node),
            8 => Self::NatsKilled,
            _ => Self::NatsAway,
        }
    }

    /// Lets it happen, and brings back what is gone after a pause.
    async fn happen(self, scene: &mut Scene, pause: Duration) {
        match self {
            Self::Service(node, service) => {
                let site = scene.site(node);
                // A node that is not the registration server has no router.
                let service = service % site.processes.len();
                site.processes[service].kill();
                tokio::time::sleep(pause).await;
                let name = site.processes[service].name().to_owned();
                let (_, program) = name.rsplit_once('.').expect("<engine>.<service>");
                let (network, site) = scene.parts(node);
                site.processes[service] = network.start_service(site, program);
            }
            Self::All(node) => Box::pin(restart_all(scene, node, pause)).await,
            Self::Database(node) => {
                let kind = scene.site(node).database.kind();
                match kind {
                    Sqlite => Box::pin(restart_all(scene, node, pause)).await,
                    Postgres => {
                        let server = scene.network.postgres.as_mut().expect("its server");
                        server.kill().await;
                        tokio::time::sleep(pause).await;
                        server.start_again().await;
                    }
                    Mysql => {
                        let server = scene.network.mariadb.as_mut().expect("its server");
                        server.kill();
                        tokio::time::sleep(pause).await;
                        server.start_again().await;
                    }
                }
            }
            Self::NatsKilled | Self::NatsAway => {
                if matches!(self, Self::NatsKilled) {
                    scene.network.nats.kill();
                } else {
                    scene.network.nats.stop().await;
                }
                tokio::time::sleep(pause).await;
                scene.network.nats.start_again().await;
            }
        }
    }
}

async fn restart_all(scene: &mut Scene, node: Node, pause: Duration) {
    for mut process in scene.site(node).processes.drain(..) {
        process.kill();
    }
    tokio::time::sleep(pause).await;
    let (network, site) = scene.parts(node);
    network.run_services(site);
}

impl Scene {
    fn site(&mut self, node: Node) -> &mut Site {
        self.parts(node).1
    }

    fn parts(&mut self, node: Node) -> (&Network, &mut Site) {
        match node {
            Node::Source => (&self.network, &mut self.source),
            Node::Late => (&self.network, &mut self.late),
        }
    }
}

async fn disturbed(seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    let kinds = *KINDS.choose(&mut rng).expect("six orders");
    // Either its first load, or one of a node that has rows of its own and writes them.
    let is_first = rng.random_bool(0.5);
    eprintln!("SYM_TEST_SEED={seed}: {kinds:?}, its first load: {is_first}");
    let mut scene = Scene::start(kinds, seed, !is_first).await;
    if is_first {
        scene.write_at_source();
        scene.admit_late().await;
    } else {
        scene.admit_late().await;
        scene.loaded("001").await;
        fill(&scene.late.database, LATE_POOL, SIZES).await;
        scene.write_at_source();
        scene.write_at_late();
        scene.reload_late().await;
    }
    for _ in 0..rng.random_range(FAULTS) {
        tokio::time::sleep(Duration::from_millis(rng.random_range(PAUSES))).await;
        let fault = Fault::random(&mut rng);
        eprintln!("SYM_TEST_SEED={seed}: {fault:?}");
        fault
            .happen(&mut scene, Duration::from_millis(rng.random_range(PAUSES)))
            .await;
        if scene.is_loaded().await {
            scene.reload_late().await;
        }
    }
    scene.advance(10).await;
    scene.loaded("001").await;
    let rows = scene.ends_equal().await;
    eprintln!("SYM_TEST_SEED={seed}: {rows} rows are equal");
    scene.stop().await;
}

#[tokio::test]
async fn whatever_is_killed_during_a_load_the_node_ends_equal() {
    run_seeds(3, disturbed).await;
}
