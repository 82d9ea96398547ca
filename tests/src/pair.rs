//! The smallest deployment: one source, one target.

use crate::configuration::Configuration;
use crate::eventually::eventually;
use crate::network::{Network, PATIENCE, Site, installed, quiet};
use symstream_shared::db::DatabaseKind;

/// The source's group; it is the registration server too.
pub const SOURCE: &str = "source";
/// The target's group.
pub const TARGET: &str = "target";

/// Two running nodes.
#[derive(Debug)]
pub struct Pair {
    /// Where the test writes.
    pub source: Site,
    /// Where it looks.
    pub target: Site,
    /// Servers and engines.
    pub network: Network,
}

impl Pair {
    /// Two nodes that have run `ddl` and replicate `tables`, all on one channel.
    ///
    /// # Panics
    /// When one of them does not come up.
    pub async fn start(source: DatabaseKind, target: DatabaseKind, ddl: &str, tables: &[&str]) -> Self {
        let configuration = tables
            .iter()
            .fold(Configuration::default().link(SOURCE, TARGET), |all, table| {
                all.table(table, "main")
            });
        Self::start_with((source, ddl), (target, ddl), &configuration, tables).await
    }

    /// The same with tables of their own and any configuration.
    ///
    /// # Panics
    /// When one of them does not come up.
    pub async fn start_with(
        (source_kind, source_ddl): (DatabaseKind, &str),
        (target_kind, target_ddl): (DatabaseKind, &str),
        configuration: &Configuration,
        tables: &[&str],
    ) -> Self {
        let mut network = Network::start().await;
        let mut source = network.server(SOURCE, "000", source_kind).await;
        let mut target = network.node(&source, TARGET, "001", target_kind).await;
        source.database.run(source_ddl).await;
        target.database.run(target_ddl).await;
        network.configure(&source, &configuration.sql()).await;
        network.admit(&source, &target).await;
        network
            .symadmin(&source, &["reload-node", target.id()])
            .await
            .ok();
        network.run(&mut source);
        network.run(&mut target);
        installed(&source, tables).await;
        loaded(&source, target.id()).await;
        Self {
            source,
            target,
            network,
        }
    }

    /// Waits until nothing is on its way.
    ///
    /// # Panics
    /// When that takes too long.
    pub async fn quiet(&self) {
        quiet(&[&self.source, &self.target]).await;
    }
}

/// Waits until `node` is registered at `server` and its initial load is done: from then on it gets every change.
///
/// # Panics
/// When that takes too long.
pub async fn loaded(server: &Site, node: &str) {
    eventually(PATIENCE, format!("the initial load of {node}"), || async {
        let sql = format!(
            "select count(*) from sym_node_security where node_id = '{node}' and registration_time is not null \
             and initial_load_time is not null and initial_load_enabled = 0"
        );
        match server.database.try_rows(&sql).await {
            Ok(rows) if rows == [["1"]] => Ok(()),
            Ok(_) => Err("it is not done".to_owned()),
            Err(err) => Err(err.to_string()),
        }
    })
    .await;
}
