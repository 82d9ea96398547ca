//! The configuration as a whole.

use super::entity::{Channel, Node, NodeChannelCtl, NodeGroupLink, Router, Trigger, TriggerRouter};
use super::error::ModelError;
use super::fields::Fields;
use super::rule::{Rule, RuleKind};
use super::travel::travel_tables;
use crate::id::{ChannelId, GroupId, NodeId};
use crate::parameter::{Parameter, ParameterError, ParameterRow, Parameters, Whose};
use crate::wire::{self, RuleId};
use std::collections::{HashMap, HashSet};

/// The configuration in force from [`Self::version`] on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    /// Grows by one with every change at the registration server; 0 before the first.
    pub version: i64,
    /// All nodes.
    pub nodes: HashMap<NodeId, Node>,
    /// The nodes that are registered.
    pub registered: HashSet<NodeId>,
    /// When each of them was registered, in milliseconds since 1970: a node that is registered again has another time.
    pub registration_ms: HashMap<NodeId, i64>,
    /// Which group sends to which.
    pub links: HashMap<(GroupId, GroupId), NodeGroupLink>,
    /// The channels.
    pub channels: HashMap<ChannelId, Channel>,
    /// What is suspended or ignored for one node.
    pub controls: HashMap<(NodeId, ChannelId), NodeChannelCtl>,
    /// The triggers.
    pub triggers: HashMap<String, Trigger>,
    /// The named subset rules.
    pub routers: HashMap<String, Router>,
    /// Which trigger has which of them, in the order of their keys.
    pub trigger_routers: Vec<TriggerRouter>,
    /// The rows of `sym_parameter`, those with unknown names too.
    pub parameters: Vec<ParameterRow>,
}

impl Config {
    /// Reads a configuration. Tables and columns that only a newer sender knows are passed over.
    ///
    /// # Errors
    /// [`ModelError`] for the first value, expression or reference that is not valid.
    pub fn from_wire(configuration: &wire::Configuration) -> Result<Self, ModelError> {
        let mut config = Self {
            version: configuration.version,
            ..Self::default()
        };
        // References are checked when everything that they may name is there.
        let mut references = Vec::new();
        for travel in travel_tables() {
            let Some(table) = configuration
                .tables
                .iter()
                .find(|table| table.name == travel.spec.name)
            else {
                continue;
            };
            for row in Fields::rows(table, travel.spec.key) {
                row.check(&travel)?;
                config.add(travel.spec.name, &row)?;
                references.push((travel.spec.name, row));
            }
        }
        for (table, row) in &references {
            config.check_references(table, row)?;
        }
        config
            .trigger_routers
            .sort_by(|a, b| (&a.trigger_id, &a.router_id).cmp(&(&b.trigger_id, &b.router_id)));
        Ok(config)
    }

    /// The parameters in force at a node, as far as the configuration tells.
    ///
    /// # Errors
    /// [`ParameterError`]; none with a configuration that was read by [`Self::from_wire`].
    pub fn parameters_of(&self, node: &Node) -> Result<Parameters, ParameterError> {
        let whose = Whose {
            group: &node.group,
            external_id: &node.external_id,
        };
        Parameters::of_node(&self.parameters, whose)
    }

    fn add(&mut self, table: &str, row: &Fields<'_>) -> Result<(), ModelError> {
        match table {
            "node" => {
                let node = Node::read(row)?;
                self.nodes.insert(node.node_id.clone(), node);
            }
            "node_security" => {
                if let Some(time_ms) = row.opt_time("registration_time")? {
                    self.registered.insert(row.id("node_id")?);
                    self.registration_ms.insert(row.id("node_id")?, time_ms);
                }
            }
            "node_group_link" => {
                let link = NodeGroupLink::read(row)?;
                self.links
                    .insert((link.source.clone(), link.target.clone()), link);
            }
            "channel" => {
                let channel = Channel::read(row)?;
                self.channels.insert(channel.channel_id.clone(), channel);
            }
            "node_channel_ctl" => {
                self.controls.insert(
                    (row.id("node_id")?, row.id("channel_id")?),
                    NodeChannelCtl::read(row)?,
                );
            }
            "trigger" => {
                let trigger = Trigger::read(row)?;
                self.triggers.insert(trigger.trigger_id.clone(), trigger);
            }
            "router" => {
                let router = Router::read(row)?;
                self.routers.insert(router.router_id.clone(), router);
            }
            "trigger_router" => self.trigger_routers.push(TriggerRouter::read(row)?),
            "parameter" => {
                check_parameter(row)?;
                self.parameters.push(ParameterRow {
                    external_id: row.text("external_id")?,
                    group: row.text("node_group_id")?,
                    name: row.text("param_key")?,
                    value: row.opt_text("param_value").unwrap_or_default(),
                });
            }
            // Tables that nodes keep a copy of without a rule following from them.
            _ => {}
        }
        Ok(())
    }

    fn check_references(&self, table: &str, row: &Fields<'_>) -> Result<(), ModelError> {
        match table {
            "trigger" if !self.channels.contains_key(&row.id::<ChannelId>("channel_id")?) => Err(row.wrong(
                "channel_id",
                format!("there is no channel {:?}", row.text("channel_id")?),
            )),
            "trigger_router" if !self.triggers.contains_key(&row.text("trigger_id")?) => {
                Err(row.wrong("trigger_id", "there is no such trigger"))
            }
            "trigger_router" if !self.routers.contains_key(&row.text("router_id")?) => {
                Err(row.wrong("router_id", "there is no such router"))
            }
            _ => Ok(()),
        }
    }

