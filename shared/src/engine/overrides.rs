//! `--set KEY=VALUE` on a command line.

use std::fmt;
use std::str::FromStr;

/// A value that goes before every other layer's, for an engine key or a parameter.
#[derive(Clone, PartialEq, Eq)]
pub struct Override {
    pub(super) key: String,
    pub(super) value: String,
}

/// There is no `=`.
#[derive(Debug, thiserror::Error)]
#[error("expected KEY=VALUE")]
pub struct NoOverride;

impl FromStr for Override {
    type Err = NoOverride;

    fn from_str(text: &str) -> Result<Self, NoOverride> {
        let (key, value) = text.split_once('=').ok_or(NoOverride)?;
        Ok(Self {
            key: key.trim().to_owned(),
            value: value.to_owned(),
        })
    }
}

/// Without the value, which may be a secret.
impl fmt::Debug for Override {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}=…", self.key)
    }
}
