//! What each node has to hold, by plain SQL on the journals of the nodes that write. Nothing of the product is used.
//!
//! For one target table at one node, and each way that rows can go there from a node that writes, one SELECT gives for
//! each key the last journal row that the rules on the way let pass. The newest of these over all ways says whether the
//! row is there, and what is in it.

use super::plan::{Condition, Events, Flow, LoadSelect, Plan};
use super::selection::{Asked, EVERYBODY, Linked};
use super::table::{LINKS, Table};
use std::collections::BTreeMap;
use symstream_shared::db::DatabaseKind;
use symstream_tests::database::TestDatabase;

/// A row as text, the key's columns first; null as the harness writes it.
pub type TextRow = Vec<String>;

/// A way from a node that writes to the node in question: the flows of each hop, any of which may let a change pass.
#[derive(Clone)]
struct Way<'a> {
    /// When it is open.
    steps: (i64, i64),
    /// The nodes, the writing one first.
    nodes: Vec<usize>,
    /// One list for each hop.
    hops: Vec<Vec<Flow<'a>>>,
}

/// Steps that a node was sent nothing of.
#[derive(Debug)]
pub struct Missed {
    /// The node's index.
    pub node: usize,
    /// The only channel that it is about; `None` for all.
    pub channel: Option<String>,
    /// The first and the last step.
    pub steps: (i64, i64),
}

/// Rules, and the steps at which they are in force.
#[derive(Debug, Clone, Copy)]
pub struct Era<'a> {
    /// The rules.
    pub plan: &'a Plan,
    /// The first step and the last.
    pub steps: (i64, i64),
}

impl<'a> Era<'a> {
    /// From the beginning to the end.
    pub fn whole(plan: &'a Plan) -> Self {
        Self {
            plan,
            steps: (0, i64::MAX),
        }
    }
}

/// The oracle.
pub struct Oracle<'a> {
    /// The nodes and tables, which stay the same.
    plan: &'a Plan,
    eras: &'a [Era<'a>],
    /// In the order of the plan's nodes.
    databases: &'a [TestDatabase],
    /// What nodes missed.
    missed: &'a [Missed],
}

impl Way<'_> {
    fn from(node: usize, steps: (i64, i64)) -> Self {
        Self {
            steps,
            nodes: vec![node],
            hops: Vec::new(),
        }
    }
}

