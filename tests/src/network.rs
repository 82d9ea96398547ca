//! A whole deployment: nats-server, database servers, nodes.

use crate::database::TestDatabase;
use crate::engine::{EngineFile, Engines, Finished};
use crate::eventually::{eventually, within};
use crate::folder::Folder;
use crate::process::{Process, Signal};
use crate::server::{MariaDb, NatsServer, PostgresServer};
use std::time::Duration;
use symstream_shared::db::DatabaseKind;

/// How long changes may take, on a machine that runs much else: far more than they should.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The services of a node when each runs in a process of its own.
pub const SERVICES: [&str; 2] = ["sym-capture", "sym-loader"];

/// One node: its engine, its database, its processes.
#[derive(Debug)]
pub struct Site {
    /// The engine file's content.
    pub engine: EngineFile,
    /// Its database.
    pub database: TestDatabase,
    /// What runs for it now.
    pub processes: Vec<Process>,
}

impl Site {
    /// The node's id, which is its external id.
    pub fn id(&self) -> &str {
        self.engine.get("external.id")
    }

    /// The node's group.
    pub fn group(&self) -> &str {
        self.engine.get("group.id")
    }

    /// Stops its processes in the orderly way.
    ///
    /// # Panics
    /// When one does not end with 0.
    pub async fn stop(&mut self) {
        for mut process in self.processes.drain(..) {
            let status = process.stop(Signal::Term, PATIENCE).await;
            assert!(
                status.success(),
                "{} ended with {status}\n{}",
                process.name(),
                process.log()
            );
        }
    }

    /// Everything that its processes have logged.
    pub fn log(&self) -> String {
        self.processes.iter().map(Process::log).collect()
    }

    /// The warnings and errors in the logs, less those that have one of the `expected` texts.
    pub fn complaints(&self, expected: &[&str]) -> Vec<String> {
        let log = self.log();
        let serious = |line: &&str| line.contains(" WARN ") || line.contains(" ERROR ");
        let known = |line: &str| expected.iter().any(|text| line.contains(text));
        log.lines()
            .filter(serious)
            .filter(|line| !known(line))
            .map(str::to_owned)
            .collect()
    }

    /// What keeps the node from being quiet: changes without a report, batches that are not `OK`.
    ///
    /// # Errors
    /// The first such thing, or what the database says.
    pub async fn check_quiet(&self) -> Result<(), String> {
        let open = [
            (
                "changes that no batch was reported for",
                "select count(*) from sym_data d where not exists \
              (select 1 from sym_data_event e where e.data_id = d.data_id)",
            ),
            (
                "captured batches that the router has not reported",
                "select count(*) from sym_capture_batch where routed = 0",
            ),
            (
                "outgoing batches that are not OK",
                "select count(*) from sym_outgoing_batch where status <> 'OK'",
            ),
            (
                "incoming batches that are not OK",
                "select count(*) from sym_incoming_batch where status <> 'OK'",
            ),
            ("messages in the spool", "select count(*) from sym_incoming_spool"),
            (
                "initial loads",
                "select count(*) from sym_node_security where initial_load_enabled = 1",
            ),
        ];
        for (what, sql) in open {
            let rows = self.database.try_rows(sql).await.map_err(|err| err.to_string())?;
            if rows != [["0"]] {
                return Err(format!("{}: {} {what}", self.engine.name, rows[0][0]));
            }
        }
        Ok(())
    }
}

/// The servers and engine files that several sites share.
#[derive(Debug)]
pub struct Network {
    /// The broker.
    pub nats: NatsServer,
    /// The PostgreSQL server, once a site needed it.
    pub postgres: Option<PostgresServer>,
    /// The MariaDB server, once a site needed it.
    pub mariadb: Option<MariaDb>,
    /// The engines.
    pub engines: Engines,
    /// SQLite files, engine files, logs.
    pub folder: Folder,
}

impl Network {
    /// A nats-server and an empty folder.
    ///
    /// # Panics
    /// When the server does not start.
    pub async fn start() -> Self {
        Self::on(NatsServer::start().await)
    }

    /// This nats-server and an empty folder.
    pub fn on(nats: NatsServer) -> Self {
        let folder = Folder::new();
        let engines = Engines::new(&folder);
        Self {
            nats,
            postgres: None,
            mariadb: None,
            engines,
            folder,
        }
    }

