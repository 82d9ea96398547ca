//! Initial loads: what is in them, and for whom, the source has decided in one snapshot.

use super::{Decision, Routed, Target};
use symstream_shared::model::{Config, LinkAction};
use symstream_shared::wire::Part;

/// All rows go to all targets, into the tables that the part names: the source applied the rules when it read the rows,
/// and what it began it has to be able to end, whatever was switched off meanwhile. A target that is not in the
/// configuration has no lane.
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
    for target in &part.targets {
        let Some(node) = config.nodes.get(target) else {
            decision.unknown.push(target.clone());
            continue;
        };
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
