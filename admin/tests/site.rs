//! A folder with an engine or more, and the commands that are run on it.

use secrecy::SecretString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use symstream_shared::db::{ConnectOptions, Database};
use tempfile::TempDir;

pub const CLOUD: &str = "cloud-1";

/// A folder that is removed with it. Its engine `cloud-1` is a registration server on `cloud.db`.
pub struct Site {
    folder: TempDir,
}

/// How a command ended.
#[derive(Debug)]
pub struct Ended {
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    pub fn ok(self) -> Self {
        assert_eq!(self.status, 0, "{self:?}");
        self
    }

    /// The one line of a command that failed.
    pub fn error(self, status: i32) -> String {
        assert_eq!(self.status, status, "{self:?}");
        let lines: Vec<&str> = self.stderr.lines().collect();
        let [line] = lines.as_slice() else {
            panic!("not one line: {self:?}")
        };
        assert!(line.starts_with("error: "), "{line}");
        (*line).to_owned()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).expect("JSON on stdout")
    }
}

impl Site {
    pub fn new() -> Self {
        let site = Self {
            folder: TempDir::new().expect("temporary folder"),
        };
        std::fs::create_dir(site.path("engines")).expect("engines folder");
        site.engine(CLOUD, "cloud", "1", "");
        site
    }

    pub fn engine(&self, name: &str, group: &str, external_id: &str, more: &str) {
        let text = format!(
            "engine.name = \"{name}\"\ngroup.id = \"{group}\"\nexternal.id = \"{external_id}\"\n\
             db.url = \"sqlite://{group}.db\"\n{more}\n"
        );
        self.write(&format!("engines/{name}.toml"), &text);
    }

    /// The same with the registration server's database at `url`.
    pub fn on(url: &str) -> Self {
        let site = Self::new();
        site.server_file(url, "");
        site
    }

    /// Writes the registration server's engine file, with more lines.
    pub fn server_file(&self, url: &str, more: &str) {
        let text = format!("group.id = \"cloud\"\nexternal.id = \"1\"\ndb.url = \"{url}\"\n{more}\n");
        self.write(&format!("engines/{CLOUD}.toml"), &text);
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("write a file");
    }

    /// Copies a folder of the repository here.
    pub fn copy(&self, from: &Path) {
        for entry in std::fs::read_dir(from).expect("folder") {
            let entry = entry.expect("entry");
            let to = self.path(entry.file_name().to_str().expect("name"));
            if entry.path().is_file() {
                std::fs::copy(entry.path(), to).expect("copy");
            }
        }
    }

    pub fn symadmin(&self, args: &[&str]) -> Ended {
        self.run(env!("CARGO_BIN_EXE_symadmin"), args, b"")
    }

    /// Starts a command that does not end by itself.
    pub fn spawn(&self, args: &[&str]) -> std::process::Child {
        Command::new(env!("CARGO_BIN_EXE_symadmin"))
            .args(args)
            .current_dir(self.folder.path())
            .env_remove("SYM_ENGINES_DIR")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("started")
    }

    pub fn dbimport(&self, args: &[&str]) -> Ended {
        self.run(env!("CARGO_BIN_EXE_dbimport"), args, b"")
    }

    pub fn dbexport(&self, args: &[&str]) -> Ended {
        self.run(env!("CARGO_BIN_EXE_dbexport"), args, b"")
    }

    pub fn sym(&self, args: &[&str]) -> Ended {
        self.run(env!("CARGO_BIN_EXE_sym"), args, b"")
    }

    pub fn run(&self, program: &str, args: &[&str], stdin: &[u8]) -> Ended {
        self.run_in(program, args, stdin, &[])
    }

    /// The same with variables in the environment.
    pub fn run_in(&self, program: &str, args: &[&str], stdin: &[u8], environment: &[(&str, &str)]) -> Ended {
        use std::io::Write;
        let mut child = Command::new(program)
            .args(args)
            .envs(environment.iter().copied())
            .current_dir(self.folder.path())
            .env_remove("SYM_ENGINES_DIR")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("start");
        child
            .stdin
            .take()
            .expect("stdin")
            .write_all(stdin)
            .expect("write stdin");
        let output = child.wait_with_output().expect("end");
        Ended {
            status: output.status.code().expect("exit status"),
            stdout: String::from_utf8(output.stdout).expect("UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }

    /// The rows of a query on a database file, their values as text.
    pub fn query(&self, file: &str, sql: &str) -> Vec<Vec<String>> {
        let url = format!("sqlite://{}", self.path(file).display());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("runtime");
        runtime.block_on(async {
            let url = SecretString::from(url);
            let options = ConnectOptions {
                url,
                user: None,
                password: None,
                init_sql: None,
            };
            let rows = Database::new(&options)
                .expect("database")
                .query(sql, &[])
                .await
                .expect("query");
            let text = |cell: &symstream_shared::cell::Cell| cell.to_text().unwrap_or_else(|| "null".into());
            rows.iter().map(|row| row.0.iter().map(text).collect()).collect()
        })
    }
}
