//! What a trigger or a router says, where it may say anything.

use super::generate::{Generator, REGIONS};
use super::plan::{Condition, Conditions, Events, Habits, LoadSelect, Trigger};
use super::selection::Selection;
use super::table::{EXCLUDABLE, FIRST_ROWS};
use rand::RngExt;

impl Generator<'_> {
    pub(super) fn excluded(&mut self) -> Vec<&'static str> {
        if self.habits.handover || self.chance(0.7) {
            return Vec::new();
        }
        let count = self.rng.random_range(1..=EXCLUDABLE.len());
        EXCLUDABLE[EXCLUDABLE.len() - count..].to_vec()
    }

    pub(super) fn trigger(
        &mut self,
        table: usize,
        whole: bool,
        channel: &str,
        excluded: &[&'static str],
    ) -> Trigger {
        let partial = !whole && self.chance(0.6);
        let Habits {
            handover,
            misses,
            changes,
            ..
        } = self.habits;
        let is_complete = !handover && !misses && !changes;
        Trigger {
            // Ids in another order than that in which the triggers were made.
            id: format!("t{}_{}", self.rng.random_range(0..1000), self.plan.triggers.len()),
            table,
            channel: channel.to_owned(),
            events: if partial { self.events() } else { Events::ALL },
            conditions: if partial {
                self.conditions()
            } else {
                Conditions::default()
            },
            excluded: excluded.to_vec(),
            target_table: None,
            incoming: false,
            // A target that missed an update needs the whole row.
            column_level: whole && is_complete && self.chance(0.2),
            load_order: if table < FIRST_ROWS {
                1
            } else {
                self.rng.random_range(1..=3)
            },
            load_select: if partial { self.load_select() } else { None },
            own: None,
            active: !self.chance(0.05),
        }
    }

    pub(super) fn events(&mut self) -> Events {
        Events {
            insert: !self.chance(0.2),
            update: !self.chance(0.25),
            // Links that die with their rows need each delete to pass.
            delete: self.habits.rebirth || !self.chance(0.25),
        }
    }

    pub(super) fn conditions(&mut self) -> Conditions {
        let above = Condition::AmountAbove(self.rng.random_range(20..80));
        let region = Condition::Region(self.rng.random_range(0..REGIONS));
        let delete = if self.habits.rebirth {
            None
        } else {
            self.one_of(&[None, None, Some(above), Some(region)])
        };
        Conditions {
            insert: self.one_of(&[None, None, Some(above), Some(region)]),
            update: self.one_of(&[None, None, Some(above), Some(region), Some(Condition::Raised)]),
            delete,
        }
    }

    pub(super) fn load_select(&mut self) -> Option<LoadSelect> {
        let region = self.rng.random_range(0..REGIONS);
        self.one_of(&[
            None,
            Some(LoadSelect::RegionBelow(region)),
            Some(LoadSelect::OwnOrRegion(region)),
        ])
    }

    pub(super) fn selection(&mut self, whole: bool, to_hub: bool) -> Selection {
        let region = self.rng.random_range(0..REGIONS);
        // Most goes to the hub, so that it has something to pass on.
        if (to_hub || self.shape.is_line()) && self.chance(0.6) {
            return Selection::All;
        }
        let mut some = vec![
            Selection::All,
            Selection::Owner,
            Selection::NotOwner,
            Selection::OwnerOrEverybody,
            Selection::Region(region),
            Selection::OwnerOrNone,
            Selection::Tagged,
            Selection::Linked,
            Selection::LinkedOrEverybody,
            Selection::SelectOwner,
            Selection::SelectOthers(region),
        ];
        if !self.habits.rebirth {
            some.push(Selection::SelectLinked);
        }
        if !whole {
            some.push(Selection::FormerOwner);
        }
        self.one_of(&some)
    }

    pub(super) fn node_select(&mut self, to_hub: bool) -> Selection {
        let region = self.rng.random_range(0..REGIONS);
        if (to_hub || self.shape.is_line()) && self.chance(0.6) {
            return Selection::All;
        }
        let mut some = vec![
            Selection::All,
            Selection::SelectOwner,
            Selection::SelectOthers(region),
        ];
        if !self.habits.rebirth {
            some.extend([Selection::SelectLinked, Selection::SelectLinked]);
        }
        self.one_of(&some)
    }
}
