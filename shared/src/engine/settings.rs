//! The typed groups of settings.

use super::layers::Layer;
use crate::id::EngineName;
use crate::parameter::{Parameter, ParameterError};
use secrecy::{ExposeSecret, SecretString};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Where the registration server is: `nats://host:port/<engine name>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerUrl {
    /// The NATS server, e.g. `nats://host:4222`.
    pub nats: String,
    /// The registration server's engine.
    pub engine: EngineName,
}

/// Where the one-time secret is that `open-registration` printed.
#[derive(Debug, Clone, Default)]
pub enum RegistrationSecret {
    /// There is none.
    #[default]
    None,
    /// `registration.secret`.
    Given(SecretString),
    /// `registration.secret.file`; read whenever the node asks to be registered.
    File(PathBuf),
}

impl RegistrationSecret {
    /// The secret as it is now; a line end or blanks around it do not count, and a blank one is none.
    ///
    /// # Errors
    /// When the file can not be read.
    pub fn read(&self) -> std::io::Result<Option<SecretString>> {
        let text = match self {
            Self::None => return Ok(None),
            Self::Given(secret) => secret.expose_secret().to_owned(),
            Self::File(path) => std::fs::read_to_string(path)?,
        };
        let text = text.trim();
        Ok((!text.is_empty()).then(|| text.to_owned().into()))
    }
}

/// How to reach NATS, and who to be there.
#[derive(Debug, Clone, Default)]
pub struct NatsOptions {
    /// `nats.url`: one or more servers of one cluster.
    pub urls: Vec<String>,
    /// `nats.user`.
    pub user: Option<String>,
    /// `nats.password`, or what the file `nats.password.file` holds.
    pub password: Option<SecretString>,
    /// `nats.creds`: a credentials file.
    pub creds: Option<PathBuf>,
    /// `nats.nkey`: a file with the user's nkey seed.
    pub nkey: Option<PathBuf>,
    /// `nats.tls.ca`: a file with the certificates to trust; the system's where it is not given.
    pub tls_ca: Option<PathBuf>,
    /// `nats.tls.cert`: a file with the client's certificate.
    pub tls_cert: Option<PathBuf>,
    /// `nats.tls.key`: a file with the client's key.
    pub tls_key: Option<PathBuf>,
}

/// What the engine's own layers say of parameters. `sym_parameter` goes between the file and the others
/// ([`crate::parameter`]).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    values: BTreeMap<(Layer, &'static str), String>,
}

impl Settings {
    /// Gives a parameter a value in a layer.
    ///
    /// # Errors
    /// [`ParameterError`] when the parameter does not take it.
    pub fn set(
        &mut self,
        layer: Layer,
        parameter: &'static Parameter,
        value: &str,
    ) -> Result<(), ParameterError> {
        parameter.check(value)?;
        self.values.insert((layer, parameter.name), value.to_owned());
        Ok(())
    }

    /// A parameter's value in a layer; blank where it stands for the default.
    pub fn get(&self, layer: Layer, name: &'static str) -> Option<&str> {
        self.values.get(&(layer, name)).map(String::as_str)
    }
}
