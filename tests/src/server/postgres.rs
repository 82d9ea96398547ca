//! PostgreSQL.

use super::template::{copy, run};
use super::{PATIENCE, is_root};
use crate::database::TestDatabase;
use crate::eventually::eventually;
use crate::folder::Folder;
use crate::port::Port;
use crate::process::{Process, RunAs, Signal, guarded};
use std::path::{Path, PathBuf};

/// Settings of a server that tests and the benchmark differ in.
#[derive(Debug, Clone, Default)]
pub struct PostgresOptions {
    /// Wait for the disk as in production; tests, which never cut the power, do not.
    pub durable: bool,
    /// `name=value` settings.
    pub settings: Vec<String>,
}

/// A PostgreSQL server, whose port and data survive restarts.
#[derive(Debug)]
pub struct PostgresServer {
    process: Option<Process>,
    options: PostgresOptions,
    port: Port,
    folder: Folder,
}

impl PostgresServer {
    /// Starts one.
    ///
    /// # Panics
    /// When PostgreSQL is not installed or does not start.
    pub async fn start() -> Self {
        Self::start_with(PostgresOptions::default()).await
    }

    /// Starts one with other settings.
    ///
    /// # Panics
    /// When PostgreSQL is not installed or does not start.
    pub async fn start_with(options: PostgresOptions) -> Self {
        let folder = Folder::new();
        let bin = bin_folder();
        let version = bin
            .ancestors()
            .nth(1)
            .and_then(Path::file_name)
            .map(|name| name.to_string_lossy().into_owned());
        let name = format!("postgresql-{}", version.unwrap_or_default());
        copy(&name, &folder.join("data"), |building| {
            let data = building.join("data");
            std::fs::create_dir(&data).expect("make the data folder");
            std::fs::write(building.join("password"), "secret").expect("write the password");
            if is_root() {
                run(std::process::Command::new("chown")
                    .args(["-R", "postgres:postgres"])
                    .arg(building));
            }
            let mut initdb = guarded(bin.join("initdb"), run_as());
            initdb.args([
                "-N",
                "-E",
                "UTF8",
                "--locale=C.UTF-8",
                "-U",
                "postgres",
                "--auth=scram-sha-256",
            ]);
            initdb
                .arg("-D")
                .arg(&data)
                .arg("--pwfile")
                .arg(building.join("password"))
                .current_dir(building);
            run(&mut initdb);
        });
        let mut server = Self {
            process: None,
            options,
            port: Port::reserve(),
            folder,
        };
        server.start_again().await;
        server
    }

    /// The URL of one of its databases.
    pub fn url(&self, database: &str) -> String {
        format!(
            "postgres://postgres:secret@127.0.0.1:{}/{database}",
            self.port.number()
        )
    }

    /// Makes a database.
    ///
    /// # Panics
    /// When the server refuses.
    pub async fn create_database(&self, name: &str) -> TestDatabase {
        let server = TestDatabase::open(self.url("postgres"));
        server.run(&format!("create database {name}")).await;
        server.close().await;
        TestDatabase::open(self.url(name))
    }

    /// Starts it after [`stop`](Self::stop) or [`kill`](Self::kill), on the same port and data.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start_again(&mut self) {
        let durable = if self.options.durable { "on" } else { "off" };
        let mut command = guarded(bin_folder().join("postgres"), run_as());
        command.arg("-D").arg(self.folder.join("data"));
        let fixed = [
            "listen_addresses=127.0.0.1".to_owned(),
            format!("port={}", self.port.number()),
            "unix_socket_directories=".to_owned(),
            "max_connections=200".to_owned(),
            "log_line_prefix=%m [%p] ".to_owned(),
            // Commits wait for the kernel in either case: a server that is killed keeps what it committed.
            format!("fsync={durable}"),
            format!("full_page_writes={durable}"),
        ];
        for setting in fixed.iter().chain(&self.options.settings) {
            command.arg("-c").arg(setting);
        }
        command.current_dir(self.folder.path());
        let process = Process::spawn("postgres", command, self.folder.join("postgres.log"));
        self.process = Some(process.expect("start postgres"));
        let database = TestDatabase::open(self.url("postgres"));
        eventually(PATIENCE, "postgres", || database.try_run("select 1")).await;
        database.close().await;
    }

    /// Stops it in the orderly way; open transactions are rolled back.
    ///
    /// # Panics
    /// When it does not stop.
    pub async fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.stop(Signal::Int, PATIENCE).await;
        }
    }

    /// `kill -9` of the whole server.
    ///
    /// # Panics
    /// When its processes stay.
    pub async fn kill(&mut self) {
        self.process = None;
        // The backends notice that the server is gone and end by themselves; until then it can not start again.
        let data = self.folder.join("data");
        eventually(PATIENCE, "the end of all backends", || {
            let left = backends(&data);
            async move {
                if left == 0 {
                    Ok(())
                } else {
                    Err(format!("{left} backends"))
                }
            }
        })
        .await;
    }
}

/// Processes that work in a server's data folder.
fn backends(data: &Path) -> usize {
    let Ok(processes) = std::fs::read_dir("/proc") else {
        return 0;
    };
    let works_here = |process: &std::fs::DirEntry| {
        std::fs::read_link(process.path().join("cwd")).is_ok_and(|folder| folder == data)
    };
    processes.flatten().filter(works_here).count()
}

fn run_as() -> RunAs {
    if is_root() { RunAs::Postgres } else { RunAs::Me }
}

/// The newest installed release: Debian and Ubuntu keep each in a folder of its own, outside PATH.
fn bin_folder() -> PathBuf {
    let installed = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let newest = installed
        .filter_map(|entry| entry.file_name().to_string_lossy().parse::<u32>().ok())
        .filter(|version| PathBuf::from(format!("/usr/lib/postgresql/{version}/bin/initdb")).is_file())
        .max()
        .expect("no PostgreSQL server: run deploy/scripts/install-databases.sh (make test does it)");
    PathBuf::from(format!("/usr/lib/postgresql/{newest}/bin"))
}
