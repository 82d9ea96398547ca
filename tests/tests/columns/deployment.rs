//! A hub and two sites, shared by many claims.

use super::given::Wanted;
use std::fmt::Debug;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use symstream_shared::db::DatabaseKind::{self, Mysql, Postgres, Sqlite};
use symstream_tests::database::TestDatabase;
use symstream_tests::engine::EngineFile;
use symstream_tests::eventually::eventually;
use symstream_tests::network::{Network, PATIENCE, Site};
use symstream_tests::pair::loaded;
use symstream_tests::process::Process;

/// The sites' group.
pub const SITE: &str = "site";
/// The sites' node ids, which are not their external ids `near` and `far`.
pub const NEAR: &str = "n-near";
/// The same of the other.
pub const FAR: &str = "n-far";

/// No rows.
pub const NOTHING: [[&str; 1]; 0] = [];
/// The parameter `schema.version` in all engine files.
pub const FILE_VERSION: &str = "of the file";

/// Groups, linked in every direction that claims use. The nodes of `depot` and `island` are registered and never run:
/// what is for them can be seen at the hub.
const GROUPS: &str = "
    delete from sym_node_group where node_group_id = 'hub';
    insert into sym_node_group (node_group_id, description) values ('hub', 'where claims write');
    insert into sym_node_group (node_group_id, description) values ('site', 'where claims look');
    insert into sym_node_group (node_group_id, description) values ('depot', 'of a node that never runs');
    insert into sym_node_group (node_group_id, description) values ('island', 'that no link leads to');
    insert into sym_node_group (node_group_id, description) values ('guest', 'of nodes that come later');
    insert into sym_node_group_link (source_node_group_id, target_node_group_id) values ('hub', 'guest');
    insert into sym_node_group_link (source_node_group_id, target_node_group_id) values ('hub', 'site');
    insert into sym_node_group_link (source_node_group_id, target_node_group_id) values ('site', 'hub');
    insert into sym_node_group_link (source_node_group_id, target_node_group_id) values ('hub', 'depot');
    insert into sym_node (node_id, node_group_id, external_id) values ('n-near', 'site', 'near');
    insert into sym_node (node_id, node_group_id, external_id) values ('n-far', 'site', 'far');
    insert into sym_node (node_id, node_group_id, external_id, sync_enabled) values ('n-depot', 'depot', 'depot', 1);
    insert into sym_node (node_id, node_group_id, external_id, sync_enabled) values ('n-island', 'island', 'island', 1);
    insert into sym_node_security (node_id, password, registration_time) values ('n-depot', 'x', current_timestamp);
    insert into sym_node_security (node_id, password, registration_time) values ('n-island', 'x', current_timestamp);
    insert into sym_channel (channel_id) values ('main');
";

/// A running hub, which is the registration server, and two running sites that were loaded from it.
#[derive(Debug)]
pub struct Deployment {
    /// Servers and engines.
    pub network: Network,
    /// Where changes are made; of the dialect that the claims are about.
    pub hub: Site,
    /// A site of the next dialect.
    pub near: Site,
    /// A site on SQLite.
    pub far: Site,
    edits: AtomicU32,
}

impl Deployment {
    /// Starts all of it.
    ///
    /// # Panics
    /// When it does not come up.
    pub async fn start(wanted: &Wanted) -> Self {
        let kind = wanted.kind;
        let mut network = Network::start().await;
        let mut hub = network.server("hub", "hub", kind).await;
        let mut near = network.node(&hub, SITE, "near", next(kind)).await;
        let mut far = network.node(&hub, SITE, "far", Sqlite).await;
        for site in [&mut hub, &mut near, &mut far] {
            site.engine = site.engine.clone().with("schema.version", FILE_VERSION);
            network.engines.write(&site.engine);
        }
        for database in [&hub.database, &near.database] {
            if database.kind() != Sqlite {
                database
                    .run(&format!("create schema {}", other_schema(database.kind())))
                    .await;
            }
        }
        for (site, statements) in [
            (&hub, &wanted.at_hub),
            (&near, &wanted.at_sites),
            (&near, &wanted.at_near),
            (&far, &wanted.at_sites),
        ] {
            for statement in statements {
                site.database.run(statement).await;
            }
        }
        let rows = wanted.configuration.join(";\n");
        network.configure(&hub, &format!("{GROUPS}{rows}")).await;
        for (site, node) in [(&near, NEAR), (&far, FAR)] {
            network.admit(&hub, site).await;
            network.symadmin(&hub, &["reload-node", node]).await.ok();
        }
        for site in [&mut hub, &mut near, &mut far] {
            network.run(site);
        }
        for node in [NEAR, FAR] {
            loaded(&hub, node).await;
        }
        Self {
            network,
            hub,
            near,
            far,
            edits: AtomicU32::new(0),
        }
    }

