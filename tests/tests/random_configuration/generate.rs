//! Making a plan from random numbers.

use super::plan::{Channel, GroupLink, Habits, Node, Plan};
use super::table::{FAMILIES, FIRST_ROWS, Key, LINKS, Table};
use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use symstream_shared::db::DatabaseKind::{self, Mysql, Postgres, Sqlite};

/// Names that have to be quoted on one database or another, in a random order.
const TABLE_NAMES: [&str; 6] = ["stock", "Order Items", "group", "select", "visits", "o'clock"];
const KEYS: [Key; 3] = [Key::Number, Key::Text, Key::Pair];
/// The highest region is one below.
pub const REGIONS: i64 = 4;

/// How the nodes' groups are linked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// From the server to the leaves.
    Down,
    /// Both ways.
    Both,
    /// Both ways, and what a leaf sends goes on to the other leaves.
    Forward,
    /// Every node has a group of its own and sends to the next, what it gets as well as what it writes.
    Ring,
    /// Every node has a group of its own; neighbours send to each other, what they get as well as what they write.
    Chain,
}

impl Shape {
    pub(super) fn passes_on(self) -> bool {
        matches!(self, Self::Forward | Self::Ring | Self::Chain)
    }

    /// Whether every node has a group of its own.
    pub(super) fn is_line(self) -> bool {
        matches!(self, Self::Ring | Self::Chain)
    }
}

/// A plan in the making.
pub(super) struct Generator<'a> {
    pub(super) rng: &'a mut StdRng,
    pub(super) shape: Shape,
    pub(super) habits: Habits,
    pub(super) plan: Plan,
}

/// Makes a plan for each phase. They are the same but for rules that change.
pub fn plans(rng: &mut StdRng) -> Vec<Plan> {
    let (first, shape) = plan(rng);
    let phases = first.habits.phases;
    let mut plans = vec![first];
    while plans.len() < phases {
        let mut generator = Generator {
            plan: plans[plans.len() - 1].clone(),
            habits: plans[0].habits,
            shape,
            rng: &mut *rng,
        };
        if generator.habits.changes {
            generator.change();
        }
        plans.push(generator.plan);
    }
    plans
}

fn plan(rng: &mut StdRng) -> (Plan, Shape) {
    let shape = *[
        Shape::Down,
        Shape::Both,
        Shape::Both,
        Shape::Forward,
        Shape::Forward,
        Shape::Ring,
        Shape::Chain,
    ]
    .choose(rng)
    .expect("shapes");
    let handover = shape != Shape::Down && rng.random_bool(0.25);
    let rebirth = !handover && rng.random_bool(0.45);
    let alone = matches!(shape, Shape::Down | Shape::Both);
    let misses = alone && !handover && !rebirth && rng.random_bool(0.5);
    let changes = alone && !handover && !rebirth && rng.random_bool(0.7);
    let habits = Habits {
        preload: rng.random_bool(0.5),
        handover,
        rebirth,
        reload: (!rebirth || shape != Shape::Both) && rng.random_bool(0.5),
        reload_at_once: shape == Shape::Down && !misses && !changes,
        misses,
        changes,
        phases: rng.random_range(2..=3),
    };
    // A node that missed a row can not hold those that refer to it, nor one that was handed others' rows.
    let parents = !handover && !misses && !changes && rng.random_bool(0.5);
    let mut generator = Generator {
        habits,
        shape,
        plan: Plan {
            nodes: nodes(rng, shape),
            group_links: Vec::new(),
            channels: Vec::new(),
            tables: tables(rng, parents),
            triggers: Vec::new(),
            routers: Vec::new(),
            trigger_routers: Vec::new(),
            habits,
        },
        rng,
    };
    generator.links_and_channels();
    for table in FIRST_ROWS..generator.plan.tables.len() {
        generator.table(table);
    }
    for table in 0..FIRST_ROWS {
        generator.common_table(table, parents);
    }
    (generator.plan, shape)
}

