//! What of the configuration tables travels to routers and nodes.

use crate::schema::{ColumnSpec, TableSpec, configuration_tables};

/// A configuration table with those of its columns that travel.
pub(super) struct TravelTable {
    pub spec: &'static TableSpec,
    pub columns: Vec<&'static ColumnSpec>,
}

/// Every configuration table but the node's identity, which is each node's own.
pub(super) fn travel_tables() -> impl Iterator<Item = TravelTable> {
    configuration_tables()
        .iter()
        .filter(|spec| spec.name != "node_identity")
        .map(|spec| TravelTable {
            spec,
            columns: spec
                .columns
                .iter()
                .filter(|column| travels(spec.name, column.name))
                .collect(),
        })
}

impl TravelTable {
    /// The travelling column of this name.
    pub fn column(&self, name: &str) -> Option<&'static ColumnSpec> {
        self.columns.iter().find(|column| column.name == name).copied()
    }

    /// Whether a node keeps this column true by itself in its row of the table: what travels of it is for the others,
    /// and may be older than what the node knows.
    pub fn is_kept_by_its_node(&self, column: &str) -> bool {
        const KEPT: [&str; 5] = [
            "sync_url",
            "schema_version",
            "symmetric_version",
            "database_type",
            "database_version",
        ];
        self.spec.name == "node" && KEPT.contains(&column)
    }

    /// The places of the key's columns among those that travel.
    pub fn key_indexes(&self) -> Vec<usize> {
        let place = |key: &&str| self.columns.iter().position(|column| column.name == *key);
        self.spec.key.iter().filter_map(place).collect()
    }
}

/// Not what every heartbeat changes, for that is no change of the configuration; and never a password.
fn travels(table: &str, column: &str) -> bool {
    match table {
        "node" => !["heartbeat_time", "timezone_offset"].contains(&column),
        "node_security" => ["node_id", "registration_enabled", "registration_time"].contains(&column),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_travels_and_no_heartbeat() {
        let columns: Vec<String> = travel_tables()
            .flat_map(|table| {
                let name = table.spec.name;
                table
                    .columns
                    .into_iter()
                    .map(move |column| format!("{name}.{}", column.name))
            })
            .collect();
        assert!(columns.contains(&"trigger_router.ping_back_enabled".to_owned()));
        assert!(columns.contains(&"node.schema_version".to_owned()));
        assert!(!columns.iter().any(|column| column.contains("password")
            || column.contains("heartbeat")
            || column.contains("timezone")));
        assert!(!columns.iter().any(|column| column.starts_with("node_identity")));
    }

    #[test]
    fn keys_travel() {
        for table in travel_tables() {
            assert!(!table.spec.key.is_empty());
            assert!(
                table.spec.key.iter().all(|key| table.column(key).is_some()),
                "{}",
                table.spec.name
            );
        }
    }
}
