//! The nodes of three levels.

use std::time::Duration;
use symstream_shared::db::DatabaseKind::{self, Mysql, Postgres, Sqlite};
use symstream_tests::configuration::Configuration;
use symstream_tests::eventually::eventually;
use symstream_tests::family;
use symstream_tests::network::{Network, Site};
use symstream_tests::writer::Writer;

/// How long anything may take on a machine that runs much else.
pub const PATIENCE: Duration = Duration::from_secs(240);

/// A node: its group, its id, its database, and the index of the node above it.
struct Place(&'static str, &'static str, DatabaseKind, usize);

const PLACES: [Place; 7] = [
    Place("cloud", "c", Postgres, 0),
    Place("region", "r1", Mysql, 0),
    Place("region", "r2", Sqlite, 0),
    Place("shop", "s11", Sqlite, 1),
    Place("shop", "s12", Postgres, 1),
    Place("shop", "s21", Mysql, 2),
    Place("shop", "s22", Sqlite, 2),
];
/// The indexes of the regions.
pub const REGIONS: std::ops::Range<usize> = 1..3;
/// The indexes of the shops.
pub const SHOPS: std::ops::Range<usize> = 3..7;

/// The node above another.
pub fn above(index: usize) -> usize {
    PLACES[index].3
}

/// Databases and engines of seven nodes, of which the cloud registers all, and sends shops to their regions.
pub struct World {
    /// In the order of `PLACES`.
    pub sites: Vec<Site>,
    /// Servers and engines.
    pub network: Network,
}

impl World {
    /// Nothing runs yet, the cloud is configured, every node has the tables.
    pub async fn new() -> Self {
        let mut network = Network::start().await;
        let cloud = network.server(PLACES[0].0, PLACES[0].1, PLACES[0].2).await;
        let mut sites = vec![cloud];
        for Place(group, id, kind, _) in &PLACES[1..] {
            let site = network.node(&sites[0], group, id, *kind).await;
            sites.push(site);
        }
        for site in &sites {
            site.database.run(&family::ddl(site.database.kind())).await;
        }
        let links = Configuration::default()
            .link("cloud", "region")
            .link("region", "cloud")
            .link("region", "shop")
            .link("shop", "region");
        let mut configuration = family::configuration(links)
            .max_batch_size(100)
            .and("update sym_trigger set sync_on_incoming_batch = 1")
            .and("update sym_node_group_link set data_event_action = 'P' where source_node_group_id = 'cloud'")
            .and(
                "update sym_trigger set node_select = 'c.created_at_node_id = (select node_id from sym_node_identity)' \
                 where target_node_group_id = 'shop'",
            )
            .and(
                "update sym_trigger set node_select = 'c.node_id = (select own.created_at_node_id from sym_node own \
                 join sym_node_identity i on i.node_id = own.node_id)' where source_node_group_id = 'shop'",
            );
        for index in SHOPS {
            let (shop, region) = (PLACES[index].1, PLACES[above(index)].1);
            configuration = configuration.and(&format!(
                "insert into sym_registration_redirect (registrant_external_id, registration_node_id) \
                 values ('{shop}', '{region}')"
            ));
        }
        network.configure(&sites[0], &configuration.sql()).await;
        for site in &sites[1..] {
            network.admit(&sites[0], site).await;
        }
        Self { sites, network }
    }

    /// Starts a node; a region takes registrations of its shops.
    pub fn run(&mut self, index: usize) {
        let site = &mut self.sites[index];
        let name = site.engine.name.clone();
        let mut args = vec!["--engine", &name];
        if REGIONS.contains(&index) {
            args.extend(["--roles", "capture,router,loader"]);
        }
        let process = self.network.engines.start(&name, "sym", &args);
        site.processes.push(process);
    }

    /// `kill -9` of a node's process.
    pub fn kill(&mut self, index: usize) {
        for mut process in self.sites[index].processes.drain(..) {
            process.kill();
        }
    }

    /// Waits until a node is registered where it belongs: with the node above it as the one that opened its way.
    pub async fn registered(&self, index: usize) {
        let (site, parent) = (&self.sites[index], self.sites[above(index)].id());
        let sql = format!(
            "select count(*) from sym_node n join sym_node_identity i on i.node_id = n.node_id \
             join sym_node_security s on s.node_id = n.node_id \
             where n.node_id = '{}' and n.created_at_node_id = '{parent}' and s.registration_time is not null",
            site.id()
        );
        eventually(
            PATIENCE,
            format!("{} to be registered below {parent}", site.id()),
            || async {
                let found = site
                    .database
                    .try_rows(&sql)
                    .await
                    .map_err(|err| err.to_string())?;
                if found == [["1"]] {
                    Ok(())
                } else {
                    Err("not yet".to_owned())
                }
            },
        )
        .await;
    }

    /// Asks for a load of a node from the one above it.
    pub async fn reload(&self, index: usize) {
        let id = self.sites[index].id();
        self.network
            .symadmin(&self.sites[above(index)], &["reload-node", id])
            .await
            .ok();
    }

    /// Waits until a node has been loaded by the one above it.
    pub async fn loaded(&self, index: usize) {
        let (id, source) = (self.sites[index].id(), &self.sites[above(index)].database);
        let sql = format!(
            "select count(*) from sym_node_security where node_id = '{id}' and registration_time is not null \
             and initial_load_time is not null and initial_load_enabled = 0"
        );
        eventually(PATIENCE, format!("the load of {id}"), || async {
            let found = source.try_rows(&sql).await.map_err(|err| err.to_string())?;
            if found == [["1"]] {
                Ok(())
            } else {
                Err("it is not done".to_owned())
            }
        })
        .await;
    }

    /// Ends the writers, waits until nothing is on its way, and compares all databases; returns how many rows each has.
    pub async fn converges(&self, writers: Vec<Writer>) -> usize {
        for writer in writers {
            assert!(writer.stop().await > 0, "a writer wrote nothing");
        }
        // What one node passes on may be with a node that was looked at before.
        for _ in 0..=self.sites.len() {
            for site in &self.sites {
                eventually(PATIENCE, format!("{} to be quiet", site.id()), || {
                    site.check_quiet()
                })
                .await;
            }
        }
        let mut rows = 0;
        for site in &self.sites[1..] {
            rows =
                family::become_equal(&self.sites[0].database, &site.database, Duration::from_secs(10)).await;
        }
        rows
    }

    /// Ends everything in the orderly way.
    pub async fn stop(mut self) {
        for site in &mut self.sites {
            site.stop().await;
        }
    }
}
