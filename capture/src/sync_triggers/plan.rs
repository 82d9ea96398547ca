//! What has to be done at one table, decided without asking anybody.

use super::hist::{ActiveHist, Description, NewHist};
use super::report::BuildReason;
use crate::dialect::capturing;
use crate::dialect::trigger::{Capture, Mark, RenderedTrigger, TriggerSpec};
use std::collections::HashSet;
use symstream_shared::db::DatabaseKind;
use symstream_shared::model::Trigger;

/// What `sym_trigger_hist` says before anything is done.
pub(super) struct Histories {
    /// Those in force, the newest first.
    pub active: Vec<ActiveHist>,
    /// All triggers that ever had one.
    pub known: HashSet<String>,
    /// The id of the next one.
    pub next_id: i64,
}

impl Histories {
    /// The one in force for a trigger at a table.
    pub(super) fn of(&self, trigger: &Trigger, place: &super::hist::Place) -> Option<&ActiveHist> {
        self.active
            .iter()
            .find(|hist| hist.trigger_id == trigger.trigger_id && hist.description.place == *place)
    }
}

/// What has to be done at one table.
pub(super) struct Plan<'a> {
    /// With the histories that the triggers have to name.
    pub spec: TriggerSpec<'a>,
    /// The triggers that the table should have.
    pub triggers: Vec<RenderedTrigger>,
    /// The histories to be written.
    pub new: Vec<NewHist>,
    /// Histories that end, because another takes their place or their triggers are not wanted here any more.
    pub ended: Vec<ActiveHist>,
    /// Our triggers on the table that are not wanted any more.
    pub leftovers: Vec<String>,
    is_installed: bool,
}

impl<'a> Plan<'a> {
    /// Compares what `spec` asks for with what is there.
    pub(super) fn make(mut spec: TriggerSpec<'a>, histories: &Histories) -> Self {
        for index in 0..spec.captures.len() {
            spec.captures[index].mark.definition = definition(&spec, index);
        }
        let mut reasons = reasons(&spec, histories);
        let mut plan = Self::with(spec, histories, &reasons);
        // Something is different about the triggers, and it is nobody's own: they were tampered with, or others of ours
        // stand beside them.
        if plan.new.is_empty() && plan.removed().next().is_none() && !plan.is_done() {
            if let Some((_, reason)) = reasons.first_mut() {
                *reason = Some(BuildReason::ConfigurationChanged);
            }
            plan = Self::with(plan.spec, histories, &reasons);
        }
        plan
    }

    fn with(
        mut spec: TriggerSpec<'a>,
        histories: &Histories,
        reasons: &[(Description, Option<BuildReason>)],
    ) -> Self {
        let mut new = Vec::new();
        let mut kept = HashSet::new();
        let mut next_id = histories.next_id;
        let mut reasons = reasons.iter();
        for capture in &mut spec.captures {
            for (place, trigger) in capture.triggers.iter().enumerate() {
                let Some((description, reason)) = reasons.next() else {
                    continue;
                };
                let hist_id = match (reason, histories.of(trigger, &description.place)) {
                    (None, Some(active)) => {
                        kept.insert(active.hist_id);
                        active.hist_id
                    }
                    (reason, _) => {
                        new.push(NewHist {
                            hist_id: next_id,
                            trigger_id: trigger.trigger_id.clone(),
                            reason: reason.unwrap_or(BuildReason::New),
                            description: description.clone(),
                        });
                        next_id += 1;
                        next_id - 1
                    }
                };
                if place == 0 {
                    capture.mark.hist_id = hist_id;
                }
            }
        }
        let ended = histories
            .active
            .iter()
            .filter(|hist| {
                let place = &hist.description.place;
                place.schema == spec.table.schema && place.table == spec.table.name
            })
            .filter(|hist| !kept.contains(&hist.hist_id))
            .cloned()
            .collect();
        spec.build = 0;
        spec.build = hash(&spec);
        let triggers = capturing::render(&spec);
        let leftovers = leftovers(&spec, &triggers);
        let mark = spec.mark();
        let is_installed = triggers
            .iter()
            .all(|trigger| trigger.installed_mark(spec.survey, spec.tables).as_ref() == Some(&mark));
        Self {
            triggers,
            new,
            ended,
            leftovers,
            is_installed,
            spec,
        }
    }

    /// Whether everything is as it should be.
    pub(super) fn is_done(&self) -> bool {
        self.new.is_empty() && self.ended.is_empty() && self.leftovers.is_empty() && self.is_installed
    }

    /// The histories of triggers that are not wanted at the table any more.
    pub(super) fn removed(&self) -> impl Iterator<Item = &ActiveHist> {
        self.ended.iter().filter(|hist| {
            let mut wanted = self.spec.captures.iter().flat_map(|capture| &capture.triggers);
            !wanted.any(|trigger| trigger.trigger_id == hist.trigger_id)
        })
    }

