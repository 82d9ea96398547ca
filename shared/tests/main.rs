//! Claims of this crate that need a database; SQLite's needs no server.

mod clinic;
mod ddl;
mod registration;
mod schema;

use std::path::{Path, PathBuf};
use symstream_shared::db::{ConnectOptions, Database};
use tempfile::TempDir;

/// A new database in a folder.
fn database(dir: &TempDir) -> Database {
    let url = format!("sqlite://{}/node.db", dir.path().display());
    let options = ConnectOptions {
        url: url.into(),
        user: None,
        password: None,
        init_sql: None,
    };
    Database::new(&options).expect("address")
}

/// A file of the repository.
fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}
