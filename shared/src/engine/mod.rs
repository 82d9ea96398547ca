//! Engines: one file, one node.
//!
//! Owns the keys of engine files, their layers (default, file, environment, command line) and their checks. Refuses to know
//! what the settings are used for.

mod build;
mod file;
mod key;
mod layers;
mod overrides;
mod problem;
mod settings;

pub use file::EngineFolder;
pub use layers::Layer;
pub use overrides::Override;
pub use problem::EngineError;
pub use settings::{NatsOptions, RegistrationSecret, ServerUrl, Settings};

use crate::db::{ConnectOptions, Database, DbError};
use crate::id::{EngineName, ExternalId, GroupId};

/// One engine: everything that its file, the environment and the command line say.
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
    /// `registration.secret` or `registration.secret.file`.
    pub registration_secret: RegistrationSecret,
    /// `nats.…`: how to reach NATS.
    pub nats: NatsOptions,
    /// `sync.table.prefix`, e.g. `sym`.
    pub table_prefix: String,
    /// The parameters that they give.
    pub settings: Settings,
}

impl Engine {
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

#[cfg(test)]
mod tests;
