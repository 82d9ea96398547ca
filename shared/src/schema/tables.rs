//! The tables' names.

use std::fmt;

/// The `sym_` tables' names under the configured prefix. Only made with a prefix that needs no quoting, so the
/// names go into SQL as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tables {
    prefix: String,
}

/// Why a text is no table prefix.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "table prefix {0:?} is not valid: it has to be lower-case letters, digits and _, begin with no digit and be \
     at most {PREFIX_BYTES_MAX} long"
)]
pub struct InvalidPrefix(String);

/// Leaves room for the tables', indexes' and triggers' names within PostgreSQL's 63 bytes.
const PREFIX_BYTES_MAX: usize = 20;

impl Tables {
    /// The tables under `prefix` (`sym` gives `sym_data`).
    ///
    /// # Errors
    /// [`InvalidPrefix`] when the prefix is no plain lower-case identifier: upper case would be folded by one
    /// dialect and kept by another.
    pub fn new(prefix: &str) -> Result<Self, InvalidPrefix> {
        let starts = prefix.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
        let plain = prefix
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if !starts || !plain || prefix.len() > PREFIX_BYTES_MAX {
            return Err(InvalidPrefix(prefix.to_owned()));
        }
        Ok(Self {
            prefix: prefix.to_owned(),
        })
    }

    /// The prefix, e.g. `sym`.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Whether a table of this name is one of them, or would look like one, however its name is written.
    pub fn owns(&self, table: &str) -> bool {
        let start = table.get(..self.prefix.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(&self.prefix))
            && table[self.prefix.len()..].starts_with('_')
    }

    /// The name of a table for SQL text: `data` gives `sym_data`.
    pub fn name(&self, table: &str) -> String {
        format!("{}_{table}", self.prefix)
    }
}

impl Default for Tables {
    fn default() -> Self {
        Self {
            prefix: "sym".to_owned(),
        }
    }
}

impl fmt::Display for Tables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_*", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_tables_are_known_by_their_prefix() {
        let tables = Tables::default();
        for own in ["sym_data", "SYM_Node", "sym_"] {
            assert!(tables.owns(own), "{own}");
        }
        for other in ["sym", "symbol", "my_sym_data", "", "syé_data"] {
            assert!(!tables.owns(other), "{other}");
        }
    }

    #[test]
    fn a_prefix_is_a_plain_identifier() {
        assert_eq!(Tables::new("clinic").expect("valid").name("data"), "clinic_data");
        for bad in [
            "",
            "7a",
            "a-b",
            "a.b",
            "a\"b",
            "Sym",
            "überall",
            "a_prefix_that_is_too_long",
        ] {
            assert!(Tables::new(bad).is_err(), "{bad}");
        }
    }
}
