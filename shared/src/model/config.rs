//! The configuration as a whole.

use super::entity::{Channel, Node, NodeChannelCtl, NodeGroupLink, Router, Trigger, TriggerRouter};
use super::error::ModelError;
use super::rule::Rule;
use crate::id::{ChannelId, GroupId, NodeId};
use crate::wire;
use std::collections::{HashMap, HashSet};

/// The configuration in force from [`Self::version`] on.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// Grows by one with every change at the registration server; 0 before the first.
    pub version: i64,
    /// All nodes.
    pub nodes: HashMap<NodeId, Node>,
    /// The nodes that are registered.
    pub registered: HashSet<NodeId>,
    /// Which group sends to which.
    pub links: HashSet<NodeGroupLink>,
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
}

impl Config {
    /// Reads a configuration.
    ///
    /// # Errors
    /// [`ModelError`] for the first value or expression that is not valid.
    pub fn from_wire(_configuration: &wire::Configuration) -> Result<Self, ModelError> {
        unimplemented!()
    }

    /// The rules for changes that a trigger captured at a node of `source`, in a fixed order. Only where
    /// `sym_node_group_link` links the groups: without a link nothing flows.
    pub fn rules_for(&self, _trigger_id: &str, _source: &GroupId) -> Vec<Rule> {
        unimplemented!()
    }

    /// The active triggers that belong into the databases of a group's nodes, in the order of their ids.
    pub fn triggers_at(&self, _group: &GroupId) -> Vec<&Trigger> {
        unimplemented!()
    }
}
