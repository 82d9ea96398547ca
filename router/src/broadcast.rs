//! Which groups get a batch in messages of their own. Decided for a batch as a whole, from its parts and the configuration
//! alone: a lane's messages of one batch are either the group's or each node's.

use crate::configuration_cache::KnownConfig;
use crate::decide::{LoadMisfit, may_get_changes};
use std::collections::{BTreeMap, BTreeSet};
use symstream_shared::id::{GroupId, NodeId};
use symstream_shared::model::Config;
use symstream_shared::wire::{Loading, Part};

/// Groups with their nodes that a batch is for, each with the time of its registration.
pub(crate) type Broadcast = BTreeMap<GroupId, BTreeMap<NodeId, i64>>;

/// What holds for all parts of a batch.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// By how much the numbers of its messages are spread.
    pub(crate) spread: u32,
    /// The groups that get it as a whole.
    pub(crate) broadcast: Broadcast,
    /// [`Part::absent`]: what the source knew when it made the last part.
    absent: Vec<NodeId>,
    /// [`Part::loading`], likewise.
    pub(crate) loading: Vec<Loading>,
    /// The targets of an initial load for which some part of the batch is not: they get nothing of it.
    pub(crate) unknown: BTreeMap<NodeId, LoadMisfit>,
}

/// Makes a plan, part by part.
#[derive(Debug)]
pub(crate) struct Planner {
    spread: u32,
    /// The groups that all parts so far allow.
    groups: Option<BTreeSet<GroupId>>,
    broadcast: Broadcast,
    absent: Vec<NodeId>,
    loading: Vec<Loading>,
    unknown: BTreeMap<NodeId, LoadMisfit>,
}

impl Planner {
    pub(crate) fn new() -> Self {
        Self {
            spread: 1,
            groups: None,
            broadcast: Broadcast::new(),
            absent: Vec::new(),
            loading: Vec::new(),
            unknown: BTreeMap::new(),
        }
    }

    /// Takes the next part. Gives back the groups that it could be for as a whole, not less than the plan will have.
    pub(crate) fn add(&mut self, part: &Part, config: &KnownConfig) -> Broadcast {
        let of_part = groups_of(part, config);
        let groups = match self.groups.take() {
            Some(before) => &before & &of_part,
            None => of_part.clone(),
        };
        let mut broadcast = recipients(part, config, &groups);
        for group in &groups {
            let count = broadcast.get(group).map_or(0, BTreeMap::len) as u64;
            if config.broadcast_nodes_min(group).is_ok_and(|min| count < min) {
                broadcast.remove(group);
            }
        }
        self.broadcast = broadcast;
        self.groups = Some(groups);
        self.absent.clone_from(&part.absent);
        self.loading.clone_from(&part.loading);
        recipients(part, config, &of_part)
    }

    /// The batch's messages may need this many numbers for each of capture's.
    pub(crate) fn spread_by(&mut self, spread: u32) {
        self.spread = self.spread.max(spread);
    }

    /// Nodes that a part of an initial load is not for.
    pub(crate) fn leave_out(&mut self, unknown: BTreeMap<NodeId, LoadMisfit>) {
        self.unknown.extend(unknown);
    }

    pub(crate) fn finish(self) -> Plan {
        Plan {
            spread: self.spread,
            broadcast: self.broadcast,
            absent: self.absent,
            loading: self.loading,
            unknown: self.unknown,
        }
    }
}

impl Plan {
    /// Lets a part say of nodes what the batch's last one says, and be for those only that the whole batch is for.
    pub(crate) fn settle(&self, part: &mut Part) {
        part.absent.clone_from(&self.absent);
        part.loading.clone_from(&self.loading);
        part.targets.retain(|target| !self.unknown.contains_key(target));
    }
}

/// The groups whose nodes all get the same of this part. A table's trigger may be one of another channel by now.
fn groups_of(part: &Part, config: &KnownConfig) -> BTreeSet<GroupId> {
    if part.load.is_some() || part.request.is_some() || !part.targets.is_empty() {
        return BTreeSet::new();
    }
    let mut groups = config
        .uniform_groups_from(&part.source_group)
        .get(&part.channel)
        .cloned()
        .unwrap_or_default();
    if !groups.is_empty() {
        for table in &part.rows.tables {
            for rule in config.rules_of(&table.trigger_ids, &part.source_group) {
                if !rule.is_uniform() {
                    groups.remove(&rule.target_group);
                }
            }
        }
    }
    groups
}

fn recipients(part: &Part, config: &Config, groups: &BTreeSet<GroupId>) -> Broadcast {
    let mut broadcast = Broadcast::new();
    if groups.is_empty() {
        return broadcast;
    }
    for node in config.nodes.values() {
        if groups.contains(&node.group)
            && may_get_changes(part, config, node)
            && !config.control(&node.node_id, &part.channel).ignored
        {
            let registered_ms = config.registration_ms.get(&node.node_id).copied();
            broadcast
                .entry(node.group.clone())
                .or_default()
                .insert(node.node_id.clone(), registered_ms.unwrap_or(0));
        }
    }
    broadcast
}
