//! Making a history of writes from random numbers.
//!
//! All rows of a family are written at one node at a time, by one connection: so every row has one order of changes, and
//! the steps of the history are in that order for each row.

use super::generate::REGIONS;
use super::plan::{Conditions, Events, Plan};
use super::selection::{EVERYBODY, Selection};
use super::table::FIRST_ROWS;
use super::write::{Attributes, Bond, Row, What, Which, Write};
use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use std::collections::BTreeMap;

/// What happens, in order.
#[derive(Debug)]
pub struct History {
    /// What the registration server has before any node is there.
    pub before: Vec<Transaction>,
    /// Everything is quiet after each.
    pub phases: Vec<Phase>,
}

/// What the nodes write at the same time.
#[derive(Debug)]
pub struct Phase {
    /// One after the other on each connection; the connections at the same time.
    pub connections: Vec<Connection>,
    /// What else happens meanwhile.
    pub disturbances: Vec<Disturbance>,
    /// What is reloaded when everything is quiet again.
    pub reloads: Vec<Reload>,
    /// The first and the last step of the writes.
    pub steps: (i64, i64),
    /// The last step of all.
    pub last: i64,
}

/// What happens beside the writes of a phase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disturbance {
    /// The node takes nothing of the channel until the writes are over.
    Suspend {
        /// The node's index.
        node: usize,
        /// The channel.
        channel: String,
    },
    /// No node sends anything on the channel until the writes are over.
    Close {
        /// The channel.
        channel: String,
    },
    /// The node gets none of what is written on the channel.
    Ignore {
        /// The node's index.
        node: usize,
        /// The channel.
        channel: String,
    },
    /// The node gets nothing of what is written.
    Disable {
        /// The node's index.
        node: usize,
    },
    /// The node's services end and start again.
    Restart {
        /// The node's index.
        node: usize,
    },
    /// The node's services are killed and start again.
    Kill {
        /// The node's index.
        node: usize,
    },
    /// A table is reloaded while it is written.
    Reload(Reload),
}

/// A table is reloaded at a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reload {
    /// The step.
    pub step: i64,
    /// From there; the node's index.
    pub from: usize,
    /// To there.
    pub to: usize,
    /// The table's index.
    pub table: usize,
}

/// One writer at one node.
#[derive(Debug)]
pub struct Connection {
    /// The node's index.
    pub node: usize,
    /// What it writes.
    pub transactions: Vec<Transaction>,
}

/// One transaction.
#[derive(Debug, Clone)]
pub struct Transaction {
    /// What it does.
    pub pieces: Vec<Piece>,
    /// Whether it commits.
    pub commits: bool,
}

/// A part of a transaction.
#[derive(Debug, Clone)]
pub enum Piece {
    /// Statements.
    Plain(Vec<Write>),
    /// Statements behind a savepoint.
    Savepoint {
        /// The statements.
        writes: Vec<Write>,
        /// Whether the savepoint is released; else it is rolled back to.
        released: bool,
    },
}

/// Texts that some step between two databases might break.
const TEXTS: [&str; 10] = [
    "",
    "plain",
    "it's \"quoted\"",
    "a,b;c",
    "back\\slash",
    "line\nbreak\ttab",
    " blanks ",
    "Łódź €",
    "🙂",
    "null",
];
const FAMILIES_EACH: usize = 3;
/// Keys are made of numbers below a million: each shift doubles them at most.
const SHIFT_MAX: i64 = 400_000;

#[derive(Debug, Clone)]
struct Family {
    node: usize,
    attributes: Attributes,
    is_linked: bool,
    /// The numbers of its rows in each table.
    rows: BTreeMap<usize, Vec<i64>>,
    /// Numbers of deleted rows.
    gone: BTreeMap<usize, Vec<i64>>,
    next: i64,
}

