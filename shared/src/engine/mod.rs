//! Engines: one file, one node.
//!
//! Owns the keys of engine files, their layers (default, file, environment) and their checks. Refuses to know
//! what the settings are used for.

mod build;
mod file;
mod key;
mod layers;
mod problem;
mod settings;

pub use problem::EngineError;
pub use settings::{NatsOptions, ServerUrl, Settings};

use crate::db::{ConnectOptions, Database, DbError};
use crate::id::{EngineName, ExternalId, GroupId};
use std::path::{Path, PathBuf};

/// One engine: everything that its file and the environment say.
#[derive(Debug, Clone)]
pub struct Engine {
    /// `engine.name`.
    pub name: EngineName,
    /// `group.id`.
    pub group: GroupId,
    /// `external.id`.
    pub external_id: ExternalId,
    /// `db.…`: how to reach the database.
    pub db: ConnectOptions,
    /// `registration.url`; `None` at the registration server itself.
    pub registration_url: Option<ServerUrl>,
    /// `nats.…`: how to reach NATS.
    pub nats: NatsOptions,
    /// `sync.table.prefix`, e.g. `sym`.
    pub table_prefix: String,
    /// Everything that has a default.
    pub settings: Settings,
}

impl Engine {
    /// Reads the engine `name` from its file in `dir`, overridden by the process's environment.
    ///
    /// # Errors
    /// [`EngineError`], with every problem of the file.
    pub fn load(dir: &Path, name: &str) -> Result<Self, EngineError> {
        file::load(dir, name, &|variable| std::env::var(variable).ok())
    }

    /// Reads all engines of a folder, in the order of their names.
    ///
    /// # Errors
    /// [`EngineError`] of the first file that has any, and when there is no file at all.
    pub fn load_all(dir: &Path) -> Result<Vec<Self>, EngineError> {
        let names = file::names(dir)?;
        if names.is_empty() {
            return Err(EngineError::NoEngines { dir: dir.to_owned() });
        }
        names.iter().map(|name| Self::load(dir, name)).collect()
    }

    /// The registration server's engine: the one that `registration.url` names, or this one.
    pub fn server(&self) -> &EngineName {
        self.registration_url
            .as_ref()
            .map_or(&self.name, |url| &url.engine)
    }

    /// Whether this engine is the registration server.
    pub fn is_registration_server(&self) -> bool {
        self.registration_url.is_none()
    }

    /// The pool of the engine's database; connects when it is first used.
    ///
    /// # Errors
    /// [`DbError`] when `db.url` is not understood.
    pub fn database(&self) -> Result<Database, DbError> {
        Database::new(&self.db).map_err(|err| err.context(format_args!("engine {}", self.name)))
    }

    /// The engine's own address, as `sym_node.sync_url` has it: `nats://…/<engine name>`. Every node gets to see
    /// it, so a login in `nats.url` is left out.
    pub fn sync_url(&self) -> String {
        let url = self.nats.urls.first().map_or("", String::as_str);
        let (scheme, host) = url.split_once("://").unwrap_or(("nats", url));
        let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
        format!("{scheme}://{host}/{}", self.name)
    }
}

/// The engines folder: as given on the command line, else `SYM_ENGINES_DIR`, else `./engines`.
pub fn engines_dir(cli: Option<PathBuf>) -> PathBuf {
    cli.or_else(|| std::env::var_os("SYM_ENGINES_DIR").map(PathBuf::from))
        .unwrap_or_else(|| PathBuf::from("engines"))
}

#[cfg(test)]
mod tests;
