//! What an operator has to hear about when a configuration replaces another.

use std::collections::BTreeSet;
use symstream_shared::id::NodeId;
use symstream_shared::model::Config;
use symstream_shared::parameter::Parameter;
use symstream_shared::wire::Configuration;

/// What a new version brings that calls for an operator.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct News {
    /// Registered nodes that were disabled and are no more: what was captured meanwhile was not for them.
    pub enabled_again: BTreeSet<NodeId>,
    /// Names in `sym_parameter` that no parameter has.
    pub unknown_parameters: BTreeSet<String>,
}

impl News {
    /// What `after` brings. `before` is what was in force until now, if anything was.
    pub fn between(before: Option<&Configuration>, after: &Configuration) -> Self {
        let known = before.map(unknown_parameters).unwrap_or_default();
        // What is not valid never was in force.
        let config = |configuration| Config::from_wire(configuration).ok();
        let enabled_again = match (before.and_then(config), config(after)) {
            (Some(before), Some(after)) => enabled_again(&before, &after),
            _ => BTreeSet::new(),
        };
        Self {
            enabled_again,
            unknown_parameters: &unknown_parameters(after) - &known,
        }
    }

    /// Says it in the log.
    pub fn log(&self) {
        for node in &self.enabled_again {
            tracing::warn!(
                node_id = %node,
                "the node is enabled again; changes that were captured meanwhile are not for it: to send it all of its \
                 rows, symadmin reload-node {node}"
            );
        }
        for name in &self.unknown_parameters {
            tracing::warn!(
                parameter = name,
                "sym_parameter has a row for a parameter that nobody knows; it has no effect (see symadmin list-parameters)"
            );
        }
    }
}

fn enabled_again(before: &Config, after: &Config) -> BTreeSet<NodeId> {
    let was_disabled = |node: &NodeId| {
        before.registered.contains(node) && before.nodes.get(node).is_some_and(|node| !node.sync_enabled)
    };
    let is_enabled = |node: &NodeId| after.nodes.get(node).is_some_and(|node| node.sync_enabled);
    let registered = after.registered.iter();
    registered
        .filter(|node| was_disabled(node) && is_enabled(node))
        .cloned()
        .collect()
}

fn unknown_parameters(configuration: &Configuration) -> BTreeSet<String> {
    let Some(table) = configuration
        .tables
        .iter()
        .find(|table| table.name == "parameter")
    else {
        return BTreeSet::new();
    };
    let Some(at) = table.columns.iter().position(|column| column == "param_key") else {
        return BTreeSet::new();
    };
    let names = table.rows.iter().filter_map(|row| row.get(at)?.as_deref());
    names
        .filter(|name| Parameter::named(name).is_none())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use symstream_shared::wire::ConfigurationTable;

    fn table(name: &str, columns: &[&str], rows: &[&[&str]]) -> ConfigurationTable {
        ConfigurationTable {
            name: name.to_owned(),
            columns: columns.iter().map(|column| (*column).to_owned()).collect(),
            rows: rows
                .iter()
                .map(|row| row.iter().map(|value| Some((*value).to_owned())).collect())
                .collect(),
        }
    }

    /// Nodes with `sync_enabled`, those of them that are registered, and names of parameters.
    fn configuration(nodes: &[(&str, &str)], registered: &[&str], names: &[&str]) -> Configuration {
        let nodes: Vec<[&str; 4]> = nodes
            .iter()
            .map(|(node, enabled)| [*node, "g", *node, *enabled])
            .collect();
        let nodes: Vec<&[&str]> = nodes.iter().map(|row| &row[..]).collect();
        let registered: Vec<[&str; 2]> = registered
            .iter()
            .map(|node| [*node, "2026-01-01 00:00:00"])
            .collect();
        let registered: Vec<&[&str]> = registered.iter().map(|row| &row[..]).collect();
        let parameters: Vec<[&str; 4]> = names.iter().map(|name| ["ALL", "ALL", *name, "1"]).collect();
        let parameters: Vec<&[&str]> = parameters.iter().map(|row| &row[..]).collect();
        Configuration {
            version: 1,
            tables: vec![
                table(
                    "node",
                    &["node_id", "node_group_id", "external_id", "sync_enabled"],
                    &nodes,
                ),
                table("node_security", &["node_id", "registration_time"], &registered),
                table(
                    "parameter",
                    &["external_id", "node_group_id", "param_key", "param_value"],
                    &parameters,
                ),
            ],
        }
    }

    #[test]
    fn a_registered_node_that_is_enabled_again_is_news_and_a_new_one_is_not() {
        let before = configuration(&[("a", "0"), ("b", "1"), ("new", "0")], &["a", "b"], &[]);
        let after = configuration(&[("a", "1"), ("b", "1"), ("new", "1")], &["a", "b", "new"], &[]);
        let news = News::between(Some(&before), &after);
        assert_eq!(
            news.enabled_again.iter().map(NodeId::as_str).collect::<Vec<_>>(),
            ["a"]
        );
        assert_eq!(News::between(Some(&after), &before), News::default());
        assert_eq!(News::between(None, &after), News::default());
    }

    #[test]
    fn an_unknown_parameter_is_news_once() {
        let with = configuration(&[], &[], &["purge.retentoin", "pull.interval"]);
        let news = News::between(None, &with);
        assert_eq!(
            news.unknown_parameters.iter().collect::<Vec<_>>(),
            ["purge.retentoin"]
        );
        assert_eq!(News::between(Some(&with), &with), News::default());
    }
}