struct Writer<'a> {
    rng: &'a mut StdRng,
    plan: &'a Plan,
    families: Vec<Family>,
    step: i64,
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
    fn chance(&mut self, probability: f64) -> bool {
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

    fn some_node(&mut self) -> String {
        self.plan.nodes.choose(self.rng).expect("nodes").id.clone()
    }

    fn attributes(&mut self, bond: Bond) -> Attributes {
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
        let disturbances = (0..count).filter_map(|_| self.disturbance()).collect();
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

    fn one_of<T: Copy>(&mut self, some: &[T]) -> T {
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

    fn writes(&mut self, node: usize) -> Vec<Write> {
        (0..self.rng.random_range(1..=4))
            .flat_map(|_| self.write(node))
            .collect()
    }

    fn write(&mut self, node: usize) -> Vec<Write> {
        let own: Vec<usize> = (0..self.families.len())
            .filter(|family| self.families[*family].node == node)
            .collect();
        let Some(&family) = own.choose(self.rng) else {
            return Vec::new();
        };
        let table = self.rng.random_range(FIRST_ROWS..self.plan.tables.len());
        let mut all = self.links(family);
        let has_rows = !self.rows(family, table).is_empty();
        let dice = self.rng.random_range(0..100);
        let writes = match dice {
            _ if !has_rows => self.insert(family, table),
            0..25 => self.insert(family, table),
            25..60 => self.update(family, table),
            60..70 => self.rename(family, table),
            70..73 => self.shift(family, table),
            73..85 => self.delete(family, table),
            85..95 => self.insert_again(family, table),
            _ if self.plan.habits.rebirth => self.rebirth(family),
            _ => self.update(family, table),
        };
        all.extend(writes);
        all
    }

    fn rows(&mut self, family: usize, table: usize) -> &mut Vec<i64> {
        self.families[family].rows.entry(table).or_default()
    }

    fn one_row(&mut self, family: usize, table: usize) -> Option<i64> {
        let numbers = self.rows(family, table).clone();
        numbers.choose(self.rng).copied()
    }

    fn at(&mut self, table: usize, what: What) -> Write {
        self.step += 1;
        Write {
            step: self.step,
            table,
            what,
        }
    }

    /// A bond has a family and links before it has rows.
    fn links(&mut self, family: usize) -> Vec<Write> {
        if std::mem::replace(&mut self.families[family].is_linked, true) {
            return Vec::new();
        }
        let bond = self.families[family].attributes.bond;
        let mut nodes: Vec<String> = (0..self.rng.random_range(0..=2))
            .map(|_| self.some_node())
            .collect();
        if self.chance(0.15) {
            nodes.push(EVERYBODY.to_owned());
        }
        nodes.sort();
        nodes.dedup();
        let mut writes = vec![self.at(1, What::Found { bond })];
        writes.extend(
            nodes
                .into_iter()
                .map(|node| self.at(0, What::Link { bond, node })),
        );
        writes
    }

    fn text(&mut self) -> Option<String> {
        let number = self.rng.random_range(0..1000);
        let text = TEXTS.choose(self.rng).expect("texts");
        self.chance(0.8).then(|| {
            if number < 300 {
                (*text).to_owned()
            } else {
                format!("{text} {number}")
            }
        })
    }

    fn row(&mut self, number: i64) -> Row {
        Row {
            number,
            amount: self.rng.random_range(0..100),
            note: self.text(),
            extra: self.text(),
        }
    }

    fn insert(&mut self, family: usize, table: usize) -> Vec<Write> {
        let count = match self.rng.random_range(0..100) {
            0..60 => 1,
            60..97 => self.rng.random_range(2..=8),
            _ => self.rng.random_range(60..=200),
        };
        let mut rows = Vec::new();
        for _ in 0..count {
            let number = self.families[family].next;
            self.families[family].next += 1;
            self.rows(family, table).push(number);
            rows.push(self.row(number));
        }
        let attributes = self.families[family].attributes.clone();
        vec![self.at(table, What::Insert { attributes, rows })]
    }

    fn update(&mut self, family: usize, table: usize) -> Vec<Write> {
        let Some(number) = self.one_row(family, table) else {
            return Vec::new();
        };
        let which = match self.rng.random_range(0..10) {
            0 => Which::All,
            1 | 2 => Which::Third(number % 3),
            _ => Which::One(number),
        };
        let what = What::Update {
            bond: self.families[family].attributes.bond,
            which,
            raise: self.chance(0.5).then(|| self.rng.random_range(1..40)),
            note: self.chance(0.5).then(|| self.text()),
            extra: self.chance(0.3).then(|| self.text()),
        };
        vec![self.at(table, what)]
    }

    fn rename(&mut self, family: usize, table: usize) -> Vec<Write> {
        let Some(from) = self.one_row(family, table) else {
            return Vec::new();
        };
        let to = self.families[family].next;
        self.families[family].next += 1;
        let rows = self.rows(family, table);
        rows.retain(|number| *number != from);
        rows.push(to);
        let bond = self.families[family].attributes.bond;
        vec![self.at(table, What::Rename { bond, from, to })]
    }

    fn shift(&mut self, family: usize, table: usize) -> Vec<Write> {
        // Behind all numbers that any row has had, so that no key comes twice.
        let by = self.families[family].next;
        let can_shift = self.plan.tables[table].key.shift(by).is_some() && by < SHIFT_MAX;
        // Where another node wrote before, this one may have a row under its old key beside the one under its new key.
        if self.plan.habits.handover || !can_shift {
            return self.update(family, table);
        }
        for number in self.rows(family, table) {
            *number += by;
        }
        let state = &mut self.families[family];
        state.next += by;
        let bond = state.attributes.bond;
        vec![self.at(table, What::Shift { bond, by })]
    }

    fn delete(&mut self, family: usize, table: usize) -> Vec<Write> {
        let Some(number) = self.one_row(family, table) else {
            return Vec::new();
        };
        self.rows(family, table).retain(|other| *other != number);
        self.families[family].gone.entry(table).or_default().push(number);
        let bond = self.families[family].attributes.bond;
        let which = Which::One(number);
        vec![self.at(table, What::Delete { bond, which })]
    }

    /// A row comes back under a key that was deleted. It may still be there at this node, when another one deleted it
    /// and the rules did not say so here.
    fn insert_again(&mut self, family: usize, table: usize) -> Vec<Write> {
        let gone = self.families[family].gone.entry(table).or_default();
        let Some(number) = gone.pop() else {
            return self.insert(family, table);
        };
        self.rows(family, table).push(number);
        let attributes = self.families[family].attributes.clone();
        let rows = vec![self.row(number)];
        let mut writes = Vec::new();
        if self.plan.habits.handover {
            let (bond, which) = (attributes.bond, Which::One(number));
            writes.push(self.at(table, What::Delete { bond, which }));
        }
        writes.push(self.at(table, What::Insert { attributes, rows }));
        writes
    }

    /// All rows of a family end, and its links with them, before or after them; what comes later is somebody else's.
    fn rebirth(&mut self, family: usize) -> Vec<Write> {
        let bond = self.families[family].attributes.bond;
        let mut writes: Vec<Write> = Vec::new();
        for table in FIRST_ROWS..self.plan.tables.len() {
            let numbers = std::mem::take(self.rows(family, table));
            self.families[family]
                .gone
                .entry(table)
                .or_default()
                .extend(numbers);
            writes.push(self.at(
                table,
                What::Delete {
                    bond,
                    which: Which::All,
                },
            ));
        }
        writes.push(self.at(1, What::Dissolve { bond }));
        let unlink = self.at(0, What::Unlink { bond });
        if self.chance(0.5) {
            writes.push(unlink);
        } else {
            writes.insert(0, unlink);
        }
        self.families[family].is_linked = false;
        let life = bond.life + 1;
        self.families[family].attributes = self.attributes(Bond { life, ..bond });
        writes
    }
}
