//! Making a history from random numbers.
//!
//! All rows of a family are written at one node at a time, by one connection: so every row has one order of changes, and
//! the steps of the history are in that order for each row.

use super::generate::REGIONS;
use super::history::{Connection, Disturbance, History, Phase, Piece, Reload, Transaction};
use super::plan::{Conditions, Events, Plan};
use super::selection::{EVERYBODY, Selection};
use super::write::{Attributes, Bond};
use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use std::collections::BTreeMap;

const FAMILIES_EACH: usize = 3;
/// Rows that are written together: what is known of them while the history is made.
#[derive(Debug, Clone)]
pub(super) struct Family {
    pub(super) node: usize,
    pub(super) attributes: Attributes,
    pub(super) is_linked: bool,
    /// The numbers of its rows in each table.
    pub(super) rows: BTreeMap<usize, Vec<i64>>,
    /// Numbers of deleted rows.
    pub(super) gone: BTreeMap<usize, Vec<i64>>,
    pub(super) next: i64,
}

/// A history in the making.
pub(super) struct Writer<'a> {
    pub(super) rng: &'a mut StdRng,
    pub(super) plan: &'a Plan,
    pub(super) families: Vec<Family>,
    pub(super) step: i64,
}

/// Makes a history for the plans of its phases.
pub fn history(plans: &[Plan], rng: &mut StdRng) -> History {
    let plan = &plans[0];
    let mut writer = Writer {
        rng,
        plan,
        families: Vec::new(),
        step: 0,
    };
    for node in 0..plan.nodes.len() {
        for _ in 0..FAMILIES_EACH {
            writer.family(node);
        }
    }
    let before = if plan.habits.preload {
        (0..4).map(|_| writer.committed(0)).collect()
    } else {
        Vec::new()
    };
    let mut phases = Vec::new();
    for (number, plan) in plans.iter().enumerate() {
        writer.plan = plan;
        phases.push(writer.phase(number));
    }
    History { before, phases }
}