fn nodes(rng: &mut StdRng, shape: Shape) -> Vec<Node> {
    let count = rng.random_range(if shape.is_line() { 3..=4 } else { 2..=4 });
    let mut kinds: Vec<DatabaseKind> = vec![Postgres, Mysql, Sqlite];
    kinds.shuffle(rng);
    let group = |number: usize, rng: &mut StdRng| match (shape, number) {
        (Shape::Ring | Shape::Chain, _) => format!("line-{number}"),
        (_, 0) => "hub".to_owned(),
        _ => (*["east", "west"].choose(rng).expect("groups")).to_owned(),
    };
    (0..count)
        .map(|number| Node {
            id: format!("{number:03}"),
            group: group(number, rng),
            kind: if number < 2 {
                kinds[number]
            } else {
                *kinds.choose(rng).expect("kinds")
            },
        })
        .collect()
}

fn tables(rng: &mut StdRng, parents: bool) -> Vec<Table> {
    let mut names = TABLE_NAMES;
    names.shuffle(rng);
    let count = rng.random_range(1..=3);
    let mut tables = vec![(LINKS, Key::Link, false), (FAMILIES, Key::Family, false)];
    for name in names.iter().take(count) {
        tables.push((
            name,
            *KEYS.choose(rng).expect("keys"),
            parents && rng.random_bool(0.6),
        ));
    }
    (0..)
        .zip(tables)
        .map(|(number, (name, key, has_parent))| Table {
            name: name.to_owned(),
            key,
            journal: format!("journal_{number}"),
            has_parent,
        })
        .collect()
}

impl Generator<'_> {
    pub(super) fn chance(&mut self, probability: f64) -> bool {
        self.rng.random_bool(probability)
    }

    pub(super) fn one_of<T: Copy>(&mut self, some: &[T]) -> T {
        *some.choose(self.rng).expect("something to choose from")
    }

    fn links_and_channels(&mut self) {
        let mut groups: Vec<String> = self.plan.nodes.iter().map(|node| node.group.clone()).collect();
        groups.dedup();
        let mut pairs: Vec<(String, String)> = Vec::new();
        let first = groups[0].clone();
        if self.shape == Shape::Ring {
            for (number, group) in groups.iter().enumerate() {
                pairs.push((group.clone(), groups[(number + 1) % groups.len()].clone()));
            }
        } else if self.shape == Shape::Chain {
            for two in groups.windows(2) {
                pairs.push((two[0].clone(), two[1].clone()));
                pairs.push((two[1].clone(), two[0].clone()));
            }
        } else {
            for leaf in &groups[1..] {
                pairs.push((first.clone(), leaf.clone()));
                if self.shape != Shape::Down {
                    pairs.push((leaf.clone(), first.clone()));
                }
            }
        }
        pairs.sort();
        pairs.dedup();
        for (source, target) in pairs {
            let action = self.one_of(&['P', 'W']);
            self.plan.group_links.push(GroupLink {
                source,
                target,
                action,
            });
        }
        for id in ["main", "side", "Bulk.2"]
            .into_iter()
            .take(self.rng.random_range(1..=3))
        {
            let channel = Channel {
                id: id.to_owned(),
                order: self.rng.random_range(1..=3),
                batch_rows: self.one_of(&[1, 3, 10, 50, 1000]),
                batches: self.one_of(&[1, 2, 60]),
            };
            self.plan.channels.push(channel);
        }
    }

    /// The groups' links: (from, to).
    pub(super) fn pairs(&self) -> Vec<(String, String)> {
        let links = self.plan.group_links.iter();
        links
            .map(|link| (link.source.clone(), link.target.clone()))
            .collect()
    }

    pub(super) fn channel(&mut self) -> String {
        let number = self.rng.random_range(0..self.plan.channels.len());
        self.plan.channels[number].id.clone()
    }
}
