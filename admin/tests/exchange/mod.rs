//! `dbexport` and `dbimport` are each other's opposite, on each database and from one to another.

mod errors;
mod formats;
mod random;
mod shop;
mod sqlite_values;

use crate::site::{CLOUD, Ended, Site};
use symstream_shared::db::DatabaseKind;
use symstream_tests::database::TestDatabase;
use symstream_tests::folder::Folder;
use symstream_tests::server::{MariaDb, PostgresServer};

/// The servers, and databases made on them.
pub struct Servers {
    postgres: PostgresServer,
    mariadb: MariaDb,
    folder: Folder,
    count: std::cell::Cell<usize>,
}

/// A database with an engine on it.
pub struct Place {
    pub site: Site,
    pub database: TestDatabase,
}

pub const KINDS: [DatabaseKind; 3] = [DatabaseKind::Postgres, DatabaseKind::Mysql, DatabaseKind::Sqlite];

impl Servers {
    pub async fn start() -> Self {
        Self {
            postgres: PostgresServer::start().await,
            mariadb: MariaDb::start().await,
            folder: Folder::new(),
            count: std::cell::Cell::new(0),
        }
    }

    /// A new, empty database.
    pub async fn place(&self, kind: DatabaseKind) -> Place {
        self.count.set(self.count.get() + 1);
        let name = format!("place{}", self.count.get());
        let database = match kind {
            DatabaseKind::Postgres => self.postgres.create_database(&name).await,
            DatabaseKind::Mysql => self.mariadb.create_database(&name).await,
            DatabaseKind::Sqlite => TestDatabase::sqlite(&self.folder, &name),
        };
        Place {
            site: Site::on(database.url()),
            database,
        }
    }
}

impl Place {
    /// Exports with these options into `file` and returns what it holds.
    pub fn export(&self, file: &str, options: &[&str]) -> String {
        let mut args = vec!["--engine", CLOUD, "--output", file];
        args.extend_from_slice(options);
        self.site.dbexport(&args).ok();
        std::fs::read_to_string(self.site.path(file)).expect("the export")
    }

    /// Imports a text with these options.
    pub fn import(&self, text: &str, options: &[&str]) -> Ended {
        self.site.write("import", text);
        let mut args = vec!["--engine", CLOUD];
        args.extend_from_slice(options);
        args.push("import");
        self.site.dbimport(&args)
    }
}