impl<'a> Oracle<'a> {
    /// One for nodes whose databases these are.
    pub fn new(eras: &'a [Era<'a>], databases: &'a [TestDatabase], missed: &'a [Missed]) -> Self {
        Self {
            plan: eras[0].plan,
            eras,
            databases,
            missed,
        }
    }

    /// The rows that have to be in the table, or its copy, at a node; in the order of their texts.
    ///
    /// # Errors
    /// What a database says.
    pub async fn expected(&self, node: usize, table: usize, copy: bool) -> Result<Vec<TextRow>, String> {
        let mut newest: BTreeMap<TextRow, (i64, i64, TextRow)> = BTreeMap::new();
        let key_columns = self.plan.tables[table].key.columns().len();
        for way in self.ways(node, table, copy) {
            let sql = self.statement(&way, table).await?;
            let database = &self.databases[way.nodes[0]];
            let rows = database
                .try_rows(&sql)
                .await
                .map_err(|err| format!("{err}: {sql}"))?;
            for mut row in rows {
                let values = row.split_off(2);
                let number = |text: &str| text.parse::<i64>().map_err(|err| format!("{text}: {err}"));
                let found = (number(&row[0])?, number(&row[1])?, values);
                let key = found.2[..key_columns].to_vec();
                let known = newest.entry(key).or_insert_with(|| found.clone());
                if (known.0, known.1) < (found.0, found.1) {
                    *known = found;
                }
            }
        }
        let present = newest.into_values().filter(|(_, present, _)| *present == 1);
        let mut rows: Vec<TextRow> = present.map(|(_, _, row)| row).collect();
        rows.sort();
        Ok(rows)
    }

    /// All ways that end in this table of this node.
    fn ways(&self, node: usize, table: usize, copy: bool) -> Vec<Way<'a>> {
        let name = &self.plan.tables[table].name;
        let target = if copy {
            self.plan.tables[table].copy()
        } else {
            name.clone()
        };
        let mut ways = Vec::new();
        if !copy {
            ways.push(Way::from(node, (0, i64::MAX)));
        }
        for era in self.eras {
            let flows = era.plan.flows();
            for writer in (0..self.plan.nodes.len()).filter(|writer| *writer != node) {
                let start = Way::from(writer, era.steps);
                self.follow(start, node, (table, &target), &flows, &mut ways);
            }
        }
        ways
    }

    fn follow(
        &self,
        way: Way<'a>,
        node: usize,
        goal: (usize, &str),
        all: &[Flow<'a>],
        ways: &mut Vec<Way<'a>>,
    ) {
        let (table, target) = goal;
        let at = *way.nodes.last().expect("a way begins somewhere");
        for next in 0..self.plan.nodes.len() {
            if way.nodes.contains(&next) {
                continue;
            }
            let into = if next == node {
                target
            } else {
                self.plan.tables[table].name.as_str()
            };
            let flows = all.iter().filter(|flow| {
                flow.trigger.table == table
                    && flow.source == self.plan.nodes[at].group
                    && flow.target == self.plan.nodes[next].group
                    && flow.target_table == into
                    && (way.hops.is_empty() || flow.trigger.incoming)
            });
            let hop: Vec<Flow<'a>> = flows.cloned().collect();
            if hop.is_empty() {
                continue;
            }
            let longer = Way {
                steps: way.steps,
                nodes: way.nodes.iter().copied().chain([next]).collect(),
                hops: way.hops.iter().cloned().chain([hop]).collect(),
            };
            if next == node {
                ways.push(longer);
            } else {
                self.follow(longer, node, goal, all, ways);
            }
        }
    }

    async fn statement(&self, way: &Way<'_>, table: usize) -> Result<String, String> {
        let table = &self.plan.tables[table];
        let kind = self.plan.nodes[way.nodes[0]].kind;
        let mut conditions = [String::new(), String::new()];
        for (alias, condition) in ["a", "b"].into_iter().zip(&mut conditions) {
            let mut hops = Vec::new();
            for number in 0..way.hops.len() {
                hops.push(self.hop(way, number, alias).await?);
            }
            let (first, last) = way.steps;
            hops.push(format!("{alias}.step between {first} and {last}"));
            *condition = hops.join(" and ");
        }
        let [passes, later_passes] = conditions;
        let key = table.key.columns().iter();
        let same_key: Vec<String> = key.map(|column| format!("b.{0} = a.{0}", column.name)).collect();
        let journal = &table.journal;
        Ok(format!(
            "select a.step, a.present, {} from {journal} a where {passes} and not exists \
             (select 1 from {journal} b where {} \
             and (b.step > a.step or (b.step = a.step and b.present > a.present)) and {later_passes})",
            columns(table, way, kind),
            same_key.join(" and "),
        ))
    }

    /// That one of the hop's flows lets the change pass.
    async fn hop(&self, way: &Way<'_>, number: usize, alias: &str) -> Result<String, String> {
        let (from, to) = (way.nodes[number], &self.plan.nodes[way.nodes[number + 1]]);
        let kind = self.plan.nodes[way.nodes[0]].kind;
        let elsewhere = if number == 0 {
            None
        } else {
            Some(self.linked(from, &to.id).await?)
        };
        let asked = Asked {
            alias,
            node: &to.id,
            linked_elsewhere: elsewhere.as_ref(),
        };
        let flows: Vec<String> = way.hops[number]
            .iter()
            .map(|flow| {
                let mut passes = event(flow, number > 0, alias);
                if number == 0 {
                    passes = format!("({passes} or {})", load(flow.trigger.load_select, alias, &to.id));
                }
                for missed in self.missed_by(way.nodes[number + 1], flow) {
                    let (first, last) = missed.steps;
                    passes = format!("{passes} and {alias}.step not between {first} and {last}");
                }
                format!("({passes} and {})", flow.selection.condition(kind, asked))
            })
            .collect();
        Ok(format!("({})", flows.join(" or ")))
    }

    fn missed_by(&self, node: usize, flow: &Flow<'_>) -> impl Iterator<Item = &Missed> {
        self.missed.iter().filter(move |missed| {
            let channels = missed.channel.iter();
            missed.node == node && channels.clone().all(|channel| *channel == flow.trigger.channel)
        })
    }

    async fn linked(&self, at: usize, node: &str) -> Result<Linked, String> {
        let bonds = async |node: &str| {
            let sql = format!("select bond from {LINKS} where node = '{node}'");
            let rows = self.databases[at]
                .try_rows(&sql)
                .await
                .map_err(|err| err.to_string())?;
            Ok::<_, String>(rows.into_iter().flatten().collect())
        };
        Ok(Linked {
            node: bonds(node).await?,
            everybody: bonds(EVERYBODY).await?,
        })
    }
}

/// What of a row arrives: excluded columns of any hop stay empty.
fn columns(table: &Table, way: &Way<'_>, kind: DatabaseKind) -> String {
    let excluded = |name: &str| {
        let mut flows = way.hops.iter().flatten();
        flows.any(|flow| flow.trigger.excluded.contains(&name))
    };
    let columns: Vec<String> = table
        .columns()
        .iter()
        .map(|column| match excluded(column.name) {
            true => "null".to_owned(),
            false => kind.as_text(&format!("a.{}", column.name)),
        })
        .collect();
    columns.join(", ")
}

/// That flags and conditions let the event pass. What came with an initial load is an insert for those behind.
fn event(flow: &Flow<'_>, is_later: bool, a: &str) -> String {
    let Events {
        insert,
        update,
        delete,
    } = flow.events;
    let conditions = &flow.trigger.conditions;
    let events = [
        (insert, "I", conditions.insert),
        (insert && is_later, "L", conditions.insert),
        (update, "U", conditions.update),
        (delete, "D", conditions.delete),
    ];
    let passing: Vec<String> = events
        .into_iter()
        .filter(|(on, _, _)| *on)
        .map(|(_, op, condition)| match condition {
            None => format!("{a}.op = '{op}'"),
            Some(Condition::AmountAbove(amount)) => format!("({a}.op = '{op}' and {a}.amount > {amount})"),
            Some(Condition::Region(region)) => format!("({a}.op = '{op}' and {a}.region = {region})"),
            Some(Condition::Raised) => format!("({a}.op = '{op}' and {a}.raised = 1)"),
        })
        .collect();
    if passing.is_empty() {
        return "1 = 0".to_owned();
    }
    format!("({})", passing.join(" or "))
}

/// That the row comes with an initial load, whatever the flags and conditions.
fn load(select: Option<LoadSelect>, a: &str, node: &str) -> String {
    let condition = match select {
        None => String::new(),
        Some(LoadSelect::RegionBelow(region)) => format!(" and {a}.region < {region}"),
        Some(LoadSelect::OwnOrRegion(region)) => {
            format!(" and ({a}.owner = '{node}' or {a}.region = {region})")
        }
    };
    format!("({a}.op = 'L' and ({a}.only_node is null or {a}.only_node = '{node}'){condition})")
}