    /// Another node on SQLite that registers at the hub; nothing runs for it.
    pub fn guest(&self, group: &str, external_id: &str) -> Site {
        let database = TestDatabase::sqlite(&self.network.folder, external_id);
        let nats = self.network.nats.url();
        let engine =
            EngineFile::new(group, external_id, database.url(), &nats).registers_at(&self.hub.engine);
        self.network.engines.write(&engine);
        Site {
            engine,
            database,
            processes: Vec::new(),
        }
    }

    /// Changes the configuration at the hub, and waits until that is in force at all three nodes; says how long it took.
    ///
    /// # Panics
    /// When the database refuses, or it takes too long.
    pub async fn edit(&self, sql: &str) -> Duration {
        let mark = format!("edit {}", self.edits.fetch_add(1, Ordering::Relaxed));
        let start = Instant::now();
        // A row that nothing depends on tells which version has the edit.
        let mark_row = format!("insert into sym_node_group (node_group_id) values ('{mark}')");
        self.hub
            .database
            .transaction(&format!("{sql};\n{mark_row}"))
            .await;
        let known = format!("select node_group_id from sym_node_group where node_group_id = '{mark}'");
        for site in [&self.near, &self.far] {
            becomes(&site.database, &known, [[mark.as_str()]]).await;
        }
        let version = "select cast(state_value as integer) from sym_state where state_key = 'config_version'";
        let version = self.far.database.number(version).await;
        for site in [&self.hub, &self.near, &self.far] {
            eventually(PATIENCE, format!("version {version} in force"), || async {
                let log = site.log();
                let in_force = log
                    .lines()
                    .filter_map(|line| line.split("configuration in force version=").nth(1));
                let newest = in_force.filter_map(|version| version.trim().parse().ok()).max();
                if newest >= Some(version) {
                    Ok(())
                } else {
                    Err(format!("{newest:?} at {}", site.id()))
                }
            })
            .await;
        }
        start.elapsed()
    }

    /// Runs statements at the hub, each in a transaction of its own.
    ///
    /// # Panics
    /// When the database refuses.
    pub async fn write(&self, sql: &str) {
        self.hub.database.run(sql).await;
    }
}

/// A node that comes and goes while the others run.
#[derive(Debug)]
pub struct Guest {
    /// Its engine and its database.
    pub site: Site,
    /// What runs for it.
    pub process: Process,
}

impl Guest {
    /// Registers it and starts it, with `ddl` in its database.
    ///
    /// # Panics
    /// When it does not come up.
    pub async fn start(at: &Deployment, site: Site, ddl: &str) -> Self {
        site.database.run(ddl).await;
        at.network.admit(&at.hub, &site).await;
        let process = at.network.engines.sym(&site.engine);
        let guest = Self { site, process };
        let registered = "select count(*) from sym_node_identity";
        becomes(&guest.site.database, registered, [["1"]]).await;
        guest
    }

    /// Starts it again.
    pub fn start_again(&mut self, at: &Deployment) {
        self.process = at.network.engines.sym(&self.site.engine);
    }
}

/// The near site's dialect: each dialect is the source once and the target once.
pub fn next(kind: DatabaseKind) -> DatabaseKind {
    match kind {
        Postgres => Mysql,
        Mysql => Sqlite,
        Sqlite => Postgres,
    }
}

/// A schema that is not the default one: a schema, a database, or the only one that there is.
pub fn other_schema(kind: DatabaseKind) -> &'static str {
    match kind {
        Postgres | Mysql => "other_place",
        Sqlite => "main",
    }
}

/// Waits until a query gives these rows.
///
/// # Panics
/// With the rows that it gave last, when it takes too long.
pub async fn becomes<R>(database: &TestDatabase, sql: &str, expected: R)
where
    R: Debug,
    Vec<Vec<String>>: PartialEq<R>,
{
    eventually(PATIENCE, format!("{expected:?} by {sql}"), || async {
        let rows = database.try_rows(sql).await.map_err(|err| err.to_string())?;
        if rows == expected {
            Ok(())
        } else {
            Err(format!("{rows:?} in {}", database.kind()))
        }
    })
    .await;
}
