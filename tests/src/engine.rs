//! Engine files, and the programs that run on them.

use crate::binaries::binary;
use crate::folder::Folder;
use crate::process::{Process, RunAs, guarded};
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output, Stdio};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// How long a command may run that should end by itself.
const COMMAND_MAX: Duration = Duration::from_secs(60);

/// One engine file's settings. The name is also the file's.
#[derive(Debug, Clone)]
pub struct EngineFile {
    /// `engine.name`.
    pub name: String,
    /// All other settings, in the order of the file.
    pub settings: Vec<(String, String)>,
}

impl EngineFile {
    /// An engine of `group` with `external_id`, named `<group>-<external_id>` as in the clinic.
    pub fn new(group: &str, external_id: &str, db_url: &str, nats_url: &str) -> Self {
        let name = format!("{group}-{external_id}");
        let settings = [
            ("group.id", group),
            ("external.id", external_id),
            ("db.url", db_url),
            ("nats.url", nats_url),
        ];
        let settings = settings
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .to_vec();
        Self { name, settings }
    }

    /// The same, registering at `server`.
    #[must_use]
    pub fn registers_at(self, server: &EngineFile) -> Self {
        let nats_url = self.get("nats.url").to_owned();
        let url = format!("{nats_url}/{}", server.name);
        self.with("registration.url", &url)
    }

    /// The same with one more setting, or with another value of one.
    #[must_use]
    pub fn with(mut self, key: &str, value: &str) -> Self {
        self.settings.retain(|(known, _)| known != key);
        self.settings.push((key.to_owned(), value.to_owned()));
        self
    }

    /// A setting; empty where the file does not have it.
    pub fn get(&self, key: &str) -> &str {
        self.settings
            .iter()
            .find(|(known, _)| known == key)
            .map_or("", |(_, value)| value)
    }

    fn text(&self) -> String {
        // A JSON string is a TOML string, as far as these values go.
        let line = |(key, value): &(String, String)| {
            format!("{key} = {}\n", serde_json::Value::from(value.as_str()))
        };
        self.settings.iter().map(line).collect()
    }
}

/// What a command printed, and how it ended.
#[derive(Debug)]
pub struct Finished {
    /// The exit status.
    pub status: ExitStatus,
    /// Its data.
    pub stdout: String,
    /// Its logs and errors.
    pub stderr: String,
}

impl Finished {
    /// The data of a command that has to succeed.
    ///
    /// # Panics
    /// When it failed.
    pub fn ok(self) -> String {
        assert!(
            self.status.success(),
            "{}\n{}{}",
            self.status,
            self.stdout,
            self.stderr
        );
        self.stdout
    }

    /// The one line of a command that has to fail with `code`.
    ///
    /// # Panics
    /// When it succeeded, failed otherwise, or said more or less than one line.
    pub fn one_error(self, code: i32) -> String {
        assert_eq!(self.status.code(), Some(code), "{}{}", self.stdout, self.stderr);
        let mut lines = self.stderr.lines();
        let line = lines.next().unwrap_or_default().to_owned();
        assert!(
            !line.is_empty() && lines.next().is_none(),
            "not one line: {:?}",
            self.stderr
        );
        line
    }
}

/// A folder of engine files, and a folder of logs beside it.
#[derive(Debug)]
pub struct Engines {
    folder: PathBuf,
    logs: PathBuf,
}

impl Engines {
    /// A folder of engines in `folder`.
    pub fn new(folder: &Folder) -> Self {
        Self {
            folder: folder.subfolder("engines"),
            logs: folder.subfolder("logs"),
        }
    }

    /// The folder of engine files.
    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// Writes an engine file.
    ///
    /// # Panics
    /// When it can not be written.
    pub fn write(&self, engine: &EngineFile) {
        std::fs::write(self.file(&engine.name), engine.text()).expect("write an engine file");
    }

    /// The path of an engine's file.
    pub fn file(&self, engine: &str) -> PathBuf {
        self.folder.join(format!("{engine}.toml"))
    }

    /// Runs a command to its end.
    ///
    /// # Panics
    /// When it can not be started or takes more than a minute.
    pub async fn command(&self, program: &str, args: &[&str]) -> Finished {
        self.command_in(&self.folder, program, args).await
    }

    /// The same in a folder of its own, for commands that name files.
    ///
    /// # Panics
    /// When it can not be started or takes more than a minute.
    pub async fn command_in(&self, folder: &Path, program: &str, args: &[&str]) -> Finished {
        let mut command = Command::from(guarded(binary(program), RunAs::Me));
        command
            .args(args)
            .env("SYM_ENGINES_DIR", &self.folder)
            .current_dir(folder)
            .kill_on_drop(true);
        finish(program, args, command.output()).await
    }

    /// Runs a command on `input`, to its end.
    ///
    /// # Panics
    /// When it can not be started or takes more than a minute.
    pub async fn filter(&self, program: &str, args: &[&str], input: &[u8]) -> Finished {
        let mut command = Command::from(guarded(binary(program), RunAs::Me));
        command
            .args(args)
            .env("SYM_ENGINES_DIR", &self.folder)
            .current_dir(&self.folder)
            .kill_on_drop(true);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .unwrap_or_else(|err| panic!("{program} {args:?}: {err}"));
        child
            .stdin
            .take()
            .expect("piped above")
            .write_all(input)
            .await
            .expect("write to a command");
        finish(program, args, child.wait_with_output()).await
    }

    /// Starts a service, which logs to `logs/<name>.log`.
    ///
    /// # Panics
    /// When it can not be started.
    pub fn start(&self, name: &str, program: &str, args: &[&str]) -> Process {
        let mut command = guarded(binary(program), RunAs::Me);
        command
            .args(args)
            .env("SYM_ENGINES_DIR", &self.folder)
            .current_dir(&self.folder);
        let log = self.logs.join(format!("{name}.log"));
        Process::spawn(name, command, log).unwrap_or_else(|err| panic!("{program} {args:?}: {err}"))
    }

    /// Starts `sym` for one engine.
    ///
    /// # Panics
    /// When it can not be started.
    pub fn sym(&self, engine: &EngineFile) -> Process {
        self.start(&engine.name, "sym", &["--engine", &engine.name])
    }
}

async fn finish(program: &str, args: &[&str], output: impl Future<Output = io::Result<Output>>) -> Finished {
    let output = tokio::time::timeout(COMMAND_MAX, output).await;
    let output = output.unwrap_or_else(|_| panic!("{program} {args:?} still runs after {COMMAND_MAX:?}"));
    let output = output.unwrap_or_else(|err| panic!("{program} {args:?}: {err}"));
    Finished {
        status: output.status,
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
