//! Random transactions.

use super::POOL;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// Random transactions on a pool's rows. Each is right whatever the tables hold: after a lost connection nobody
/// knows what was committed.
#[derive(Debug)]
pub struct Writes {
    rng: StdRng,
    pool: u32,
    rows: u32,
    number: u64,
}

impl Writes {
    /// Those of a seed, on the first `rows` rows of the pool.
    pub fn new(seed: u64, pool: u32, rows: u32) -> Self {
        Self {
            rng: StdRng::seed_from_u64(seed ^ u64::from(pool) << 32),
            pool,
            rows,
            number: 0,
        }
    }

    /// The next transaction's statements.
    pub fn transaction(&mut self) -> String {
        self.number += 1;
        let count = self.rng.random_range(1..=4);
        let statements: Vec<String> = (0..count).map(|_| self.step()).collect();
        statements.join(";\n")
    }

    fn step(&mut self) -> String {
        match self.rng.random_range(0..12) {
            0..5 => self.plain(),
            5..8 => self.child(),
            8..10 => self.tree(),
            _ => self.circle(),
        }
    }

    fn id(&mut self) -> u32 {
        self.pool * POOL + self.rng.random_range(0..self.rows)
    }

    fn key(&mut self) -> String {
        format!("'{}-{}'", self.pool, self.rng.random_range(0..self.rows))
    }

    fn plain(&mut self) -> String {
        let (key, other, number) = (self.key(), self.key(), self.number);
        match self.rng.random_range(0..6) {
            0 => add(
                "plain",
                "k, n, note",
                &key,
                &format!("{key}, 0, 'added by {number}'"),
                "",
            ),
            1 | 2 => format!("update plain set n = n + 1, note = 'updated by {number}' where k = {key}"),
            3 => format!("delete from plain where k = {key}"),
            4 => format!(
                "delete from plain where k = {key};\ninsert into plain values ({key}, 1, 'again by {number}')"
            ),
            _ if key == other => format!("delete from plain where k = {key}"),
            _ => {
                format!("delete from plain where k = {other};\nupdate plain set k = {other} where k = {key}")
            }
        }
    }

    fn child(&mut self) -> String {
        let (id, other, number) = (self.id(), self.id(), self.number);
        let id = id.to_string();
        match self.rng.random_range(0..6) {
            0 => add(
                "parent",
                "id, name",
                &id,
                &format!("{id}, 'added by {number}'"),
                "",
            ),
            1 => {
                let parent = exists("parent", other);
                add(
                    "child",
                    "id, parent_id, amount",
                    &id,
                    &format!("{id}, {other}, 0"),
                    &parent,
                )
            }
            2 => format!(
                "update child set parent_id = {other} where id = {id} and {}",
                exists("parent", other)
            ),
            3 => format!("update parent set name = 'updated by {number}' where id = {id}"),
            4 => format!("delete from child where id = {id}"),
            _ => format!("delete from child where parent_id = {id};\ndelete from parent where id = {id}"),
        }
    }

    fn tree(&mut self) -> String {
        let (id, other, number) = (self.id(), self.id(), self.number);
        match self.rng.random_range(0..4) {
            0 => {
                let id = id.to_string();
                add(
                    "tree",
                    "id, boss, name",
                    &id,
                    &format!("{id}, {other}, 'added by {number}'"),
                    &exists("tree", other),
                )
            }
            1 => add(
                "tree",
                "id, boss, name",
                &id.to_string(),
                &format!("{id}, null, 'top'"),
                "",
            ),
            2 => format!(
                "update tree set boss = {other}, name = 'moved by {number}' where id = {id} and {}",
                exists("(select id from tree) t", other)
            ),
            _ => format!("update tree set boss = null where boss = {id};\ndelete from tree where id = {id}"),
        }
    }

    fn circle(&mut self) -> String {
        let (id, other, number) = (self.id(), self.id(), self.number);
        match self.rng.random_range(0..6) {
            0 => add(
                "team",
                "id, name",
                &id.to_string(),
                &format!("{id}, 'added by {number}'"),
                "",
            ),
            1 => {
                let id = id.to_string();
                add(
                    "person",
                    "id, team_id, name",
                    &id,
                    &format!("{id}, {other}, 'added'"),
                    &exists("team", other),
                )
            }
            2 => format!(
                "update team set head = {other} where id = {id} and {}",
                exists("person", other)
            ),
            3 => format!(
                "update person set team_id = {other} where id = {id} and {}",
                exists("team", other)
            ),
            4 => format!(
                "update person set team_id = null where team_id = {id};\ndelete from team where id = {id}"
            ),
            _ => {
                format!("update team set head = null where head = {id};\ndelete from person where id = {id}")
            }
        }
    }
}

/// Inserts a row unless its key is there, on the condition.
fn add(table: &str, columns: &str, key: &str, values: &str, condition: &str) -> String {
    let (key_column, _) = columns.split_once(',').unwrap_or((columns, ""));
    let and = if condition.is_empty() { "" } else { " and " };
    format!(
        "insert into {table} ({columns}) select {values} from (select 1 as one) o \
         where not exists (select 1 from {table} where {key_column} = {key}){and}{condition}"
    )
}

fn exists(table: &str, id: u32) -> String {
    format!("exists (select 1 from {table} where id = {id})")
}