    /// The triggers that something is done for, as messages name them.
    pub(super) fn concerned(&self) -> String {
        let new = self.new.iter().map(|hist| hist.trigger_id.as_str());
        let ids: Vec<&str> = new
            .chain(self.removed().map(|hist| hist.trigger_id.as_str()))
            .collect();
        ids.join(", ")
    }

    /// The SQL that does it, but for the histories.
    pub(super) fn statements(&self) -> Vec<String> {
        let (spec, table) = (&self.spec, self.spec.table);
        let mut statements = Vec::new();
        if !self.triggers.is_empty() {
            statements.extend(capturing::support(spec));
        }
        for trigger in &self.triggers {
            statements.extend(trigger.create.iter().cloned());
            let attach = trigger.attach.iter();
            statements.extend(attach.filter(|_| !trigger.is_attached(spec.survey)).cloned());
        }
        statements.extend(
            self.leftovers
                .iter()
                .map(|name| capturing::drop(spec.kind, table.schema.as_deref(), &table.name, name)),
        );
        let displaces = |trigger: &RenderedTrigger| trigger.displaces_another(spec.survey);
        let replaces_others = !self.leftovers.is_empty() || self.triggers.iter().any(displaces);
        capturing::in_one_step(spec, statements, replaces_others)
    }
}

/// For each trigger of each capture what its history has to say, and why that has to be a new one, if it has.
fn reasons(spec: &TriggerSpec<'_>, histories: &Histories) -> Vec<(Description, Option<BuildReason>)> {
    let triggers = capturing::render(spec);
    let mut reasons = Vec::new();
    for capture in &spec.captures {
        let description = Description::of(spec, capture, &triggers);
        for trigger in &capture.triggers {
            let reason = reason(spec, capture, trigger, &description, &triggers, histories);
            reasons.push((description.clone(), reason));
        }
    }
    reasons
}

fn reason(
    spec: &TriggerSpec<'_>,
    capture: &Capture<'_>,
    trigger: &Trigger,
    now: &Description,
    triggers: &[RenderedTrigger],
    histories: &Histories,
) -> Option<BuildReason> {
    let Some(active) = histories.of(trigger, &now.place) else {
        let is_new = !histories.known.contains(&trigger.trigger_id);
        return Some(match is_new {
            true => BuildReason::New,
            false => BuildReason::ConfigurationChanged,
        });
    };
    let before = &active.description;
    if before.table_hash != now.table_hash || before.table_shape != now.table_shape {
        return Some(BuildReason::SchemaChanged);
    }
    if before != now {
        return Some(BuildReason::ConfigurationChanged);
    }
    let mut is_missing = false;
    for trigger in triggers.iter().filter(|trigger| capture.wants(trigger.event)) {
        if !trigger.is_attached(spec.survey) {
            is_missing = true;
            continue;
        }
        let mark = trigger.installed_mark(spec.survey, spec.tables);
        let captures = mark.map(|mark| mark.captures).unwrap_or_default();
        if !captures
            .iter()
            .any(|installed| installed.definition == capture.mark.definition)
        {
            return Some(BuildReason::ConfigurationChanged);
        }
    }
    is_missing.then_some(BuildReason::TriggerMissing)
}

/// A hash of what one capture is, whatever others there are and whichever history it has.
fn definition(spec: &TriggerSpec<'_>, index: usize) -> u32 {
    let mut alone = spec.clone();
    alone.build = 0;
    alone.captures = vec![spec.captures[index].clone()];
    for capture in &mut alone.captures {
        capture.mark.hist_id = 0;
        capture.mark.definition = 0;
    }
    hash(&alone)
}

/// A hash of everything that the triggers do.
fn hash(spec: &TriggerSpec<'_>) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    for trigger in capturing::render(spec) {
        for text in trigger.create.iter().chain(&trigger.attach) {
            hasher.update(text.as_bytes());
            hasher.update(&[0]);
        }
    }
    for text in capturing::support(spec) {
        hasher.update(text.as_bytes());
    }
    hasher.finalize()
}

/// On SQLite a name in other letters is the same, and its trigger went when the wanted one was made.
fn leftovers(spec: &TriggerSpec<'_>, wanted: &[RenderedTrigger]) -> Vec<String> {
    let is_wanted = |name: &str| {
        wanted.iter().any(|trigger| match spec.kind {
            DatabaseKind::Sqlite => capturing::is_same_name(spec.kind, &trigger.name, name),
            DatabaseKind::Postgres | DatabaseKind::Mysql => trigger.name == name,
        })
    };
    let mut names: Vec<String> = spec
        .survey
        .installed
        .iter()
        .filter(|(name, installed)| Mark::find(&installed.source, spec.tables).is_some() && !is_wanted(name))
        .map(|(name, _)| name.clone())
        .collect();
    names.sort();
    names
}
