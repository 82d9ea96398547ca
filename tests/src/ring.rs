//! Three nodes, one on each database, in a ring or in any other order: each dialect is a source and a target at once.

use crate::configuration::Configuration;
use crate::eventually::eventually;
use crate::network::{Network, PATIENCE, Site, installed, quiet};
use symstream_shared::db::DatabaseKind::{self, Mysql, Postgres, Sqlite};

/// The nodes' groups; the first is the registration server's.
pub const GROUPS: [&str; 3] = ["postgres", "mariadb", "sqlite"];
/// The nodes' ids.
pub const NODES: [&str; 3] = ["p", "m", "s"];
/// Which group sends to which, in a ring.
pub const ROUND: [(usize, usize); 3] = [(0, 1), (1, 2), (2, 0)];

/// Events of a table, each of which has a trigger.
const EVENTS: usize = 3;

/// Three running nodes that know each other.
#[derive(Debug)]
pub struct Ring {
    /// PostgreSQL, MariaDB, SQLite.
    pub sites: [Site; 3],
    /// Servers and engines.
    pub network: Network,
}

impl Ring {
    /// Starts nodes that send each other what `configuration` says, which has no links yet, in a ring.
    ///
    /// # Panics
    /// When one of them does not come up.
    pub async fn start(ddl: impl Fn(DatabaseKind) -> String, configuration: Configuration) -> Self {
        Self::start_linked(&ROUND, ddl, configuration).await
    }

    /// The same with other links than those of a ring.
    ///
    /// # Panics
    /// When one of them does not come up.
    pub async fn start_linked(
        links: &[(usize, usize)],
        ddl: impl Fn(DatabaseKind) -> String,
        configuration: Configuration,
    ) -> Self {
        let mut network = Network::start().await;
        let server = network.server(GROUPS[0], NODES[0], Postgres).await;
        let mariadb = network.node(&server, GROUPS[1], NODES[1], Mysql).await;
        let sqlite = network.node(&server, GROUPS[2], NODES[2], Sqlite).await;
        let mut sites = [server, mariadb, sqlite];
        for site in &sites {
            site.database.run(&ddl(site.database.kind())).await;
        }
        let configuration = links.iter().fold(configuration, |all, &(from, to)| {
            all.link(GROUPS[from], GROUPS[to])
        });
        network.configure(&sites[0], &configuration.sql()).await;
        for site in &sites[1..] {
            network.admit(&sites[0], site).await;
        }
        for site in &mut sites {
            network.run(site);
        }
        for site in &sites {
            know_each_other(site).await;
            captures(site, &configuration.tables_of(site.group())).await;
        }
        Self { sites, network }
    }

    /// Source and target of each link of the ring.
    pub fn ways(&self) -> [(&Site, &Site); 3] {
        ROUND.map(|(from, to)| (&self.sites[from], &self.sites[to]))
    }

    /// The registration server.
    pub fn server(&self) -> &Site {
        &self.sites[0]
    }

    /// Waits until nothing is on its way.
    ///
    /// # Panics
    /// When that takes too long.
    pub async fn quiet(&self) {
        quiet(&self.sites.each_ref()).await;
    }
}

/// Waits until each `sym_trigger` of the site has its history, and its table the triggers: on MariaDB a history is
/// older than its triggers.
async fn captures(site: &Site, tables: &[&str]) {
    installed(site, tables).await;
    let database = &site.database;
    let group = database.kind().literal(site.group());
    let own = format!("sym_trigger t where (source_node_group_id = {group} or source_node_group_id is null)");
    let without_history = format!(
        "select count(*) from {own} and not exists \
         (select 1 from sym_trigger_hist h where h.trigger_id = t.trigger_id and h.inactive_time is null)"
    );
    let without_trigger = format!(
        "select {EVENTS} * (select count(distinct source_table_name) from {own}) - \
         (select count(*) from information_schema.triggers where action_statement like '%sym_data%')"
    );
    eventually(
        PATIENCE,
        format!("all triggers of {}", site.engine.name),
        || async {
            if database.number(&without_history).await > 0 {
                return Err("a history is missing");
            }
            if database.kind() == Mysql && database.number(&without_trigger).await > 0 {
                return Err("a trigger is missing");
            }
            Ok(())
        },
    )
    .await;
}

/// Waits until the site's own copy of the configuration has all three nodes as registered: from then on it sends
/// to each of them.
async fn know_each_other(site: &Site) {
    eventually(
        PATIENCE,
        format!("{} to know all nodes", site.engine.name),
        || async {
            let sql = "select count(*) from sym_node_security where registration_time is not null";
            let rows = site.database.try_rows(sql).await.map_err(|err| err.to_string())?;
            if rows == [["3"]] {
                Ok(())
            } else {
                Err(format!("it knows {rows:?}"))
            }
        },
    )
    .await;
}
