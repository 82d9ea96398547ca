//! The statements of a random transaction.

use super::phases::Writer;
use super::selection::EVERYBODY;
use super::table::FIRST_ROWS;
use super::write::{Bond, Row, What, Which, Write};
use rand::RngExt;
use rand::seq::IndexedRandom;

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
/// Keys are made of numbers below a million: each shift doubles them at most.
const SHIFT_MAX: i64 = 400_000;

impl Writer<'_> {
    pub(super) fn writes(&mut self, node: usize) -> Vec<Write> {
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

    /// Whether a row may get another key. Where rules keep that from a target, the row stays there under its old key, and
    /// its bond's links may not end.
    fn may_rename(&self, table: usize) -> bool {
        let flows = self.plan.flows();
        let mut flows = flows.iter().filter(|flow| flow.trigger.table == table);
        let passes = flows.all(|flow| flow.events.update && flow.trigger.conditions.update.is_none());
        passes || !self.plan.habits.rebirth
    }

    fn rename(&mut self, family: usize, table: usize) -> Vec<Write> {
        if !self.may_rename(table) {
            return self.update(family, table);
        }
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
        if self.plan.habits.handover || !can_shift || !self.may_rename(table) {
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
