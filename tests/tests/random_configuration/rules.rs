//! Which triggers and routers a table gets, and how they change.

use super::generate::{Generator, Shape};
use super::plan::{Events, Router, Trigger, TriggerRouter};
use super::selection::Selection;
use super::table::FIRST_ROWS;

/// How much of a table's changes its rules let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// All events of the rows that are selected.
    Whole,
    /// Some events, some rows.
    Partial,
    /// All on the way to the server, some on the way from there.
    PartialDown,
}

impl Generator<'_> {
    /// The rules of one table, and of its copy at the targets.
    pub(super) fn table(&mut self, table: usize) {
        let mode = match self.shape {
            // A row that stays at a target keeps its family there.
            _ if self.habits.rebirth && self.plan.tables[table].has_parent => Mode::Whole,
            _ if self.habits.handover => Mode::Whole,
            Shape::Ring | Shape::Chain => Mode::Whole,
            Shape::Forward => self.one_of(&[Mode::Whole, Mode::PartialDown]),
            Shape::Down | Shape::Both => self.one_of(&[Mode::Whole, Mode::Partial, Mode::Partial]),
        };
        let channel = self.channel();
        let excluded = self.excluded();
        let first = self.plan.triggers.len();
        if self.chance(0.4) {
            self.shared_trigger(table, mode, &channel, &excluded);
        } else {
            for (source, target) in self.pairs() {
                let rules = self.one_of(&[0, 1, 1, 1, 1, 2]);
                for _ in 0..rules {
                    self.own_trigger(table, (&source, &target), mode, &channel, &excluded, None);
                }
            }
        }
        if self.chance(0.4) {
            self.copies(table, &channel, &excluded);
        }
        self.keep_in_order(first);
    }

    /// Rules that fill a copy of the table: a trigger of its own, or another router of the same one.
    fn copies(&mut self, table: usize, channel: &str, excluded: &[&'static str]) {
        let copy = self.plan.tables[table].copy();
        // What fills one table comes by one channel, with the same columns.
        let is_filled = self
            .plan
            .routers
            .iter()
            .any(|router| router.target_table.as_ref() == Some(&copy));
        let (same_channel, same_columns) = (is_filled || self.chance(0.6), is_filled || self.chance(0.6));
        let channel = if same_channel {
            channel.to_owned()
        } else {
            self.channel()
        };
        let excluded = if same_columns {
            excluded.to_vec()
        } else {
            self.excluded()
        };
        // What the copy's rules let through nobody passes on. An insert may be an update where a row is known already.
        let exact = self.habits.handover || (self.shape.is_line() && self.habits.reload);
        let mode = if exact { Mode::Whole } else { Mode::Partial };
        for (source, target) in self.pairs() {
            if self.chance(0.7) {
                let pair = (source.as_str(), target.as_str());
                self.own_trigger(table, pair, mode, &channel, &excluded, Some(copy.clone()));
            }
        }
    }

    /// Some rules become other ones, or are switched off or on.
    pub(super) fn change(&mut self) {
        for number in 0..self.plan.triggers.len() {
            if self.plan.triggers[number].table < FIRST_ROWS || self.chance(0.6) {
                continue;
            }
            let (events, conditions) = (self.events(), self.conditions());
            let (active, selection) = (!self.chance(0.15), self.node_select(false));
            let trigger = &mut self.plan.triggers[number];
            (trigger.events, trigger.conditions, trigger.active) = (events, conditions, active);
            if let Some((_, _, own)) = &mut trigger.own {
                *own = selection;
            }
        }
        for number in 0..self.plan.routers.len() {
            if self.chance(0.4) {
                let (events, selection) = (self.events(), self.selection(false, false));
                let router = &mut self.plan.routers[number];
                (router.events, router.selection) = (events, selection);
            }
        }
        for number in 0..self.plan.trigger_routers.len() {
            self.plan.trigger_routers[number].enabled = !self.chance(0.15);
        }
    }

    /// Whether all events have to pass from this group on.
    fn is_whole(&self, mode: Mode, source: &str) -> bool {
        match mode {
            Mode::Whole => true,
            Mode::Partial => false,
            Mode::PartialDown => source != "hub",
        }
    }

    fn is_forwarding(&self, source: &str) -> bool {
        self.shape.is_line() || (self.shape == Shape::Forward && source == "hub")
    }

    fn own_trigger(
        &mut self,
        table: usize,
        (source, target): (&str, &str),
        mode: Mode,
        channel: &str,
        excluded: &[&'static str],
        target_table: Option<String>,
    ) {
        let whole = self.is_whole(mode, source);
        let selection = self.node_select(whole && target == "hub");
        let mut trigger = self.trigger(table, whole, channel, excluded);
        trigger.incoming = self.is_forwarding(source);
        trigger.target_table = target_table;
        trigger.own = Some((source.to_owned(), target.to_owned(), selection));
        self.plan.triggers.push(trigger);
    }

    /// One trigger for all groups, with a router for each link, or two.
    fn shared_trigger(&mut self, table: usize, mode: Mode, channel: &str, excluded: &[&'static str]) {
        // Its own flags hold for all its routers.
        let mut trigger = self.trigger(table, mode != Mode::Partial, channel, excluded);
        trigger.incoming = self.shape.passes_on();
        trigger.column_level &= mode == Mode::Whole;
        let id = trigger.id.clone();
        self.plan.triggers.push(trigger);
        for (source, target) in self.pairs() {
            for _ in 0..self.one_of(&[1, 1, 2]) {
                let whole = self.is_whole(mode, &source);
                let to_hub = whole && target == "hub";
                let copy = !self.is_forwarding(&target) && self.chance(0.2);
                let router = Router {
                    id: format!("r{}", self.plan.routers.len()),
                    source: source.clone(),
                    target: target.clone(),
                    selection: self.selection(whole, to_hub),
                    events: if whole { Events::ALL } else { self.events() },
                    target_table: copy.then(|| self.plan.tables[table].copy()),
                };
                let enabled = !self.chance(0.08);
                self.plan.trigger_routers.push(TriggerRouter {
                    trigger: id.clone(),
                    router: router.id.clone(),
                    enabled,
                });
                self.plan.routers.push(router);
            }
        }
    }

    /// Links, families, and the rows that need them travel on one channel.
    fn keep_in_order(&mut self, first: usize) {
        let plan = &mut self.plan;
        let ids: Vec<String> = plan.triggers[first..]
            .iter()
            .map(|trigger| trigger.id.clone())
            .collect();
        let mut routers = plan
            .trigger_routers
            .iter()
            .filter(|link| ids.contains(&link.trigger));
        let asks_router = routers.any(|link| {
            let mut routers = plan.routers.iter();
            routers.any(|router| router.id == link.router && router.selection.is_by_links())
        });
        let asks_itself = plan.triggers[first..].iter().any(|trigger| {
            trigger
                .own
                .as_ref()
                .is_some_and(|(_, _, selection)| selection.is_by_links())
        });
        let refers = plan.triggers[first..]
            .iter()
            .any(|trigger| plan.tables[trigger.table].has_parent);
        if asks_router || asks_itself || refers {
            let channel = plan.channels[0].id.clone();
            for trigger in &mut plan.triggers[first..] {
                trigger.channel.clone_from(&channel);
            }
        }
    }

    /// Links go to every node that may have to look up for others; families go wherever rows refer to them.
    pub(super) fn common_table(&mut self, table: usize, parents: bool) {
        let channel = self.plan.channels[0].id.clone();
        for (source, target) in self.pairs() {
            // A delete is looked up by the links as they were, where they are captured.
            let passes_on = self.shape.passes_on();
            let is_needed = passes_on || self.habits.rebirth || (parents && table > 0);
            if !is_needed && self.chance(0.5) {
                continue;
            }
            let trigger = Trigger {
                incoming: self.is_forwarding(&source),
                own: Some((source, target, Selection::All)),
                active: true,
                column_level: false,
                ..self.trigger(table, true, &channel, &[])
            };
            self.plan.triggers.push(trigger);
        }
    }
}
