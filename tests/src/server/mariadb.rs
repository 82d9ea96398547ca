//! MariaDB.

use super::template::{copy, run};
use super::{PATIENCE, is_root};
use crate::database::TestDatabase;
use crate::eventually::eventually;
use crate::folder::Folder;
use crate::port::Port;
use crate::process::{Process, RunAs, Signal, guarded};
use std::path::PathBuf;
use std::process::Command;

const LOG_FILE_SIZE: &str = "--innodb-log-file-size=32M";
/// Tests log in as this user, which may do everything. An init file has one statement on each line.
const USERS: &str = "create or replace user sym@'%' identified by 'secret';\n\
                     grant all privileges on *.* to sym@'%' with grant option;\n";

/// A MariaDB server, whose port and data survive restarts.
#[derive(Debug)]
pub struct MariaDb {
    process: Option<Process>,
    port: Port,
    folder: Folder,
}

impl MariaDb {
    /// Starts one.
    ///
    /// # Panics
    /// When MariaDB is not installed or does not start.
    pub async fn start() -> Self {
        let folder = Folder::new();
        copy(
            &format!("mariadb-{}", version()),
            &folder.join("data"),
            |building| {
                let mut install = Command::new("mariadb-install-db");
                install.args([
                    "--no-defaults",
                    "--auth-root-authentication-method=normal",
                    "--skip-test-db",
                ]);
                install
                    .arg(LOG_FILE_SIZE)
                    .arg(format!("--datadir={}", building.join("data").display()));
                if is_root() {
                    install.arg("--user=root");
                }
                run(&mut install);
            },
        );
        std::fs::write(folder.join("users.sql"), USERS).expect("write the users");
        let mut server = Self {
            process: None,
            port: Port::reserve(),
            folder,
        };
        server.start_again().await;
        server
    }

    /// The URL of one of its databases.
    pub fn url(&self, database: &str) -> String {
        format!("mysql://sym:secret@127.0.0.1:{}/{database}", self.port.number())
    }

    /// Makes a database.
    ///
    /// # Panics
    /// When the server refuses.
    pub async fn create_database(&self, name: &str) -> TestDatabase {
        let server = TestDatabase::open(self.url("mysql"));
        server
            .run(&format!(
                "create database {name} character set utf8mb4 collate utf8mb4_bin"
            ))
            .await;
        server.close().await;
        TestDatabase::open(self.url(name))
    }

    /// Starts it after [`stop`](Self::stop) or [`kill`](Self::kill), on the same port and data.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start_again(&mut self) {
        let mut command = guarded(program(), RunAs::Me);
        command.args([
            "--no-defaults",
            "--bind-address=127.0.0.1",
            "--skip-name-resolve",
            LOG_FILE_SIZE,
        ]);
        command.args([
            "--innodb-buffer-pool-size=128M",
            "--max-allowed-packet=64M",
            "--max-connections=300",
        ]);
        command.arg(format!("--port={}", self.port.number()));
        for (option, file) in [
            ("datadir", "data"),
            ("socket", "socket"),
            ("pid-file", "pid"),
            ("init-file", "users.sql"),
            // A server that starts removes the temporary tables of any other one in the same folder.
            ("tmpdir", "."),
        ] {
            command.arg(format!("--{option}={}", self.folder.join(file).display()));
        }
        if is_root() {
            command.arg("--user=root");
        }
        let process = Process::spawn("mariadbd", command, self.folder.join("mariadb.log"));
        self.process = Some(process.expect("start mariadbd"));
        let database = TestDatabase::open(self.url("mysql"));
        eventually(PATIENCE, "mariadbd", || database.try_run("select 1")).await;
        database.close().await;
    }

    /// Stops it in the orderly way.
    ///
    /// # Panics
    /// When it does not stop.
    pub async fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.stop(Signal::Term, PATIENCE).await;
        }
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.process = None;
    }
}

/// Debian has it in a folder that is not in every user's PATH.
fn program() -> PathBuf {
    [
        "/usr/sbin/mariadbd",
        "/usr/bin/mariadbd",
        "/usr/local/bin/mariadbd",
    ]
    .into_iter()
    .map(PathBuf::from)
    .find(|path| path.is_file())
    .expect("no MariaDB server: run deploy/scripts/install-databases.sh (make test does it)")
}

fn version() -> String {
    let output = Command::new(program())
        .args(["--no-defaults", "--version"])
        .output()
        .expect("run mariadbd");
    let text = String::from_utf8_lossy(&output.stdout);
    text.split_whitespace()
        .find(|word| word.contains("MariaDB"))
        .unwrap_or("unknown")
        .to_owned()
}
