//! The decision: which nodes get which changes of a part. Pure, so that it comes out the same when it is made
//! again after a crash or by another router.

mod load;

pub use load::LoadMisfit;

use crate::broadcast::Broadcast;
use crate::error::DecideError;
use crate::selector::{Candidates, Selector};
use crate::target_tables::TargetTables;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use symstream_shared::id::{GroupId, NodeId};
use symstream_shared::model::{Config, LinkAction, Node, Rule};
use symstream_shared::wire::{Change, DataRange, Part, Request, TableInfo};

/// One change as one node gets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Routed {
    /// Index into the part's changes.
    pub change: usize,
    /// Index into [`Decision::tables`].
    pub table: usize,
}

/// What one node gets.
#[derive(Debug)]
pub struct Target {
    /// Its changes, in the order in which they have to be applied; empty for a statement.
    pub rows: Vec<Routed>,
    /// The kind of the link from the source's group to the node's.
    pub action: LinkAction,
    /// The channel is ignored for this node: it counts as done without being sent.
    pub ignored: bool,
}

/// What becomes of a part.
#[derive(Debug, Default)]
pub struct Decision {
    /// The tables as the nodes get them: with the target's names.
    pub tables: Vec<TableInfo>,
    /// The nodes that get anything.
    pub targets: BTreeMap<NodeId, Target>,
    /// The changes that groups get as a whole; a node does not apply those that have been at it.
    pub groups: BTreeMap<GroupId, Vec<Routed>>,
    /// The changes for nobody.
    pub unrouted: Vec<usize>,
    /// The part's tables with changes whose triggers were all deleted.
    pub forgotten: Vec<usize>,
    /// Targets of an initial load that get nothing of it, and why.
    pub unknown: BTreeMap<NodeId, LoadMisfit>,
}

impl Decision {
    /// All of a part's changes are for nobody.
    pub(crate) fn for_nobody(part: &Part) -> Self {
        Self {
            unrouted: (0..part.rows.changes.len()).collect(),
            ..Self::default()
        }
    }

    /// Into how many tables of one node the same change goes at most.
    pub fn copies_max(&self) -> usize {
        let rows = self.targets.values().map(|target| &target.rows);
        rows.chain(self.groups.values())
            .flat_map(|rows| rows.chunk_by(|one, next| one.change == next.change))
            .map(<[Routed]>::len)
            .max()
            .unwrap_or(1)
    }
}

/// Decides by exactly this configuration, which has to be the one that the part names.
///
/// Of an initial load the source has decided which rows go to whom ([`load::decide`]). The rules are asked about the rows of a
/// request ([`Request::Reload`]) by their values only; a request is for a node that may get something now, else for
/// nobody.
///
/// # Errors
/// [`DecideError`]; the same part and configuration give the same error again.
pub(crate) fn decide(part: &Part, config: &Config, broadcast: &Broadcast) -> Result<Decision, DecideError> {
    if config
        .nodes
        .get(&part.source)
        .is_none_or(|node| node.group != part.source_group)
    {
        return Err(DecideError::ForeignGroup {
            node: part.source.clone(),
            group: part.source_group.clone(),
            version: config.version,
        });
    }
    let by_table = changes_by_table(part)?;
    if part.load.is_some() {
        return Ok(load::decide(part, config));
    }
    let nodes = eligible_nodes(part, config);
    let rules: Vec<Vec<Rule>> = part
        .rows
        .tables
        .iter()
        .map(|table| config.rules_of(&table.trigger_ids, &part.source_group))
        .collect();
    let mut groups: HashMap<&GroupId, Candidates> = HashMap::new();
    for group in rules.iter().flatten().map(|rule| &rule.target_group) {
        groups
            .entry(group)
            .or_insert_with(|| Candidates::new(&nodes, group));
    }
    let mut tables = TargetTables::default();
    let mut selected: Vec<Vec<Routed>> = vec![Vec::new(); nodes.len()];
    let mut of_groups: BTreeMap<GroupId, Vec<Routed>> = BTreeMap::new();
    for (table_index, table) in part.rows.tables.iter().enumerate() {
        let changes = &by_table[table_index];
        for rule in &rules[table_index] {
            let candidates = &groups[&rule.target_group];
            if changes.is_empty() || candidates.is_empty() {
                continue;
            }
            let selector = Selector::new(rule, table, &part.answers, candidates)?;
            let target_table = tables.index(table_index, table, rule);
            let recipients = broadcast.get(&rule.target_group);
            let by_themselves = recipients.map(|nodes| candidates.without(nodes));
            for &change_index in changes {
                let change = &part.rows.changes[change_index];
                if part.request.is_none() && !rule.applies_to(change.operation) {
                    continue;
                }
                let routed = Routed {
                    change: change_index,
                    table: target_table,
                };
                let alone = match &by_themselves {
                    Some(others) => Cow::Borrowed(others.as_slice()),
                    None => selector.select(change_index, change)?,
                };
                for &node in alone.iter() {
                    if may_go_on(change, &nodes[node].node_id, rule) {
                        selected[node].push(routed);
                    }
                }
                if let Some(nodes) = recipients
                    && nodes.keys().any(|node| may_go_on(change, node, rule))
                {
                    of_groups
                        .entry(rule.target_group.clone())
                        .or_default()
                        .push(routed);
                }
            }
        }
    }
    if tables.len() > usize::from(u16::MAX) {
        return Err(DecideError::TooManyTables(tables.len()));
    }
    for rows in of_groups.values_mut() {
        tables.in_order_and_once(rows);
    }
    let (targets, unrouted) = collect(part, config, &nodes, selected, &of_groups, &tables);
    Ok(Decision {
        tables: tables.into_tables(),
        targets,
        groups: of_groups,
        unrouted,
        forgotten: forgotten_tables(part, config, &by_table),
        unknown: BTreeMap::new(),
    })
}