impl Writer<'_> {
    pub(super) fn chance(&mut self, probability: f64) -> bool {
        self.rng.random_bool(probability)
    }

    fn family(&mut self, node: usize) {
        let family = i64::try_from(self.families.len()).expect("few") + 1;
        let attributes = self.attributes(Bond { family, life: 0 });
        self.families.push(Family {
            node,
            attributes,
            is_linked: false,
            rows: BTreeMap::new(),
            gone: BTreeMap::new(),
            next: 1,
        });
    }

    pub(super) fn some_node(&mut self) -> String {
        self.plan.nodes.choose(self.rng).expect("nodes").id.clone()
    }

    pub(super) fn attributes(&mut self, bond: Bond) -> Attributes {
        let owner = match self.rng.random_range(0..8) {
            0 => None,
            1 => Some(EVERYBODY.to_owned()),
            2 => Some("nobody".to_owned()),
            _ => Some(self.some_node()),
        };
        let tags: Vec<String> = (0..self.rng.random_range(0..=3))
            .map(|_| self.some_node())
            .collect();
        Attributes {
            bond,
            owner,
            region: self.rng.random_range(0..REGIONS),
            tags: (!tags.is_empty() || self.chance(0.5)).then(|| tags.join(",")),
        }
    }

    fn phase(&mut self, number: usize) -> Phase {
        if number > 0 && self.plan.habits.handover {
            for family in 0..self.families.len() {
                if self.chance(0.5) {
                    self.families[family].node = self.rng.random_range(0..self.plan.nodes.len());
                }
            }
        }
        let first = self.step + 1;
        let connections = (0..self.plan.nodes.len())
            .map(|node| Connection {
                node,
                transactions: (0..self.rng.random_range(4..=10))
                    .map(|_| self.transaction(node))
                    .collect(),
            })
            .collect();
        let steps = (first, self.step);
        let count = self.one_of(&[0, 0, 1, 1, 2]);
        let mut disturbances: Vec<Disturbance> = Vec::new();
        for disturbance in (0..count).filter_map(|_| self.disturbance()).collect::<Vec<_>>() {
            // A service that has only just started ends by the signal that asks it to.
            let is_alone = disturbances
                .iter()
                .all(|other| !other.ends_services() || !disturbance.ends_services());
            if is_alone {
                disturbances.push(disturbance);
            }
        }
        let reloads = if self.plan.habits.reload && self.chance(0.6) {
            self.reload().into_iter().collect()
        } else {
            Vec::new()
        };
        Phase {
            connections,
            disturbances,
            reloads,
            steps,
            last: self.step,
        }
    }

    pub(super) fn one_of<T: Copy>(&mut self, some: &[T]) -> T {
        *some.choose(self.rng).expect("something to choose from")
    }

    fn disturbance(&mut self) -> Option<Disturbance> {
        let node = self.rng.random_range(0..self.plan.nodes.len());
        let channel = self.plan.channels.choose(self.rng).expect("channels").id.clone();
        let can_miss = self.plan.habits.misses;
        match self.rng.random_range(0..if can_miss { 9 } else { 6 }) {
            0 | 1 => Some(Disturbance::Suspend { node, channel }),
            2 => Some(Disturbance::Close { channel }),
            3 => Some(Disturbance::Restart { node }),
            4 => Some(Disturbance::Kill { node }),
            5 if self.plan.habits.reload_at_once => {
                let reload = self.reload()?;
                (self.is_whole(reload.table) && !self.plan.tables[reload.table].has_parent)
                    .then_some(Disturbance::Reload(reload))
            }
            5 | 6 => Some(Disturbance::Suspend { node, channel }),
            7 => Some(Disturbance::Ignore { node, channel }),
            // The registration server is always on.
            _ => (node > 0).then_some(Disturbance::Disable { node }),
        }
    }

    /// Whether all changes of the table's rows reach the nodes that the rows are for.
    fn is_whole(&self, table: usize) -> bool {
        let flows = self.plan.flows();
        let mut flows = flows.iter().filter(|flow| flow.trigger.table == table);
        flows.all(|flow| {
            flow.events == Events::ALL
                && flow.trigger.conditions == Conditions::default()
                && *flow.selection != Selection::FormerOwner
        })
    }

    fn reload(&mut self) -> Option<Reload> {
        let plan = self.plan;
        let to_hub = plan.nodes[0].group == "hub";
        let mut some = Vec::new();
        for (from, source) in plan.nodes.iter().enumerate() {
            for (to, target) in plan.nodes.iter().enumerate() {
                for flow in plan.flows() {
                    let between = flow.source == source.group && flow.target == target.group;
                    // What a leaf sends to a hub may go on from there as updates or as inserts.
                    let known = !to_hub || from == 0;
                    let table = flow.trigger.table;
                    let mut triggers = plan.triggers.iter().filter(|trigger| trigger.table == table);
                    if between && known && triggers.all(|trigger| trigger.excluded.is_empty()) {
                        some.push((from, to, table));
                    }
                }
            }
        }
        let (from, to, table) = some.choose(self.rng).copied()?;
        self.step += 1;
        Some(Reload {
            step: self.step,
            from,
            to,
            table,
        })
    }

    fn transaction(&mut self, node: usize) -> Transaction {
        let before = self.families.clone();
        let mut transaction = self.committed(node);
        if self.chance(0.12) {
            transaction.commits = false;
            self.families = before;
        }
        transaction
    }

    fn committed(&mut self, node: usize) -> Transaction {
        let mut pieces = Vec::new();
        for _ in 0..self.rng.random_range(1..=3) {
            if self.chance(0.2) {
                let before = self.families.clone();
                let released = self.chance(0.5);
                let writes = self.writes(node);
                if !released {
                    self.families = before;
                }
                pieces.push(Piece::Savepoint { writes, released });
            } else {
                pieces.push(Piece::Plain(self.writes(node)));
            }
        }
        Transaction {
            pieces,
            commits: true,
        }
    }
}
