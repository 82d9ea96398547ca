//! The decision: which nodes get which changes of a part. Pure, so that it comes out the same when it is made
//! again after a crash or by another router.

use crate::column_expression::BindError;
use crate::selector::{Candidates, Selector};
use std::collections::{BTreeMap, HashMap};
use symstream_shared::id::{GroupId, NodeId};
use symstream_shared::model::{Config, Node, Rule};
use symstream_shared::wire::{DataRange, Part, TableInfo};

/// Why a part can not be routed. Nothing of its batch goes out then, and its source's lanes of this channel
/// wait: a row is never sent to nobody because of an error.
#[derive(Debug, thiserror::Error)]
pub enum DecideError {
    /// A rule names a column that the table does not have.
    #[error("rule {rule}: {source}")]
    Column {
        /// The rule.
        rule: String,
        /// Which column.
        source: BindError,
    },
    /// The source did not say what its database answers for a rule that asks it.
    #[error(
        "rule {rule}: the source sent no answer for data_id {data_id} of table {table}; if the rule was another one \
         when this was captured, put that one back until it is routed"
    )]
    NoAnswer {
        /// The rule.
        rule: String,
        /// The table.
        table: String,
        /// The change.
        data_id: i64,
    },
    /// The part contradicts itself.
    #[error("change {change} of the part belongs to table {table}, of which the part has {count}")]
    NoTable {
        /// The change's index.
        change: usize,
        /// Its table's index.
        table: u16,
        /// How many tables there are.
        count: usize,
    },
    /// More tables than a part can count.
    #[error("the part's rows go to {0} tables; a part can have 65,535")]
    TooManyTables(usize),
    /// The initial load's node is not in the configuration that the source named.
    #[error("node {node}, which an initial load is for, is not in version {version} of the configuration")]
    UnknownTarget {
        /// The node.
        node: NodeId,
        /// The version.
        version: i64,
    },
    /// The source says that it belongs to a group that it does not belong to.
    #[error(
        "node {node} sends as one of group {group}, but version {version} of the configuration says otherwise"
    )]
    ForeignGroup {
        /// The source.
        node: NodeId,
        /// What it says.
        group: GroupId,
        /// The version.
        version: i64,
    },
}

/// One change as one node gets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Routed {
    /// Index into the part's changes.
    pub change: usize,
    /// Index into [`Decision::tables`].
    pub table: usize,
}

/// What becomes of a part.
#[derive(Debug, Default)]
pub struct Decision {
    /// The tables as the nodes get them: with the target's names.
    pub tables: Vec<TableInfo>,
    /// For each node that gets anything its changes, in the order in which they have to be applied.
    pub targets: BTreeMap<NodeId, Vec<Routed>>,
    /// The changes for nobody.
    pub unrouted: Vec<usize>,
}

impl Decision {
    /// Into how many tables of one node the same change goes at most.
    pub fn copies_max(&self) -> usize {
        self.targets
            .values()
            .flat_map(|rows| rows.chunk_by(|one, next| one.change == next.change))
            .map(<[Routed]>::len)
            .max()
            .unwrap_or(1)
    }
}

/// Decides by exactly this configuration, which has to be the one that the part names.
///
/// An initial load asks its rules about its rows' values only: whether a rule is for inserts, and whether the
/// node is enabled, was settled when the load was asked for.
///
/// # Errors
/// [`DecideError`]; the same part and configuration give the same error again.
pub fn decide(part: &Part, config: &Config) -> Result<Decision, DecideError> {
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
    let nodes = eligible_nodes(part, config)?;
    let by_table = changes_by_table(part)?;
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
    for (table_index, table) in part.rows.tables.iter().enumerate() {
        let changes = &by_table[table_index];
        for rule in &rules[table_index] {
            let candidates = &groups[&rule.target_group];
            if changes.is_empty() || candidates.is_empty() {
                continue;
            }
            let selector = Selector::new(rule, table, &part.answers, candidates)?;
            let target_table = tables.index(table_index, table, rule);
            for &change_index in changes {
                let change = &part.rows.changes[change_index];
                if part.target.is_none() && !rule.applies_to(change.operation) {
                    continue;
                }
                for &node in selector.select(change_index, change)?.iter() {
                    if rule.ping_back || !change.path.contains(&nodes[node].node_id) {
                        selected[node].push(Routed {
                            change: change_index,
                            table: target_table,
                        });
                    }
                }
            }
        }
    }
    if tables.tables.len() > usize::from(u16::MAX) {
        return Err(DecideError::TooManyTables(tables.tables.len()));
    }
    Ok(collect(part, &nodes, selected, tables.tables))
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

fn collect(part: &Part, nodes: &[&Node], selected: Vec<Vec<Routed>>, tables: Vec<TableInfo>) -> Decision {
    let mut is_routed = vec![false; part.rows.changes.len()];
    let mut targets = BTreeMap::new();
    for (node, mut rows) in nodes.iter().zip(selected) {
        if rows.is_empty() {
            continue;
        }
        // Rules and tables were gone through one by one: back to the order of the changes, and what two rules
        // send to the same table goes there once.
        rows.sort_unstable();
        rows.dedup();
        for row in &rows {
            is_routed[row.change] = true;
        }
        targets.insert(node.node_id.clone(), rows);
    }
    let unrouted = (0..is_routed.len()).filter(|index| !is_routed[*index]).collect();
    Decision {
        tables,
        targets,
        unrouted,
    }
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
fn eligible_nodes<'a>(part: &Part, config: &'a Config) -> Result<Vec<&'a Node>, DecideError> {
    if let Some(target) = &part.target {
        return match config.nodes.get(target) {
            Some(node) => Ok(vec![node]),
            None => Err(DecideError::UnknownTarget {
                node: target.clone(),
                version: config.version,
            }),
        };
    }
    Ok(config
        .nodes
        .values()
        .filter(|node| {
            node.sync_enabled && node.node_id != part.source && config.registered.contains(&node.node_id)
        })
        .collect())
}

/// The tables as the nodes get them, each once.
#[derive(Default)]
struct TargetTables {
    tables: Vec<TableInfo>,
    known: HashMap<(usize, Option<String>, String, bool), usize>,
}

impl TargetTables {
    fn index(&mut self, source_index: usize, source: &TableInfo, rule: &Rule) -> usize {
        let key = (
            source_index,
            rule.target_schema.clone(),
            rule.target_table.clone(),
            rule.column_level,
        );
        *self.known.entry(key).or_insert_with(|| {
            self.tables.push(TableInfo {
                target_schema: rule.target_schema.clone(),
                target_table: rule.target_table.clone(),
                column_level: rule.column_level,
                ..source.clone()
            });
            self.tables.len() - 1
        })
    }
}

#[cfg(test)]
mod tests;
