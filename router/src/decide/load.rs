//! Initial loads: what is in them, and for whom, the source has decided in one snapshot. The configuration says which
//! tables of which nodes it may write at all.

use super::{Decision, Routed, Target};
use std::collections::HashMap;
use symstream_shared::ddl;
use symstream_shared::id::GroupId;
use symstream_shared::model::{Config, LinkAction};
use symstream_shared::wire::{LoadBegin, LoadStep, Part};

/// Why a node gets nothing of an initial load that is said to be for it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadMisfit {
    /// The configuration does not have the node.
    #[error("the node is not in the configuration")]
    Node,
    /// The source is not registered.
    #[error("its source is not registered")]
    Source,
    /// Nothing goes from the source's group to the node's.
    #[error("no link goes from group {from} to group {to}")]
    Link {
        /// The source's group.
        from: GroupId,
        /// The node's group.
        to: GroupId,
    },
    /// No rule sends anything into a table.
    #[error("no rule sends changes into table {table:?} (schema {schema:?})")]
    Table {
        /// The schema at the node; `None` for its default one.
        schema: Option<String>,
        /// The table there.
        table: String,
    },
    /// Nobody can say which tables it creates.
    #[error("its description of tables can not be read: {0}")]
    Description(String),
}

/// A table at a target: its schema, its name.
type TargetName<'a> = (Option<&'a str>, &'a str);

/// All rows go to all targets, into the tables that the part names: the source applied the rules when it read the rows.
/// Where they go is checked as for changes, so that no node can write what the configuration lets it not write: there has
/// to be a link, and a rule for each table. A target for which that does not hold, or that is not in the configuration, has
/// no lane. What ends a load writes no table, and can be sent whatever was switched off meanwhile.
pub(super) fn decide(part: &Part, config: &Config) -> Decision {
    let rows = || {
        let changes = part.rows.changes.iter().enumerate();
        changes.map(|(index, change)| Routed {
            change: index,
            table: usize::from(change.table),
        })
    };
    let mut decision = Decision {
        tables: part.rows.tables.clone(),
        ..Decision::default()
    };
    let mut known: HashMap<&GroupId, Result<(), LoadMisfit>> = HashMap::new();
    for target in &part.targets {
        let Some(node) = config.nodes.get(target) else {
            decision.unknown.insert(target.clone(), LoadMisfit::Node);
            continue;
        };
        let fits = known
            .entry(&node.group)
            .or_insert_with(|| check(part, config, &node.group));
        if let Err(why) = fits {
            decision.unknown.insert(target.clone(), why.clone());
            continue;
        }
        let link = config.link(&part.source_group, &node.group);
        decision.targets.insert(
            target.clone(),
            Target {
                rows: rows().collect(),
                action: link.map_or(LinkAction::Push, |link| link.action),
                ignored: false,
            },
        );
    }
    if decision.targets.is_empty() {
        decision.unrouted = (0..part.rows.changes.len()).collect();
    }
    decision
}

/// Whether the source may do at nodes of a group what the part says.
fn check(part: &Part, config: &Config, group: &GroupId) -> Result<(), LoadMisfit> {
    if !config.registered.contains(&part.source) {
        return Err(LoadMisfit::Source);
    }
    let step = part.load.as_ref().map(|load| &load.step);
    let is_end = matches!(step, Some(LoadStep::End | LoadStep::Cancelled));
    let way = Way {
        config,
        from: &part.source_group,
        to: group,
    };
    if !is_end && config.link(way.from, way.to).is_none() {
        return Err(LoadMisfit::Link {
            from: way.from.clone(),
            to: way.to.clone(),
        });
    }
    for table in &part.rows.tables {
        let name = (table.target_schema.as_deref(), table.target_table.as_str());
        if !way.leads_to(name, &table.trigger_ids) {
            return Err(misfit(name));
        }
    }
    match step {
        Some(LoadStep::Begin(begin)) => way.check_begin(begin),
        _ => Ok(()),
    }
}

/// From the source's group to the target's.
struct Way<'a> {
    config: &'a Config,
    from: &'a GroupId,
    to: &'a GroupId,
}

impl Way<'_> {
    /// Whether a rule of these triggers leads into the table of this name.
    fn leads_to(&self, name: TargetName<'_>, triggers: &[String]) -> bool {
        let rules = self.config.rules_of(triggers, self.from);
        rules.iter().any(|rule| {
            rule.target_group == *self.to
                && (rule.target_schema.as_deref(), rule.target_table.as_str()) == name
        })
    }

    /// Of what is cleared and created only the names are known: a rule of any trigger will do.
    fn check_begin(&self, begin: &LoadBegin) -> Result<(), LoadMisfit> {
        let created = match &begin.create {
            Some(xml) => ddl::described(xml).map_err(|err| LoadMisfit::Description(err.to_string()))?,
            None => Vec::new(),
        };
        let mut names: Vec<TargetName<'_>> = begin
            .clear
            .iter()
            .map(|table| (table.schema.as_deref(), table.table.as_str()))
            .collect();
        names.extend(
            created
                .iter()
                .map(|table| (table.schema.as_deref(), table.name.as_str())),
        );
        for trigger in self.config.triggers.keys() {
            if names.is_empty() {
                break;
            }
            names.retain(|name| !self.leads_to(*name, std::slice::from_ref(trigger)));
        }
        names.first().map_or(Ok(()), |name| Err(misfit(*name)))
    }
}

fn misfit((schema, table): TargetName<'_>) -> LoadMisfit {
    LoadMisfit::Table {
        schema: schema.map(str::to_owned),
        table: table.to_owned(),
    }
}