    /// A new database of this kind; its server is started when it is the first.
    ///
    /// # Panics
    /// When the server refuses.
    pub async fn database(&mut self, kind: DatabaseKind, name: &str) -> TestDatabase {
        match kind {
            DatabaseKind::Postgres => {
                if self.postgres.is_none() {
                    self.postgres = Some(PostgresServer::start().await);
                }
                self.postgres
                    .as_ref()
                    .expect("started above")
                    .create_database(name)
                    .await
            }
            DatabaseKind::Mysql => {
                if self.mariadb.is_none() {
                    self.mariadb = Some(MariaDb::start().await);
                }
                self.mariadb
                    .as_ref()
                    .expect("started above")
                    .create_database(name)
                    .await
            }
            DatabaseKind::Sqlite => TestDatabase::sqlite(&self.folder, name),
        }
    }

    /// A site that is its own registration server, without any process.
    ///
    /// # Panics
    /// When its database can not be made.
    pub async fn server(&mut self, group: &str, external_id: &str, kind: DatabaseKind) -> Site {
        let database = self.database(kind, &database_name(group, external_id)).await;
        let mut engine = EngineFile::new(group, external_id, database.url(), &self.nats.url());
        if let Some((user, password)) = self.nats.login() {
            engine = engine.with("nats.user", user).with("nats.password", password);
        }
        self.engines.write(&engine);
        Site {
            engine,
            database,
            processes: Vec::new(),
        }
    }

    /// A site that registers at `server`, without any process.
    ///
    /// # Panics
    /// When its database can not be made.
    pub async fn node(&mut self, server: &Site, group: &str, external_id: &str, kind: DatabaseKind) -> Site {
        let mut site = self.server(group, external_id, kind).await;
        site.engine = site.engine.registers_at(&server.engine);
        self.engines.write(&site.engine);
        site
    }

    /// Runs `symadmin --engine <site> …`.
    ///
    /// # Panics
    /// When it can not be started.
    pub async fn symadmin(&self, site: &Site, args: &[&str]) -> Finished {
        let mut all = vec!["--engine", site.engine.name.as_str()];
        all.extend(args);
        self.engines.command("symadmin", &all).await
    }

    /// Makes the `sym_` tables of a registration server and writes its configuration.
    ///
    /// # Panics
    /// When a command fails.
    pub async fn configure(&self, server: &Site, configuration: &str) {
        self.symadmin(server, &["create-sym-tables"]).await.ok();
        server.database.transaction(configuration).await;
    }

    /// Opens the registration of `site`.
    ///
    /// # Panics
    /// When the command fails.
    pub async fn admit(&self, server: &Site, site: &Site) {
        self.symadmin(server, &["open-registration", site.group(), site.id()])
            .await
            .ok();
    }

    /// Starts `sym` for a site.
    ///
    /// # Panics
    /// When it can not be started.
    pub fn run(&self, site: &mut Site) {
        site.processes.push(self.engines.sym(&site.engine));
    }

    /// Starts a site's agents as services of their own, and the router where the site is the registration server.
    ///
    /// # Panics
    /// When one can not be started.
    pub fn run_services(&self, site: &mut Site) {
        let router = site
            .engine
            .get("registration.url")
            .is_empty()
            .then_some("sym-router");
        for service in SERVICES.into_iter().chain(router) {
            site.processes.push(self.start_service(site, service));
        }
    }

    /// Starts one service of a site.
    ///
    /// # Panics
    /// When it can not be started.
    pub fn start_service(&self, site: &Site, service: &str) -> Process {
        let name = format!("{}.{service}", site.engine.name);
        self.engines
            .start(&name, service, &["--engine", &site.engine.name])
    }
}

/// Waits until a site has its identity, and a trigger on each of the tables that it captures.
///
/// # Panics
/// When that takes too long.
pub async fn installed(site: &Site, tables: &[&str]) {
    eventually(
        PATIENCE,
        format!("{} to be registered and to capture", site.engine.name),
        || async {
            let sql = "select source_table_name from sym_trigger_hist where inactive_time is null";
            let installed = site.database.try_rows(sql).await.map_err(|err| err.to_string())?;
            match tables
                .iter()
                .find(|table| !installed.iter().any(|row| row[0].eq_ignore_ascii_case(table)))
            {
                Some(table) => Err(format!("no trigger on {table}")),
                None => Ok(()),
            }
        },
    )
    .await;
}

/// Waits until nothing is on its way between `sites`: every captured change was reported, every batch is `OK` at
/// both ends.
///
/// # Panics
/// When that takes too long.
pub async fn quiet(sites: &[&Site]) {
    let result = within(PATIENCE, || async {
        for site in sites {
            site.check_quiet().await?;
        }
        Ok::<(), String>(())
    })
    .await;
    if let Err(missing) = result {
        panic!("not quiet after {PATIENCE:?}: {missing}");
    }
}

fn database_name(group: &str, external_id: &str) -> String {
    format!("{group}_{external_id}").replace('-', "_")
}
