//! Whether the names can be had that the triggers of a table would get.
//!
//! A name that cannot is refused before anything is made: the databases shorten it, or replace whatever has it.

use super::wanted::Refusal;
use crate::dialect::capturing;
use crate::dialect::trigger::{Event, ForeignTrigger, Mark, RenderedTrigger, TriggerSpec};
use symstream_shared::model::Trigger;

/// The names of triggers that a table's own can not have, and which of them are about to go.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// Of other tables.
    pub foreign: Vec<ForeignTrigger>,
    /// Names that `sym_trigger` rows of this table had at another one, which no row asks for there any more.
    pub going: Vec<String>,
}

/// The refusals because of the first name that can not be had. `accepted` are the triggers of the specification.
pub(super) fn refusals(spec: &TriggerSpec<'_>, accepted: &[&Trigger], taken: &Taken) -> Vec<Refusal> {
    let rendered = capturing::render(spec);
    for (index, trigger) in rendered.iter().enumerate() {
        let Some((event, why)) = objection(spec, trigger, &rendered[..index], taken) else {
            continue;
        };
        let is_same = |name: &str| capturing::is_same_name(spec.kind, name, &trigger.name);
        let is_given = spec.names.get(event).is_some_and(is_same);
        let giver = accepted
            .iter()
            .find(|trigger| is_given && event.given_name(trigger).is_some());
        let (at_fault, what) = match giver {
            Some(giver) => (vec![*giver], format!("name_for_{}_trigger is", event.verb())),
            None => (
                accepted.to_vec(),
                format!("its trigger for {}s would be", event.verb()),
            ),
        };
        return at_fault
            .into_iter()
            .map(|trigger_at_fault| Refusal {
                trigger_id: trigger_at_fault.trigger_id.clone(),
                message: format!("{what} {:?}, {why}", trigger.name),
                passes: taken.going.iter().any(|name| is_same(name)),
            })
            .collect();
    }
    Vec::new()
}

/// Why a trigger can not have its name, and which event's name has to change.
fn objection(
    spec: &TriggerSpec<'_>,
    trigger: &RenderedTrigger,
    before: &[RenderedTrigger],
    taken: &Taken,
) -> Option<(Event, String)> {
    let (kind, name) = (spec.kind, trigger.name.as_str());
    let is_same = |other: &str| capturing::is_same_name(kind, other, name);
    if let Some(most) = capturing::excess(kind, name) {
        let why = format!("but {kind} takes names of up to {most}; choose a shorter one");
        return Some((trigger.event, why));
    }
    if let Some(other) = before.iter().find(|other| is_same(&other.name)) {
        let event = match spec.names.get(trigger.event) {
            Some(_) if !trigger.is_truncate => trigger.event,
            _ => other.event,
        };
        let why = "but the table has another trigger of ours of that name; give each event a name of its own";
        return Some((event, why.to_owned()));
    }
    let own = spec
        .survey
        .installed
        .iter()
        .find(|(name, installed)| is_same(name) && Mark::find(&installed.source, spec.tables).is_none());
    if own.is_some() {
        let why = "but the table has a trigger of that name already, which is not ours; choose another one";
        return Some((trigger.event, why.to_owned()));
    }
    let foreign = taken.foreign.iter().find(|foreign| is_same(&foreign.name))?;
    let whose = match foreign.is_ours {
        true => "",
        false => ", which is not ours",
    };
    let why = format!(
        "but table {} has a trigger of that name{whose}, and {kind} knows a name only once; choose another one",
        foreign.table
    );
    Some((trigger.event, why))
}
