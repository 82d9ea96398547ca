//! Making a plan from random numbers.

use super::plan::{
    Channel, Condition, Conditions, Events, GroupLink, Habits, LoadSelect, Node, Plan, Router, Trigger,
    TriggerRouter,
};
use super::selection::Selection;
use super::table::{EXCLUDABLE, FAMILIES, FIRST_ROWS, Key, LINKS, Table};
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
enum Shape {
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
    fn passes_on(self) -> bool {
        matches!(self, Self::Forward | Self::Ring | Self::Chain)
    }

    /// Whether every node has a group of its own.
    fn is_line(self) -> bool {
        matches!(self, Self::Ring | Self::Chain)
    }
}

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

struct Generator<'a> {
    rng: &'a mut StdRng,
    shape: Shape,
    habits: Habits,
    plan: Plan,
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
    fn chance(&mut self, probability: f64) -> bool {
        self.rng.random_bool(probability)
    }

    fn one_of<T: Copy>(&mut self, some: &[T]) -> T {
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
    fn pairs(&self) -> Vec<(String, String)> {
        let links = self.plan.group_links.iter();
        links
            .map(|link| (link.source.clone(), link.target.clone()))
            .collect()
    }

    /// The rules of one table, and of its copy at the targets.
    fn table(&mut self, table: usize) {
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
    fn change(&mut self) {
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

    fn channel(&mut self) -> String {
        let number = self.rng.random_range(0..self.plan.channels.len());
        self.plan.channels[number].id.clone()
    }

    fn excluded(&mut self) -> Vec<&'static str> {
        if self.habits.handover || self.chance(0.7) {
            return Vec::new();
        }
        let count = self.rng.random_range(1..=EXCLUDABLE.len());
        EXCLUDABLE[EXCLUDABLE.len() - count..].to_vec()
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

    fn trigger(&mut self, table: usize, whole: bool, channel: &str, excluded: &[&'static str]) -> Trigger {
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

    fn events(&mut self) -> Events {
        Events {
            insert: !self.chance(0.2),
            update: !self.chance(0.25),
            // Links that die with their rows need each delete to pass.
            delete: self.habits.rebirth || !self.chance(0.25),
        }
    }

    fn conditions(&mut self) -> Conditions {
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

    fn load_select(&mut self) -> Option<LoadSelect> {
        let region = self.rng.random_range(0..REGIONS);
        self.one_of(&[
            None,
            Some(LoadSelect::RegionBelow(region)),
            Some(LoadSelect::OwnOrRegion(region)),
        ])
    }

    fn selection(&mut self, whole: bool, to_hub: bool) -> Selection {
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

    fn node_select(&mut self, to_hub: bool) -> Selection {
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
    fn common_table(&mut self, table: usize, parents: bool) {
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
