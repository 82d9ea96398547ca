//! The configuration tables on their way to routers and nodes.

use serde::{Deserialize, Serialize};

/// One configuration table, whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigurationTable {
    /// The table's name without the prefix, e.g. `trigger`.
    pub name: String,
    /// The columns that travel, in the order of the rows' values.
    pub columns: Vec<String>,
    /// The values as text (times as `YYYY-MM-DD HH:MM:SS.ffffff` in UTC), ordered by the table's key.
    pub rows: Vec<Vec<Option<String>>>,
}

/// The configuration in force from `version` on, without any secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configuration {
    /// Grows by one with every change at the registration server.
    pub version: i64,
    /// The tables.
    pub tables: Vec<ConfigurationTable>,
}
