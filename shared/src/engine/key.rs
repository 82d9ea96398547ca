//! The keys that an engine file may have.

use crate::parameter::CATALOGUE;

/// Every key that says what the engine is; parameters are keys too. Each can be overridden by the environment variable [`variable`] names.
pub(super) const KEYS: &[&str] = &[
    "engine.name",
    "group.id",
    "external.id",
    "db.url",
    "db.user",
    "db.password",
    "db.password.file",
    "db.init.sql",
    "registration.url",
    "registration.secret",
    "registration.secret.file",
    "nats.url",
    "nats.creds",
    "nats.nkey",
    "nats.user",
    "nats.password",
    "nats.password.file",
    "nats.tls.ca",
    "nats.tls.cert",
    "nats.tls.key",
    "sync.table.prefix",
];

/// Keys that say the same in two ways: the one of the higher layer holds, both in one layer are an error.
pub(super) const ALTERNATIVES: &[(&str, &str)] = &[
    ("db.password", "db.password.file"),
    ("nats.password", "nats.password.file"),
    ("registration.secret", "registration.secret.file"),
];

/// The environment variable of a key: `db.password` has `SYM_DB_PASSWORD`.
pub(super) fn variable(key: &str) -> String {
    format!("SYM_{}", key.to_uppercase().replace('.', "_"))
}

/// Whether an engine may have the key: one of [`KEYS`] or a parameter.
pub(super) fn is_known(key: &str) -> bool {
    all().any(|known| known == key)
}

/// The known key that `key` may have been meant to be.
pub(super) fn nearest(key: &str) -> &'static str {
    let likeness = |known: &&str| (strsim::jaro_winkler(key, known) * 1e6) as u64;
    all().max_by_key(likeness).unwrap_or_default()
}

/// [`KEYS`] and the parameters.
pub(super) fn all() -> impl Iterator<Item = &'static str> {
    let parameters = CATALOGUE.iter().map(|parameter| parameter.name);
    KEYS.iter().copied().chain(parameters)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_key_finds_the_one_that_was_meant() {
        for (wrong, right) in [
            ("db.urll", "db.url"),
            ("extrenal.id", "external.id"),
            ("nats.tls.cart", "nats.tls.cert"),
            ("group", "group.id"),
            ("purge.retentoin", "purge.retention"),
        ] {
            assert_eq!(nearest(wrong), right);
        }
    }

    #[test]
    fn no_two_keys_have_the_same_variable() {
        let variables: std::collections::HashSet<String> = all().map(variable).collect();
        assert_eq!(variables.len(), all().count());
        assert!(variables.contains("SYM_DB_PASSWORD_FILE"));
    }
}