/// Whether a change may go to a node: it ends where it has been, so that none goes round in a ring for ever. A rule
/// that sends changes back does so once, to the node that brought the change, for that node may do the same.
fn may_go_on(change: &Change, node: &NodeId, rule: &Rule) -> bool {
    match change.path.split_last() {
        Some((brought_by, before)) if rule.ping_back && brought_by == node => !before.contains(node),
        _ => !change.path.contains(node),
    }
}

/// Runs of consecutive `data_id`s: a range never spans an id that is not given.
pub fn ranges(data_ids: impl IntoIterator<Item = i64>) -> Vec<DataRange> {
    let mut ids: Vec<i64> = data_ids.into_iter().collect();
    ids.sort_unstable();
    ids.dedup();
    let mut ranges: Vec<DataRange> = Vec::new();
    for id in ids {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == id => *last = id,
            _ => ranges.push((id, id)),
        }
    }
    ranges
}

/// What each node gets, and the changes that nobody gets.
fn collect(
    part: &Part,
    config: &Config,
    nodes: &[&Node],
    selected: Vec<Vec<Routed>>,
    of_groups: &BTreeMap<GroupId, Vec<Routed>>,
    tables: &TargetTables,
) -> (BTreeMap<NodeId, Target>, Vec<usize>) {
    let is_statement = matches!(part.request, Some(Request::Statement { .. }));
    let mut is_routed = vec![false; part.rows.changes.len()];
    for row in of_groups.values().flatten() {
        is_routed[row.change] = true;
    }
    let mut targets = BTreeMap::new();
    for (node, mut rows) in nodes.iter().zip(selected) {
        if rows.is_empty() && !is_statement {
            continue;
        }
        // There are no rules without a link.
        let Some(link) = config.link(&part.source_group, &node.group) else {
            continue;
        };
        tables.in_order_and_once(&mut rows);
        for row in &rows {
            is_routed[row.change] = true;
        }
        let target = Target {
            rows,
            action: link.action,
            ignored: config.control(&node.node_id, &part.channel).ignored,
        };
        targets.insert(node.node_id.clone(), target);
    }
    let unrouted = (0..is_routed.len()).filter(|index| !is_routed[*index]).collect();
    (targets, unrouted)
}

fn forgotten_tables(part: &Part, config: &Config, by_table: &[Vec<usize>]) -> Vec<usize> {
    let is_known = |trigger: &String| config.triggers.contains_key(trigger);
    let tables = part.rows.tables.iter().zip(by_table).enumerate();
    tables
        .filter(|(_, (table, changes))| !changes.is_empty() && !table.trigger_ids.iter().any(is_known))
        .map(|(index, _)| index)
        .collect()
}

fn changes_by_table(part: &Part) -> Result<Vec<Vec<usize>>, DecideError> {
    let count = part.rows.tables.len();
    let mut by_table = vec![Vec::new(); count];
    for (index, change) in part.rows.changes.iter().enumerate() {
        by_table
            .get_mut(usize::from(change.table))
            .ok_or(DecideError::NoTable {
                change: index,
                table: change.table,
                count,
            })?
            .push(index);
    }
    Ok(by_table)
}

/// The nodes that may get anything, in no order: the decision lists them by their ids.
fn eligible_nodes<'a>(part: &Part, config: &'a Config) -> Vec<&'a Node> {
    let may_get_changes = |node: &&Node| may_get_changes(part, config, node);
    match part.request {
        None => config.nodes.values().filter(may_get_changes).collect(),
        Some(_) => part
            .targets
            .iter()
            .filter_map(|target| config.nodes.get(target).filter(may_get_changes))
            .collect(),
    }
}

/// Whether a node may get anything of this part that is no initial load.
pub(crate) fn may_get_changes(part: &Part, config: &Config, node: &Node) -> bool {
    node.sync_enabled
        && node.node_id != part.source
        && config.registered.contains(&node.node_id)
        && !part.absent.contains(&node.node_id)
}

#[cfg(test)]
mod tests;
