//! nats-server.

use super::PATIENCE;
use crate::eventually::eventually;
use crate::folder::Folder;
use crate::port::Port;
use crate::process::{Process, RunAs, Signal, guarded};
use std::path::PathBuf;
use std::process::Command;

/// The oldest release with what the transport needs.
const OLDEST: (u32, u32) = (2, 14);

/// A nats-server with JetStream, whose port and store survive restarts.
#[derive(Debug)]
pub struct NatsServer {
    process: Option<Process>,
    program: PathBuf,
    port: Port,
    folder: Folder,
    /// Whether it asks for a login.
    asks: bool,
}

/// Who may log in where a server asks.
const LOGIN: (&str, &str) = ("symstream", "of-a-test");

impl NatsServer {
    /// Starts one.
    ///
    /// # Panics
    /// When there is no nats-server that is new enough, or it does not start.
    pub async fn start() -> Self {
        Self::start_one(false).await
    }

    /// The same, asking for a [`login`](Self::login).
    ///
    /// # Panics
    /// As [`start`](Self::start).
    pub async fn start_with_login() -> Self {
        Self::start_one(true).await
    }

    async fn start_one(asks: bool) -> Self {
        let mut server = Self {
            process: None,
            program: program(),
            port: Port::reserve(),
            folder: Folder::new(),
            asks,
        };
        server.start_again().await;
        server
    }

    /// Its address, as an engine file has it.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port.number())
    }

    /// User and password, where it asks for them.
    pub fn login(&self) -> Option<(&'static str, &'static str)> {
        self.asks.then_some(LOGIN)
    }

    /// Starts it after [`stop`](Self::stop) or [`kill`](Self::kill), on the same port and store.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start_again(&mut self) {
        let mut command = guarded(&self.program, RunAs::Me);
        command.args([
            "-a",
            "127.0.0.1",
            "-p",
            &self.port.number().to_string(),
            "-js",
            "-sd",
        ]);
        command.arg(self.folder.join("store"));
        if let Some((user, password)) = self.login() {
            command.args(["--user", user, "--pass", password]);
        }
        let process = Process::spawn("nats-server", command, self.folder.join("nats.log"));
        self.process = Some(process.expect("start nats-server"));
        let url = self.url();
        eventually(PATIENCE, "nats-server", || async {
            let options = match self.login() {
                Some((user, password)) => {
                    async_nats::ConnectOptions::with_user_and_password(user.to_owned(), password.to_owned())
                }
                None => async_nats::ConnectOptions::new(),
            };
            let client = options.connect(&url).await.map_err(|err| err.to_string())?;
            let jetstream = async_nats::jetstream::new(client);
            jetstream
                .query_account()
                .await
                .map(drop)
                .map_err(|err| err.to_string())
        })
        .await;
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

    /// Its process id.
    ///
    /// # Panics
    /// When it does not run.
    pub fn id(&self) -> u32 {
        self.process.as_ref().expect("nats-server runs").id()
    }

    /// Freezes or thaws it.
    ///
    /// # Panics
    /// When it does not run.
    pub fn signal(&self, signal: Signal) {
        self.process.as_ref().expect("nats-server runs").signal(signal);
    }
}

/// `SYM_TEST_NATS_SERVER` (set by the Makefile), else the one in PATH, else the one that
/// `deploy/scripts/install-nats-server.sh` installed.
fn program() -> PathBuf {
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let candidates = [
        std::env::var_os("SYM_TEST_NATS_SERVER").map(PathBuf::from),
        Some(PathBuf::from("nats-server")),
        Some(home.join(".cache/symstream/nats/bin/nats-server")),
    ];
    candidates.into_iter().flatten().find(is_new_enough).expect(
        "no nats-server of 2.14 or newer: run deploy/scripts/install-nats-server.sh (make test does it)",
    )
}

fn is_new_enough(program: &PathBuf) -> bool {
    let Ok(output) = Command::new(program).arg("--version").output() else {
        return false;
    };
    let text = String::from_utf8_lossy(&output.stdout);
    let Some((_, version)) = text.trim().rsplit_once(": v") else {
        return false;
    };
    let mut numbers = version.split('.').map(|part| part.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= OLDEST
}
