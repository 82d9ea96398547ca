//! Child processes that never outlive their test.

use crate::eventually::within;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// Lines of a log that a failed test prints.
const TAIL_LINES: usize = 40;

/// A signal that tests send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Asks to stop.
    Term,
    /// The same, from a keyboard; PostgreSQL's fast shutdown.
    Int,
    /// Freezes.
    Stop,
    /// Ends the freeze.
    Cont,
}

impl Signal {
    fn name(self) -> &'static str {
        match self {
            Self::Term => "TERM",
            Self::Int => "INT",
            Self::Stop => "STOP",
            Self::Cont => "CONT",
        }
    }
}

/// A running program whose output goes to a file.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    ended: Option<ExitStatus>,
}

/// Who a program runs as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunAs {
    /// The user who runs the tests.
    Me,
    /// The system's user `postgres`: its servers refuse root.
    Postgres,
}

/// A command that the kernel ends with this process, whatever ends it.
pub fn guarded(program: impl AsRef<Path>, run_as: RunAs) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]);
    if run_as == RunAs::Postgres {
        command.args(["--reuid", "postgres", "--regid", "postgres", "--init-groups"]);
    }
    command.arg("--").arg(program.as_ref());
    command
}

impl Process {
    /// Starts `command` with stdout and stderr appended to `log`.
    ///
    /// # Errors
    /// When the program or the log can not be opened.
    pub fn spawn(name: impl Into<String>, mut command: Command, log: impl Into<PathBuf>) -> io::Result<Self> {
        let log = log.into();
        let out: File = OpenOptions::new().create(true).append(true).open(&log)?;
        let child = command
            .stdin(Stdio::null())
            .stderr(out.try_clone()?)
            .stdout(out)
            .spawn()?;
        Ok(Self {
            name: name.into(),
            child,
            log,
            ended: None,
        })
    }

    /// What it is called in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    ///
    /// # Panics
    /// When the process is gone.
    pub fn signal(&self, signal: Signal) {
        let sent = Command::new("sh")
            .args([
                "-c",
                "kill -s \"$0\" \"$1\"",
                signal.name(),
                &self.child.id().to_string(),
            ])
            .status()
            .expect("run kill");
        assert!(sent.success(), "{} is gone: no SIG{}", self.name, signal.name());
    }

    /// `kill -9`, and waits until it is gone.
    pub fn kill(&mut self) {
        if self.ended.is_none() && self.child.kill().is_ok() {
            self.ended = self.child.wait().ok();
        }
    }

    /// How it ended; `None` while it runs.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().ok().flatten();
        }
        self.ended
    }

    /// Waits until it ends by itself.
    ///
    /// # Panics
    /// When it still runs after `timeout`.
    pub async fn wait(&mut self, timeout: Duration) -> ExitStatus {
        let ended = within(timeout, || {
            let ended = self.ended();
            async move { ended.ok_or(()) }
        })
        .await;
        ended.unwrap_or_else(|()| panic!("{} still runs after {timeout:?}", self.name))
    }

    /// Asks it to stop with `signal` and waits.
    ///
    /// # Panics
    /// When it still runs after `timeout`.
    pub async fn stop(&mut self, signal: Signal, timeout: Duration) -> ExitStatus {
        if let Some(ended) = self.ended() {
            return ended;
        }
        self.signal(signal);
        self.wait(timeout).await
    }

    /// All that it has printed so far.
    pub fn log(&self) -> String {
        std::fs::read(&self.log)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let tail = &lines[lines.len().saturating_sub(TAIL_LINES)..];
            eprintln!("--- the last lines of {}\n{}", self.name, tail.join("\n"));
        }
    }
}
