//! The nodes that one rule selects for one change.

use crate::error::DecideError;
use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::{BTreeMap, HashMap};
use symstream_shared::id::{GroupId, NodeId};
use symstream_shared::model::{BoundExpression, LookupRule, Node, NodeAttribute, Rule, RuleKind, Selected};
use symstream_shared::wire::{Change, RuleAnswers, RuleId, TableInfo};

/// The nodes of one group that may get anything, as indexes into the list of all that may.
pub(crate) struct Candidates<'a> {
    group: &'a GroupId,
    nodes: &'a [&'a Node],
    indexes: Vec<usize>,
    /// Made when a rule asks for it: most of a large group's batches are for all of it, or for one attribute.
    by_node_id: OnceCell<HashMap<&'a str, usize>>,
    /// The same; several nodes of a group may have one external id.
    by_external_id: OnceCell<HashMap<&'a str, Vec<usize>>>,
}

/// A rule, ready to be asked about the changes of one table.
pub(crate) struct Selector<'a> {
    rule: &'a Rule,
    table: &'a TableInfo,
    candidates: &'a Candidates<'a>,
    kind: Kind<'a>,
}

enum Kind<'a> {
    All,
    Column(BoundExpression),
    /// The source's answers, and for each of their sets the nodes that it stands for.
    Answered(Vec<(&'a RuleAnswers, Vec<Vec<usize>>)>),
}

impl<'a> Candidates<'a> {
    pub(crate) fn new(nodes: &'a [&'a Node], group: &'a GroupId) -> Self {
        let of_group = nodes.iter().enumerate().filter(|(_, node)| node.group == *group);
        Self {
            group,
            nodes,
            indexes: of_group.map(|(index, _)| index).collect(),
            by_node_id: OnceCell::new(),
            by_external_id: OnceCell::new(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.indexes.is_empty()
    }

    /// All but these.
    pub(crate) fn without(&self, nodes: &BTreeMap<NodeId, i64>) -> Vec<usize> {
        let all = self.indexes.iter().copied();
        all.filter(|index| !nodes.contains_key(&self.nodes[*index].node_id))
            .collect()
    }

    fn with(&self, attribute: NodeAttribute, value: &str) -> &[usize] {
        match attribute {
            NodeAttribute::Id => self.by_node_id().get(value).map_or(&[], std::slice::from_ref),
            NodeAttribute::External => self.by_external_id().get(value).map_or(&[], Vec::as_slice),
            NodeAttribute::Group if self.group.as_str() == value => &self.indexes,
            NodeAttribute::Group => &[],
        }
    }

    fn by_node_id(&self) -> &HashMap<&'a str, usize> {
        self.by_node_id.get_or_init(|| {
            let ids = self.indexes.iter();
            ids.map(|index| (self.nodes[*index].node_id.as_str(), *index))
                .collect()
        })
    }

    fn by_external_id(&self) -> &HashMap<&'a str, Vec<usize>> {
        self.by_external_id.get_or_init(|| {
            let mut by_external_id: HashMap<&str, Vec<usize>> = HashMap::with_capacity(self.indexes.len());
            for index in &self.indexes {
                let external_id = self.nodes[*index].external_id.as_str();
                by_external_id.entry(external_id).or_default().push(*index);
            }
            by_external_id
        })
    }

    fn with_any(&self, attribute: NodeAttribute, values: &[String]) -> Vec<usize> {
        let mut found: Vec<usize> = values
            .iter()
            .flat_map(|value| self.with(attribute, value))
            .copied()
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// The nodes that a lookup table's external ids stand for.
    fn looked_up(&self, external_ids: &[String], lookup: &LookupRule) -> Vec<usize> {
        match &lookup.all_nodes_value {
            Some(all) if external_ids.contains(all) => self.indexes.clone(),
            _ => self.with_any(NodeAttribute::External, external_ids),
        }
    }
}

impl<'a> Selector<'a> {
    pub(crate) fn new(
        rule: &'a Rule,
        table: &'a TableInfo,
        answers: &'a [RuleAnswers],
        candidates: &'a Candidates<'a>,
    ) -> Result<Self, DecideError> {
        let answered = |nodes: &dyn Fn(&[String]) -> Vec<usize>| {
            let own = answers.iter().filter(|answers| answers.rule == rule.id);
            Kind::Answered(
                own.map(|own| (own, own.sets.iter().map(|set| nodes(set)).collect()))
                    .collect(),
            )
        };
        let kind = match &rule.kind {
            RuleKind::Default => Kind::All,
            RuleKind::Column(expression) => {
                Kind::Column(BoundExpression::new(expression, table).map_err(|source| {
                    DecideError::Column {
                        rule: rule_name(&rule.id),
                        source,
                    }
                })?)
            }
            RuleKind::Lookup(lookup) => answered(&|set| candidates.looked_up(set, lookup)),
            RuleKind::Subselect(_) => answered(&|set| candidates.with_any(NodeAttribute::Id, set)),
        };
        Ok(Self {
            rule,
            table,
            candidates,
            kind,
        })
    }

    /// The nodes that get the change, each once.
    pub(crate) fn select(&self, index: usize, change: &Change) -> Result<Cow<'_, [usize]>, DecideError> {
        match &self.kind {
            Kind::All => Ok(Cow::Borrowed(&self.candidates.indexes)),
            Kind::Column(expression) => Ok(self.union(&expression.select(change))),
            Kind::Answered(answers) => answers
                .iter()
                .find_map(|(answers, nodes)| nodes.get(set_of(answers, index)?))
                .map(|nodes| Cow::Borrowed(nodes.as_slice()))
                .ok_or_else(|| DecideError::NoAnswer {
                    rule: rule_name(&self.rule.id),
                    table: self.table.source_table.clone(),
                    data_id: change.data_id,
                }),
        }
    }

    fn union(&self, selected: &[Selected]) -> Cow<'_, [usize]> {
        if selected.contains(&Selected::All) {
            return Cow::Borrowed(&self.candidates.indexes);
        }
        let mut nodes = Vec::new();
        for selected in selected {
            match selected {
                Selected::All => {}
                Selected::With(attribute, values) => {
                    nodes.extend(self.candidates.with_any(*attribute, values))
                }
                Selected::Without(attribute, values) => {
                    let with = self.candidates.with_any(*attribute, values);
                    let all = self.candidates.indexes.iter().copied();
                    nodes.extend(all.filter(|node| with.binary_search(node).is_err()));
                }
            }
        }
        nodes.sort_unstable();
        nodes.dedup();
        Cow::Owned(nodes)
    }
}

/// Which of the sets answers for the change at `index`.
fn set_of(answers: &RuleAnswers, index: usize) -> Option<usize> {
    let index = u32::try_from(index).ok()?;
    let at = answers
        .changes
        .binary_search_by_key(&index, |(change, _)| *change)
        .ok()?;
    usize::try_from(answers.changes[at].1).ok()
}

/// The rule as a person finds it in the tables.
pub(crate) fn rule_name(rule: &RuleId) -> String {
    match rule {
        RuleId::Router(router) => format!("router_id={router}"),
        RuleId::NodeSelect(trigger) => format!("trigger_id={trigger} (node_select)"),
    }
}