    /// The rules for changes that a trigger captured at a node of `source`, in a fixed order. Only where
    /// `sym_node_group_link` links the groups: without a link nothing flows.
    pub fn rules_for(&self, trigger_id: &str, source: &GroupId) -> Vec<Rule> {
        let Some(trigger) = self.triggers.get(trigger_id) else {
            return Vec::new();
        };
        let mut rules: Vec<Rule> = own_rule(trigger, source).into_iter().collect();
        rules.extend(
            self.routers_of(trigger_id, source)
                .map(|(link, router)| router_rule(trigger, link, router)),
        );
        rules.retain(|rule| self.link(source, &rule.target_group).is_some());
        rules
    }

    /// The rules of all triggers that share a captured row ([`wire::TableInfo::trigger_ids`]), each once.
    pub fn rules_of(&self, trigger_ids: &[String], source: &GroupId) -> Vec<Rule> {
        let mut rules: Vec<Rule> = Vec::new();
        for rule in trigger_ids.iter().flat_map(|id| self.rules_for(id, source)) {
            if !rules.contains(&rule) {
                rules.push(rule);
            }
        }
        rules
    }

    /// The link from one group to another, if there is one.
    pub fn link(&self, source: &GroupId, target: &GroupId) -> Option<&NodeGroupLink> {
        self.links.get(&(source.clone(), target.clone()))
    }

    /// What is suspended or ignored for a node; nothing where no row says so.
    pub fn control(&self, node: &NodeId, channel: &ChannelId) -> NodeChannelCtl {
        let key = (node.clone(), channel.clone());
        self.controls.get(&key).copied().unwrap_or_default()
    }

    /// The active triggers that belong into the databases of a group's nodes, in the order of their ids.
    pub fn triggers_at(&self, group: &GroupId) -> Vec<&Trigger> {
        let mut triggers: Vec<&Trigger> = self
            .triggers
            .values()
            .filter(|trigger| trigger.active)
            .filter(|trigger| {
                trigger.source_group.as_ref() == Some(group)
                    || self.routers_of(&trigger.trigger_id, group).next().is_some()
            })
            .collect();
        triggers.sort_by(|a, b| a.trigger_id.cmp(&b.trigger_id));
        triggers
    }

    fn routers_of<'a>(
        &'a self,
        trigger_id: &'a str,
        source: &'a GroupId,
    ) -> impl Iterator<Item = (&'a TriggerRouter, &'a Router)> {
        self.trigger_routers
            .iter()
            .filter(move |link| link.enabled && link.trigger_id == trigger_id)
            .filter_map(|link| Some((link, self.routers.get(&link.router_id)?)))
            .filter(move |(_, router)| router.source_group == *source)
    }
}

/// A name that nobody knows may be a newer version's; a value that is wrong is wrong at every node.
fn check_parameter(row: &Fields<'_>) -> Result<(), ModelError> {
    let Some(parameter) = Parameter::named(&row.text("param_key")?) else {
        return Ok(());
    };
    let value = row.opt_text("param_value").unwrap_or_default();
    parameter
        .check(&value)
        .map_err(|err| row.wrong("param_value", err.to_string()))
}

/// The rule that a trigger is itself, where it names its groups.
fn own_rule(trigger: &Trigger, source: &GroupId) -> Option<Rule> {
    if trigger.source_group.as_ref() != Some(source) {
        return None;
    }
    Some(Rule {
        id: RuleId::NodeSelect(trigger.trigger_id.clone()),
        target_group: trigger.target_group.clone()?,
        kind: trigger
            .node_select
            .clone()
            .map_or(RuleKind::Default, RuleKind::Subselect),
        on_insert: trigger.on_insert,
        on_update: trigger.on_update,
        on_delete: trigger.on_delete,
        column_level: trigger.column_level,
        target_schema: trigger.target_schema.clone(),
        target_table: trigger
            .target_table
            .clone()
            .unwrap_or_else(|| trigger.source_table.clone()),
        ping_back: false,
        initial_load_order: trigger.initial_load_order,
        initial_load_select: trigger.initial_load_select.clone(),
    })
}

fn router_rule(trigger: &Trigger, link: &TriggerRouter, router: &Router) -> Rule {
    let target_table = router
        .target_table
        .as_ref()
        .or(trigger.target_table.as_ref())
        .unwrap_or(&trigger.source_table);
    Rule {
        id: RuleId::Router(router.router_id.clone()),
        target_group: router.target_group.clone(),
        kind: router.kind.clone(),
        on_insert: trigger.on_insert && router.on_insert,
        on_update: trigger.on_update && router.on_update,
        on_delete: trigger.on_delete && router.on_delete,
        column_level: trigger.column_level,
        target_schema: router
            .target_schema
            .clone()
            .or_else(|| trigger.target_schema.clone()),
        target_table: target_table.clone(),
        ping_back: link.ping_back,
        initial_load_order: link.initial_load_order.unwrap_or(trigger.initial_load_order),
        initial_load_select: link
            .initial_load_select
            .clone()
            .or_else(|| trigger.initial_load_select.clone()),
    }
}
