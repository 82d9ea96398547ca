//! An engine from its values: every value parsed, every problem noted.

use super::Engine;
use super::layers::{Layer, Values};
use super::settings::{NatsOptions, RegistrationSecret, ServerUrl, Settings};
use crate::db::ConnectOptions;
use crate::id::{EngineName, InvalidId};
use crate::parameter::{CATALOGUE, ParameterError};
use crate::schema::Tables;
use secrecy::SecretString;
use std::path::PathBuf;
use std::str::FromStr;

const NATS_URL_DEFAULT: &str = "nats://127.0.0.1:4222";
const TABLE_PREFIX_DEFAULT: &str = "sym";
const NATS_SCHEMES: [&str; 2] = ["nats://", "tls://"];
/// The second of each pair is what other tools call the same.
const DB_SCHEMES: [&str; 5] = [
    "postgres://",
    "postgresql://",
    "mysql://",
    "mariadb://",
    "sqlite:",
];

/// Builds the engine whose file is called `name`.
///
/// # Errors
/// Every problem with the values.
pub(super) fn engine(name: &str, mut values: Values) -> Result<Engine, Vec<String>> {
    let values = &mut values;
    let name = engine_name(name, values);
    let group = required_id("group.id", values);
    let external_id = required_id("external.id", values);
    let db = database(values);
    let registration_url = registration_url(values);
    let registration_secret = registration_secret(values);
    let nats = nats(values);
    let table_prefix = table_prefix(values);
    let settings = settings(values);
    match (name, group, external_id, values.take_problems()) {
        (Some(name), Some(group), Some(external_id), problems) if problems.is_empty() => Ok(Engine {
            name,
            group,
            external_id,
            db,
            registration_url,
            registration_secret,
            nats,
            table_prefix,
            settings,
        }),
        (_, _, _, problems) => Err(problems),
    }
}

fn engine_name(file: &str, values: &mut Values) -> Option<EngineName> {
    if let Some(given) = values.text("engine.name").filter(|given| given != file) {
        values.problem(
            "engine.name",
            format_args!("it is {given:?}, but the file is {file}.toml; make them equal"),
        );
    }
    EngineName::new(file)
        .map_err(|err| values.problem("engine.name", err.why))
        .ok()
}

fn required_id<T: FromStr<Err = InvalidId>>(key: &'static str, values: &mut Values) -> Option<T> {
    values
        .required(key)?
        .parse()
        .map_err(|err: InvalidId| values.problem(key, err.why))
        .ok()
}

fn database(values: &mut Values) -> ConnectOptions {
    let url = values.required("db.url").unwrap_or_default();
    if !url.is_empty() && !DB_SCHEMES.iter().any(|scheme| url.starts_with(scheme)) {
        values.problem(
            "db.url",
            "it has to begin with postgres://, mysql:// or sqlite://",
        );
    }
    ConnectOptions {
        url: url.into(),
        user: values.text("db.user"),
        password: secret("db.password", "db.password.file", values),
        init_sql: values.text("db.init.sql"),
    }
}

fn registration_url(values: &mut Values) -> Option<ServerUrl> {
    let url = values.text("registration.url")?;
    let parsed = url.rsplit_once('/').and_then(|(nats, engine)| {
        let engine = EngineName::new(engine).ok()?;
        is_nats_url(nats).then(|| ServerUrl {
            nats: nats.to_owned(),
            engine,
        })
    });
    if parsed.is_none() {
        values.problem(
            "registration.url",
            "expected nats://HOST:PORT/ENGINE with the registration server's engine",
        );
    }
    parsed
}

/// The file is not looked at: it is needed once, and may be gone afterwards.
fn registration_secret(values: &mut Values) -> RegistrationSecret {
    match values.text("registration.secret.file") {
        Some(path) => RegistrationSecret::File(PathBuf::from(path)),
        None => values
            .text("registration.secret")
            .map_or(RegistrationSecret::None, |secret| {
                RegistrationSecret::Given(secret.into())
            }),
    }
}

fn nats(values: &mut Values) -> NatsOptions {
    let url = values
        .text("nats.url")
        .unwrap_or_else(|| NATS_URL_DEFAULT.to_owned());
    let urls: Vec<String> = url
        .split(',')
        .map(|url| url.trim().trim_end_matches('/').to_owned())
        .collect();
    if !urls.iter().all(|url| is_nats_url(url)) {
        values.problem(
            "nats.url",
            "expected nats://HOST:PORT, several with commas between them",
        );
    }
    let options = NatsOptions {
        urls,
        user: values.text("nats.user"),
        password: secret("nats.password", "nats.password.file", values),
        creds: values.text("nats.creds").map(PathBuf::from),
        nkey: values.text("nats.nkey").map(PathBuf::from),
        tls_ca: values.text("nats.tls.ca").map(PathBuf::from),
        tls_cert: values.text("nats.tls.cert").map(PathBuf::from),
        tls_key: values.text("nats.tls.key").map(PathBuf::from),
    };
    if options.user.is_some() != options.password.is_some() {
        values.problem(
            "nats.user",
            "nats.user and a password (nats.password, nats.password.file) belong together",
        );
    }
    if options.tls_cert.is_some() != options.tls_key.is_some() {
        values.problem("nats.tls.cert", "nats.tls.cert and nats.tls.key belong together");
    }
    options
}

fn table_prefix(values: &mut Values) -> String {
    let prefix = values
        .text("sync.table.prefix")
        .unwrap_or_else(|| TABLE_PREFIX_DEFAULT.to_owned());
    if let Err(err) = Tables::new(&prefix) {
        values.problem("sync.table.prefix", err);
    }
    prefix
}

/// The parameters that the engine's own layers give.
fn settings(values: &mut Values) -> Settings {
    let mut settings = Settings::default();
    for parameter in &CATALOGUE {
        for layer in Layer::ALL {
            let Some(value) = values.parameter(layer, parameter.name).map(str::to_owned) else {
                continue;
            };
            if let Err(ParameterError {
                name,
                expected,
                value,
            }) = settings.set(layer, parameter, &value)
            {
                values.problem(name, format_args!("expected {expected}, not {value:?}"));
            }
        }
    }
    settings
}

/// A secret that is given itself, or in a file; a line end behind it does not count.
fn secret(key: &'static str, file_key: &'static str, values: &mut Values) -> Option<SecretString> {
    let Some(path) = values.text(file_key) else {
        return values.text(key).map(SecretString::from);
    };
    match std::fs::read_to_string(&path) {
        Ok(text) => Some(text.trim_end_matches(['\r', '\n']).into()),
        Err(err) => {
            values.problem(file_key, format_args!("{path} can not be read: {err}"));
            None
        }
    }
}

fn is_nats_url(url: &str) -> bool {
    NATS_SCHEMES
        .iter()
        .filter_map(|scheme| url.strip_prefix(scheme))
        .any(|host| !host.is_empty() && !host.contains('/'))
}
