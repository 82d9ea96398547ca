//! A source that is written all the time, a node that is loaded from it, and another node that has everything.

use std::time::Duration;
use symstream_shared::db::DatabaseKind;
use symstream_tests::configuration::Configuration;
use symstream_tests::eventually::eventually;
use symstream_tests::family::{self, Sizes, Writes, fill};
use symstream_tests::network::{Network, Site, installed, quiet};
use symstream_tests::writer::Writer;

/// The groups: the source's, that of the node that is loaded, that of the other one.
pub const GROUPS: [&str; 3] = ["source", "late", "other"];
/// The pools that the source writes from the beginning.
pub const SOURCE_POOLS: [u32; 2] = [0, 1];
/// The pool that the late node writes.
pub const LATE_POOL: u32 = 5;
/// Rows that writers choose from: fewer than there are, so that the same rows are written often.
pub const WRITTEN: u32 = 250;
/// What is loaded.
pub const SIZES: Sizes = Sizes {
    plain: 1500,
    families: 150,
};
/// How long a load may take on a machine that runs much else.
pub const LOAD_PATIENCE: Duration = Duration::from_secs(180);
/// A writer's pause.
const PACE: Duration = Duration::from_millis(20);

/// The nodes, and who writes.
pub struct Scene {
    /// Writes from the beginning; the registration server.
    pub source: Site,
    /// Is loaded while the source writes; nothing runs yet.
    pub late: Site,
    /// Was loaded before.
    pub other: Site,
    /// Application writers.
    pub writers: Vec<Writer>,
    /// Servers and engines.
    pub network: Network,
    /// From which all that is random comes.
    pub seed: u64,
}

impl Scene {
    /// The source has rows, the other node is loaded, nobody writes yet. With `both_ways` what is written at the late
    /// node goes to the source, and the source passes it on.
    pub async fn start(kinds: [DatabaseKind; 3], seed: u64, both_ways: bool) -> Self {
        let mut network = Network::start().await;
        let mut source = network.server(GROUPS[0], "000", kinds[0]).await;
        let late = network.node(&source, GROUPS[1], "001", kinds[1]).await;
        let mut other = network.node(&source, GROUPS[2], "002", kinds[2]).await;
        for site in [&source, &late, &other] {
            site.database.run(&family::ddl(site.database.kind())).await;
        }
        for pool in SOURCE_POOLS {
            fill(&source.database, pool, SIZES).await;
        }
        let mut links = Configuration::default()
            .link(GROUPS[0], GROUPS[1])
            .link(GROUPS[0], GROUPS[2]);
        if both_ways {
            links = links.link(GROUPS[1], GROUPS[0]);
        }
        let configuration = family::configuration(links)
            .max_batch_size(100)
            .and("insert into sym_channel (channel_id, processing_order, max_batch_size, enabled) values ('reload', 1, 100, 1)")
            .and("update sym_trigger set sync_on_incoming_batch = 1 where source_node_group_id = 'source'");
        network.configure(&source, &configuration.sql()).await;
        network.admit(&source, &other).await;
        network.symadmin(&source, &["reload-node", other.id()]).await.ok();
        network.run_services(&mut source);
        network.run(&mut other);
        let tables = family::PARTS.map(|part| part.table);
        installed(&source, &tables).await;
        let scene = Self {
            source,
            late,
            other,
            writers: Vec::new(),
            network,
            seed,
        };
        scene.loaded("002").await;
        scene
    }

    /// Lets the source write in all its pools.
    pub fn write_at_source(&mut self) {
        for pool in SOURCE_POOLS {
            let writer = writer(&self.source, self.seed, pool);
            self.writers.push(writer);
        }
    }

    /// Lets the late node write in its pool.
    pub fn write_at_late(&mut self) {
        let writer = writer(&self.late, self.seed, LATE_POOL);
        self.writers.push(writer);
    }

    /// Waits until every writer has written more.
    pub async fn advance(&self, transactions: u64) {
        for writer in &self.writers {
            writer.advance(transactions).await;
        }
    }

    /// Admits the late node, asks for its load, starts it.
    pub async fn admit_late(&mut self) {
        self.network.admit(&self.source, &self.late).await;
        self.reload_late().await;
        self.network.run_services(&mut self.late);
    }

    /// Asks for a load of the late node.
    pub async fn reload_late(&self) {
        self.network
            .symadmin(&self.source, &["reload-node", self.late.id()])
            .await
            .ok();
    }

    /// Waits until a node is registered and loaded.
    pub async fn loaded(&self, node: &str) {
        eventually(LOAD_PATIENCE, format!("the load of {node}"), || {
            self.check_loaded(node)
        })
        .await;
    }

    /// Whether the late node has no load open.
    pub async fn is_loaded(&self) -> bool {
        self.check_loaded(self.late.id()).await.is_ok()
    }

    async fn check_loaded(&self, node: &str) -> Result<(), String> {
        let sql = format!(
            "select count(*) from sym_node_security where node_id = '{node}' and registration_time is not null \
             and initial_load_time is not null and initial_load_enabled = 0"
        );
        match self.source.database.try_rows(&sql).await {
            Ok(rows) if rows == [["1"]] => Ok(()),
            Ok(_) => Err("it is not done".to_owned()),
            Err(err) => Err(err.to_string()),
        }
    }

    /// Waits until the late node has begun to take its load in.
    pub async fn load_has_begun(&self) {
        eventually(LOAD_PATIENCE, "the first rows of the load", || async {
            let sql = "select count(*) from sym_incoming_load";
            match self.late.database.try_rows(sql).await {
                Ok(rows) if rows != [["0"]] => Ok(()),
                Ok(_) => Err("nothing yet".to_owned()),
                Err(err) => Err(err.to_string()),
            }
        })
        .await;
    }

    /// Ends the writers and waits until nothing is on its way.
    pub async fn settle(&mut self) {
        for writer in self.writers.drain(..) {
            assert!(writer.stop().await > 0, "a writer wrote nothing");
        }
        for _ in 0..2 {
            quiet(&[&self.source, &self.late, &self.other]).await;
        }
    }

    /// Ends the writers and compares the nodes; returns how many rows they have.
    pub async fn ends_equal(&mut self) -> usize {
        self.settle().await;
        let rows = family::become_equal(&self.source.database, &self.late.database, LOAD_PATIENCE).await;
        family::become_equal(&self.source.database, &self.other.database, LOAD_PATIENCE).await;
        rows
    }

    /// No batch was ever refused at either end.
    pub async fn had_no_error(&self) {
        for (site, table) in [
            (&self.source, "sym_outgoing_batch_hist"),
            (&self.late, "sym_incoming_batch_hist"),
            (&self.other, "sym_incoming_batch_hist"),
        ] {
            let sql = format!("select batch_id, sql_message from {table} where status = 'ER'");
            let errors = site.database.rows(&sql).await;
            assert!(errors.is_empty(), "{}: {errors:?}", site.id());
        }
    }

    /// Ends everything in the orderly way.
    pub async fn stop(mut self) {
        for site in [&mut self.source, &mut self.late, &mut self.other] {
            site.stop().await;
        }
    }
}

fn writer(site: &Site, seed: u64, pool: u32) -> Writer {
    let mut writes = Writes::new(seed, pool, WRITTEN);
    Writer::start_making(&site.database, PACE, move || writes.transaction())
}
