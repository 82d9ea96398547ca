//! What the source's database answers for rules that ask one.
//!
//! The questions are set-wise: one query for a rule, a table and up to [`QUESTIONS_MAX`] different values, never
//! one for a row. They are asked in the transaction that reads the batch. A lookup also counts links that were
//! changed or deleted since ([`crate::links`]).

pub(crate) mod rule_sql;

use crate::decode::HistCache;
use crate::dialect::reading::row_set;
use crate::error::Error;
use crate::links::FormerLinks;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use symstream_shared::cell::Cell;
use symstream_shared::db::{DbError, Param, Sql};
use symstream_shared::id::GroupId;
use symstream_shared::model::{Config, LookupRule, Rule, RuleKind, Subselect};
use symstream_shared::retry::Disposition;
use symstream_shared::schema::Tables;
use symstream_shared::wire::{Change, Rows, RuleAnswers, RuleId, TableInfo};

/// Different values that one query asks about.
const QUESTIONS_MAX: usize = 1000;

/// Who asks, and with which configuration.
pub(crate) struct Asker<'a> {
    /// The names of the `sym_` tables.
    pub tables: &'a Tables,
    /// The configuration in force for the batch.
    pub config: &'a Config,
    /// The source's group.
    pub group: &'a GroupId,
    /// The one group whose rules are asked, where the batch is for a node of it.
    pub target_group: Option<&'a GroupId>,
    /// The batch's lowest `data_id`: links that changed from there on count as they were. `None` in an initial
    /// load, which is about the present.
    pub since: Option<i64>,
    /// The trigger histories that were read.
    pub history: &'a mut HistCache,
}

/// One rule with the changes of one table that it applies to.
struct Question<'a> {
    rule: &'a Rule,
    table: &'a TableInfo,
    changes: Vec<(u32, &'a Change)>,
}

impl Asker<'_> {
    /// The answers for all rules that ask a database and apply to any of `rows`.
    ///
    /// # Errors
    /// [`Error::Rule`] that names the rule which failed.
    pub(crate) async fn ask(&mut self, sql: &mut dyn Sql, rows: &Rows) -> Result<Vec<RuleAnswers>, Error> {
        let mut answers = BTreeMap::<RuleId, Answers>::new();
        for (index, table) in (0_u16..).zip(&rows.tables) {
            let rules = self.config.rules_of(&table.trigger_ids, self.group);
            let target_group = self.target_group;
            let is_asked = |rule: &&Rule| {
                rule.kind.asks_database() && target_group.is_none_or(|group| rule.target_group == *group)
            };
            for rule in rules.iter().filter(is_asked) {
                let changes: Vec<(u32, &Change)> = (0_u32..)
                    .zip(&rows.changes)
                    .filter(|(_, change)| change.table == index && self.concerns(rule, change))
                    .collect();
                if changes.is_empty() {
                    continue;
                }
                let question = Question { rule, table, changes };
                let sets = match &rule.kind {
                    RuleKind::Lookup(lookup) => self.look_up(sql, &question, lookup).await,
                    RuleKind::Subselect(subselect) => self.select(sql, &question, subselect).await,
                    RuleKind::Default | RuleKind::Column(_) => continue,
                };
                let sets = sets.map_err(|err| rule_failed(rule, &table.source_table, err))?;
                let answers = answers.entry(rule.id.clone()).or_default();
                for ((change, _), set) in question.changes.iter().zip(sets) {
                    answers.add(*change, set);
                }
            }
        }
        Ok(answers
            .into_iter()
            .map(|(rule, answers)| answers.finish(rule))
            .collect())
    }

    /// Whether the router will ask the rule about the change: an initial load brings rows to the nodes that they
    /// are for, also where the rule is not for inserts.
    fn concerns(&self, rule: &Rule, change: &Change) -> bool {
        self.since.is_none() || rule.applies_to(change.operation)
    }

    /// For each change the external ids that the lookup table has for the key before and after it.
    async fn look_up(
        &mut self,
        sql: &mut dyn Sql,
        question: &Question<'_>,
        lookup: &LookupRule,
    ) -> Result<Vec<BTreeSet<String>>, Error> {
        let (key, key_info) = rule_sql::column(question.table, &lookup.key_column)?;
        let mut keys = Distinct::default();
        let asked: Vec<Vec<usize>> = question
            .changes
            .iter()
            .map(|(_, change)| {
                let versions = [&change.new, &change.old].into_iter().flatten();
                versions
                    .map(|row| vec![row[key].clone()])
                    .filter(|key| !key[0].is_null())
                    .map(|key| keys.index(key))
                    .collect()
            })
            .collect();

        let kind = sql.kind();
        let links = rule_sql::lookup(sql, lookup, key_info, "r.c0").await?;
        let mut found = vec![BTreeSet::new(); keys.values.len()];
        for (first, values) in keys.chunks() {
            let (set, params) = row_set(kind, values, 1);
            let statement = format!(
                "select r.i, {} from {set} join {} on {}",
                kind.as_text(&links.external_id),
                links.from,
                links.condition,
            );
            collect(sql, &statement, &params, first, &mut found).await?;
        }
        if let Some(since) = self.since {
            let former = FormerLinks {
                tables: self.tables,
                config: self.config,
                lookup,
                table_name: &links.table_name,
                since,
            };
            former.add(sql, self.history, &keys.by_text(), &mut found).await?;
        }
        Ok(asked
            .iter()
            .map(|keys| keys.iter().flat_map(|key| found[*key].iter().cloned()).collect())
            .collect())
    }

    /// For each change the nodes of the rule's group for which the condition holds.
    async fn select(
        &self,
        sql: &mut dyn Sql,
        question: &Question<'_>,
        subselect: &Subselect,
    ) -> Result<Vec<BTreeSet<String>>, Error> {
        let kind = sql.kind();
        let mut columns = Vec::new();
        let group = &question.rule.target_group;
        let condition = rule_sql::subselect(sql, subselect, group, question.table, |index, column| {
            let known = columns.iter().position(|known| *known == (index, column.old));
            let number = known.unwrap_or_else(|| {
                columns.push((index, column.old));
                columns.len() - 1
            });
            Ok(format!("r.c{number}"))
        })
        .await?;
        let mut values = Distinct::default();
        let asked: Vec<usize> = question
            .changes
            .iter()
            .map(|(_, change)| {
                let mut tuple: Vec<Cell> = columns
                    .iter()
                    .map(|&(index, old)| value(change, index, old))
                    .collect();
                // A set of rows needs a column, also where the condition names none.
                if tuple.is_empty() {
                    tuple.push(Cell::Null);
                }
                values.index(tuple)
            })
            .collect();
        let mut found = vec![BTreeSet::new(); values.values.len()];
        for (first, rows) in values.chunks() {
            let (set, mut params) = row_set(kind, rows, columns.len().max(1));
            params.push(group.as_str().into());
            let statement = format!(
                "select r.i, c.node_id from {set} join {} c on c.node_group_id = ? and ({condition})",
                self.tables.name("node")
            );
            collect(sql, &statement, &params, first, &mut found).await?;
        }
        Ok(asked.into_iter().map(|set| found[set].clone()).collect())
    }
}

