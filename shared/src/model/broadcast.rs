//! What is the same for all nodes of a group, so that it may be sent to the group as a whole.

use super::config::Config;
use super::entity::LinkAction;
use super::rule::{Rule, RuleKind};
use crate::id::{ChannelId, ExternalId, GroupId};
use crate::parameter::{ParameterError, Parameters, Whose};
use std::collections::{BTreeMap, BTreeSet};

impl Config {
    /// The groups whose nodes all get the same changes of each channel from nodes of `source`: all rules of the channel's
    /// triggers are `default`, none sends changes back, and the link pushes.
    pub fn uniform_groups(&self, source: &GroupId) -> BTreeMap<ChannelId, BTreeSet<GroupId>> {
        let mut uniform: BTreeMap<ChannelId, BTreeSet<GroupId>> = BTreeMap::new();
        let mut others: BTreeSet<(ChannelId, GroupId)> = BTreeSet::new();
        for trigger in self.triggers.values() {
            for rule in self.rules_for(&trigger.trigger_id, source) {
                let group = rule.target_group.clone();
                if rule.is_uniform() && self.pushes(source, &group) {
                    uniform.entry(trigger.channel.clone()).or_default().insert(group);
                } else {
                    others.insert((trigger.channel.clone(), group));
                }
            }
        }
        for (channel, group) in others {
            uniform.entry(channel).or_default().remove(&group);
        }
        uniform.retain(|_, groups| !groups.is_empty());
        uniform
    }

    /// From how many nodes on a group gets what is the same for all of them in messages of its own
    /// (`group.broadcast.nodes.min`): the value of the group, else that of all.
    ///
    /// # Errors
    /// [`ParameterError`]; none with a configuration that was read by [`Self::from_wire`].
    pub fn broadcast_nodes_min(&self, group: &GroupId) -> Result<u64, ParameterError> {
        let all = ExternalId::all();
        let whose = Whose {
            group,
            external_id: &all,
        };
        Parameters::of_node(&self.parameters, whose).map(|parameters| parameters.group_broadcast_nodes_min)
    }

    /// The channels of which a group may get messages of its own, from nodes of any group.
    pub fn group_channels(&self, group: &GroupId) -> BTreeSet<ChannelId> {
        let node_count = self.nodes.values().filter(|node| node.group == *group).count() as u64;
        let is_large = self.broadcast_nodes_min(group).is_ok_and(|min| min <= node_count);
        let into_group = self
            .links
            .values()
            .filter(|link| link.target == *group && is_large);
        into_group
            .flat_map(|link| self.uniform_groups(&link.source))
            .filter(|(_, groups)| groups.contains(group))
            .map(|(channel, _)| channel)
            .collect()
    }

    fn pushes(&self, source: &GroupId, target: &GroupId) -> bool {
        self.link(source, target)
            .is_some_and(|link| link.action == LinkAction::Push)
    }
}

impl Rule {
    /// Whether it gives all nodes of its group the same.
    pub fn is_uniform(&self) -> bool {
        self.kind == RuleKind::Default && !self.ping_back
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Configuration, ConfigurationTable};

    fn table(name: &str, columns: &str, rows: &[&str]) -> ConfigurationTable {
        ConfigurationTable {
            name: name.to_owned(),
            columns: columns.split(' ').map(str::to_owned).collect(),
            rows: rows
                .iter()
                .map(|row| row.split(' ').map(|value| Some(value.to_owned())).collect())
                .collect(),
        }
    }

    /// Group `cloud` with channel `sale` for group `shop`, by a router with this type and link with this kind, which are
    /// two of three nodes.
    fn config(router: &str, ping_back: &str, action: &str, min: &str) -> Config {
        let tables = vec![
            table("node_group", "node_group_id", &["cloud", "shop"]),
            table(
                "node",
                "node_id node_group_id external_id sync_enabled",
                &["c cloud c 1", "s1 shop s1 1", "s2 shop s2 1"],
            ),
            table(
                "node_group_link",
                "source_node_group_id target_node_group_id data_event_action",
                &[&format!("cloud shop {action}")],
            ),
            table("channel", "channel_id", &["sale", "other"]),
            table(
                "trigger",
                "trigger_id source_table_name channel_id",
                &["t sale sale", "u sale sale", "o other other"],
            ),
            table(
                "router",
                "router_id source_node_group_id target_node_group_id router_type router_expression",
                &[
                    "all cloud shop default x",
                    &format!("some cloud shop {router} place=:EXTERNAL_ID"),
                ],
            ),
            table(
                "trigger_router",
                "trigger_id router_id ping_back_enabled",
                &["t all 0", &format!("u some {ping_back}")],
            ),
            table(
                "parameter",
                "external_id node_group_id param_key param_value",
                &[
                    &format!("ALL shop group.broadcast.nodes.min {min}"),
                    "ALL ALL group.broadcast.nodes.min 50",
                    "s1 shop group.broadcast.nodes.min 1",
                ],
            ),
        ];
        Config::from_wire(&Configuration { version: 1, tables }).expect("configuration")
    }

    fn group(id: &str) -> GroupId {
        GroupId::new(id).expect("id")
    }

    #[test]
    fn a_channel_is_uniform_where_all_its_rules_give_all_nodes_the_same() {
        let sale = ChannelId::new("sale").expect("id");
        let uniform = config("default", "0", "P", "2");
        let groups = uniform.uniform_groups(&group("cloud"));
        assert_eq!(
            groups,
            BTreeMap::from([(sale.clone(), BTreeSet::from([group("shop")]))])
        );
        assert!(uniform.uniform_groups(&group("shop")).is_empty());
        assert_eq!(uniform.group_channels(&group("shop")), BTreeSet::from([sale]));
        for other in [
            config("column", "0", "P", "2"),
            config("default", "1", "P", "2"),
            config("default", "0", "W", "2"),
        ] {
            assert!(other.uniform_groups(&group("cloud")).is_empty());
        }
    }

    #[test]
    fn the_group_itself_says_from_how_many_nodes_on() {
        let config = config("default", "0", "P", "3");
        assert_eq!(config.broadcast_nodes_min(&group("shop")), Ok(3));
        assert_eq!(config.broadcast_nodes_min(&group("cloud")), Ok(50));
        assert!(config.group_channels(&group("shop")).is_empty());
    }
}