/// A column's value as a condition sees it: a delete has no new values, so both names mean the row it removed.
fn value(change: &Change, index: usize, old: bool) -> Cell {
    let row = match (old, &change.new, &change.old) {
        (false, Some(new), _) => Some(new),
        (_, _, old) => old.as_ref(),
    };
    row.map_or(Cell::Null, |row| row[index].clone())
}

/// Adds each (row number, id) of the result to the set of that row, whose numbers begin behind `first`.
async fn collect(
    sql: &mut dyn Sql,
    statement: &str,
    params: &[Param],
    first: usize,
    found: &mut [BTreeSet<String>],
) -> Result<(), DbError> {
    sql.query_each(statement, params, &mut |row| {
        let number = usize::try_from(row.int(0)?).unwrap_or(0);
        let set = (first + number)
            .checked_sub(1)
            .and_then(|index| found.get_mut(index));
        let set = set.ok_or_else(|| DbError::unexpected(format!("row {number} was not asked about")))?;
        set.extend(row.opt_text(1)?);
        Ok(())
    })
    .await
}

/// An error of the database, as one of the rule that was asked; what goes away by itself stays what it is.
pub(crate) fn rule_failed(rule: &Rule, table: &str, err: Error) -> Error {
    match err {
        Error::Database(err) if err.disposition != Disposition::Retry => Error::Rule {
            rule: rule.id.clone(),
            table: table.to_owned(),
            reason: err.message,
            disposition: err.disposition,
        },
        err => err,
    }
}

/// Different tuples of values, numbered.
#[derive(Default)]
struct Distinct {
    values: Vec<Vec<Cell>>,
    numbers: HashMap<Vec<(&'static str, Option<String>)>, usize>,
}

impl Distinct {
    fn index(&mut self, tuple: Vec<Cell>) -> usize {
        let key = tuple.iter().map(|cell| (cell.kind(), cell.to_text())).collect();
        *self.numbers.entry(key).or_insert_with(|| {
            self.values.push(tuple);
            self.values.len() - 1
        })
    }

    /// Pieces with the number of their first tuple.
    fn chunks(&self) -> impl Iterator<Item = (usize, &[Vec<Cell>])> {
        self.values
            .chunks(QUESTIONS_MAX)
            .enumerate()
            .map(|(chunk, values)| (chunk * QUESTIONS_MAX, values))
    }

    /// The numbers by the text of the only value.
    fn by_text(&self) -> HashMap<String, usize> {
        let texts = self.values.iter().enumerate();
        texts
            .filter_map(|(number, tuple)| Some((tuple.first()?.to_text()?, number)))
            .collect()
    }
}

/// The answers for one rule.
#[derive(Default)]
struct Answers {
    sets: Vec<Vec<String>>,
    numbers: HashMap<BTreeSet<String>, u32>,
    changes: Vec<(u32, u32)>,
}

impl Answers {
    fn add(&mut self, change: u32, set: BTreeSet<String>) {
        let next = u32::try_from(self.sets.len()).unwrap_or(u32::MAX);
        let number = *self.numbers.entry(set).or_insert_with_key(|set| {
            self.sets.push(set.iter().cloned().collect());
            next
        });
        self.changes.push((change, number));
    }

    fn finish(mut self, rule: RuleId) -> RuleAnswers {
        self.changes.sort_unstable();
        RuleAnswers {
            rule,
            sets: self.sets,
            changes: self.changes,
        }
    }
}

#[cfg(test)]
mod tests;
