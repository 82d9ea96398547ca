//! Which rows of a table a load of one node has, by its rules: in SQL, because a load has one connection, on which the
//! rows stream. Only `column` rules are asked about the rows as they come.

use crate::answers::{rule_failed, rule_sql};
use crate::decode::Layout;
use crate::dialect::reading::{captured, exact_text};
use crate::error::Error;
use symstream_shared::catalog::{ColumnDef, TableDef};
use symstream_shared::db::{DatabaseKind, DbError, Row, Sql};
use symstream_shared::model::{BoundExpression, ColumnRef, CompareWith, LookupRule, Node, Rule, RuleKind};
use symstream_shared::retry::Disposition;
use symstream_shared::schema::Tables;
use symstream_shared::wire::Change;

/// The variables of `initial_load_select`.
const NODE_ID: &str = "$(nodeId)";
const GROUP_ID: &str = "$(groupId)";
const EXTERNAL_ID: &str = "$(externalId)";

/// Which rows several rules together select for one node.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    /// What a row has to fulfil; `None`: nothing.
    pub condition: Option<String>,
    /// What is selected beside the row, for [`Self::wants`].
    pub flags: Vec<String>,
    node: Node,
    /// For each flag, the expression that decides where it is 1; `None`: the flag alone does. Without flags every
    /// row that is selected is wanted.
    by: Vec<Option<BoundExpression>>,
}

impl Wanted {
    /// What the rules say of the table aliased `t`. A rule selects what its `initial_load_select` and its own condition
    /// do.
    pub(super) async fn by_rules(
        sql: &mut dyn Sql,
        tables: &Tables,
        table: &TableDef,
        layout: &Layout,
        rules: &[Rule],
        node: &Node,
    ) -> Result<Self, Error> {
        let mut by_sql = Vec::new();
        let mut by_column = Vec::new();
        for rule in rules {
            let mut conditions: Vec<String> = load_select(sql.kind(), rule, node).into_iter().collect();
            match &rule.kind {
                RuleKind::Default => {}
                RuleKind::Column(expression) => {
                    let bound = BoundExpression::new(expression, &layout.table)
                        .map_err(|err| not_fitting(rule, layout, err.to_string()))?;
                    by_column.push((all_of(&conditions), bound));
                    continue;
                }
                RuleKind::Lookup(lookup) => {
                    let looked_up = looked_up(sql, table, layout, lookup, node).await;
                    conditions
                        .push(looked_up.map_err(|err| rule_failed(rule, &table.name, Error::Database(err)))?);
                }
                RuleKind::Subselect(subselect) => {
                    let kind = sql.kind();
                    let value = |index: usize, column: &ColumnRef| {
                        captured_column(kind, table, layout, index, column)
                    };
                    let over_nodes =
                        rule_sql::subselect(sql, subselect, &rule.target_group, &layout.table, value).await;
                    let over_nodes =
                        over_nodes.map_err(|err| rule_failed(rule, &table.name, Error::Database(err)))?;
                    conditions.push(format!(
                        "exists (select 1 from {} c where c.node_id = {} and c.node_group_id = {} and ({over_nodes}))",
                        tables.name("node"),
                        kind.literal(node.node_id.as_str()),
                        kind.literal(rule.target_group.as_str()),
                    ));
                }
            }
            by_sql.push(all_of(&conditions));
        }
        Ok(Self::any_of(by_sql, by_column, node))
    }

    /// The rows that any of the conditions selects, or any of the expressions among the rows that its condition does.
    fn any_of(
        by_sql: Vec<Option<String>>,
        by_column: Vec<(Option<String>, BoundExpression)>,
        node: &Node,
    ) -> Self {
        let by_sql = some_of(by_sql);
        let mut wanted = Self {
            condition: None,
            flags: Vec::new(),
            node: node.clone(),
            by: Vec::new(),
        };
        match by_sql {
            // One of the rules wants everything.
            Some(None) => return wanted,
            Some(Some(condition)) if by_column.is_empty() => {
                wanted.condition = Some(condition);
                return wanted;
            }
            Some(Some(condition)) => {
                wanted.flags.push(flag(Some(&condition)));
                wanted.by.push(None);
                wanted.condition = Some(condition);
            }
            None => {}
        }
        let mut conditions: Vec<Option<String>> = wanted.condition.take().map(Some).into_iter().collect();
        for (condition, expression) in by_column {
            wanted.flags.push(flag(condition.as_deref()));
            wanted.by.push(Some(expression));
            conditions.push(condition);
        }
        wanted.condition = some_of(conditions).flatten();
        wanted
    }

    /// Whether a row that was selected is wanted. Its flags begin behind `first`.
    pub(super) fn wants(&self, row: &Row, first: usize, insert: &Change) -> Result<bool, DbError> {
        if self.by.is_empty() {
            return Ok(true);
        }
        for (index, by) in self.by.iter().enumerate() {
            let is_set = row.int(first + index)? != 0;
            if is_set && by.as_ref().is_none_or(|by| by.selects(insert, &self.node)) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// What of a node the rules look at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct LooksAt {
    /// Its id, or anything in its row of `sym_node`.
    pub node_id: bool,
    /// Its external id.
    pub external_id: bool,
}

impl LooksAt {
    /// Adds what one rule looks at.
    pub(super) fn add(&mut self, rule: &Rule) {
        if let Some(select) = &rule.initial_load_select {
            self.node_id |= select.contains(NODE_ID);
            self.external_id |= select.contains(EXTERNAL_ID);
        }
        match &rule.kind {
            RuleKind::Default => {}
            RuleKind::Column(expression) => {
                for comparison in &expression.any_of {
                    self.node_id |= comparison.value == CompareWith::NodeId;
                    self.external_id |= comparison.value == CompareWith::ExternalId;
                }
            }
            RuleKind::Lookup(_) => self.external_id = true,
            RuleKind::Subselect(_) => self.node_id = true,
        }
    }
}

/// The rule's `initial_load_select`, with the node's values in place of its variables.
fn load_select(kind: DatabaseKind, rule: &Rule, node: &Node) -> Option<String> {
    let select = rule.initial_load_select.as_deref().map(str::trim)?;
    if select.is_empty() {
        return None;
    }
    let variables = [
        (NODE_ID, node.node_id.as_str()),
        (GROUP_ID, node.group.as_str()),
        (EXTERNAL_ID, node.external_id.as_str()),
    ];
    let mut text = String::with_capacity(select.len());
    let mut rest = select;
    // In one pass: a value may look like a variable.
    while let Some(start) = rest.find("$(") {
        let (before, from) = rest.split_at(start);
        text.push_str(before);
        let variable = variables.iter().find(|(name, _)| from.starts_with(name));
        rest = match variable {
            Some((name, value)) => {
                text.push_str(&inside_quotes(kind, value));
                &from[name.len()..]
            }
            None => {
                text.push_str("$(");
                &from[2..]
            }
        };
    }
    text.push_str(rest);
    Some(in_parentheses(&text))
}

/// A value as it stands between the quotes of a literal that somebody else has written.
fn inside_quotes(kind: DatabaseKind, value: &str) -> String {
    let value = value.replace('\'', "''");
    match kind {
        DatabaseKind::Mysql => value.replace('\\', "\\\\"),
        DatabaseKind::Postgres | DatabaseKind::Sqlite => value,
    }
}

/// A comment at the end of a user's SQL ends with its line.
pub(super) fn in_parentheses(condition: &str) -> String {
    format!("({condition}\n)")
}

/// Whether the lookup table has the node for a row.
async fn looked_up(
    sql: &mut dyn Sql,
    table: &TableDef,
    layout: &Layout,
    lookup: &LookupRule,
    node: &Node,
) -> Result<String, DbError> {
    let kind = sql.kind();
    let (index, key) = rule_sql::column(&layout.table, &lookup.key_column)?;
    let value = captured(
        kind,
        column_def(table, layout, index)?,
        &name_in_t(kind, &key.name),
    );
    let links = rule_sql::lookup(sql, lookup, key, &value).await?;
    let external_id = exact_text(kind, &links.external_id);
    let ids = [Some(node.external_id.as_str()), lookup.all_nodes_value.as_deref()];
    let ids: Vec<String> = ids
        .into_iter()
        .flatten()
        .map(|id| format!("{external_id} = {}", exact_text(kind, &kind.literal(id))))
        .collect();
    Ok(format!(
        "exists (select 1 from {} where {} and ({}))",
        links.from,
        links.condition,
        ids.join(" or ")
    ))
}

/// A column as a condition names it. A load brings a row as its insert would: there is nothing before it, but its type is
/// the column's.
fn captured_column(
    kind: DatabaseKind,
    table: &TableDef,
    layout: &Layout,
    index: usize,
    column: &ColumnRef,
) -> Result<String, DbError> {
    let def = column_def(table, layout, index)?;
    let value = captured(kind, def, &name_in_t(kind, &def.name));
    Ok(if column.old {
        format!("(case when 1 = 0 then {value} end)")
    } else {
        value
    })
}

fn column_def<'a>(table: &'a TableDef, layout: &Layout, index: usize) -> Result<&'a ColumnDef, DbError> {
    let name = &layout.table.columns[index].name;
    table
        .column(name)
        .ok_or_else(|| DbError::unexpected(format!("table {} has no column {name}", table.name)))
}

/// A column of the table aliased `t`.
pub(super) fn name_in_t(kind: DatabaseKind, column: &str) -> String {
    format!("t.{}", kind.quote(column))
}

fn all_of(conditions: &[String]) -> Option<String> {
    (!conditions.is_empty()).then(|| conditions.join(" and "))
}

/// Any of the conditions; `None` without any, `Some(None)` where one of them is always fulfilled.
fn some_of(conditions: Vec<Option<String>>) -> Option<Option<String>> {
    if conditions.is_empty() {
        return None;
    }
    let mut different: Vec<String> = Vec::new();
    for condition in conditions {
        let Some(condition) = condition else {
            return Some(None);
        };
        if !different.contains(&condition) {
            different.push(condition);
        }
    }
    Some(Some(match different.as_slice() {
        [only] => only.clone(),
        several => several
            .iter()
            .map(|condition| format!("({condition})"))
            .collect::<Vec<_>>()
            .join(" or "),
    }))
}

fn flag(condition: Option<&str>) -> String {
    match condition {
        Some(condition) => format!("case when {condition} then 1 else 0 end"),
        None => "1".to_owned(),
    }
}

fn not_fitting(rule: &Rule, layout: &Layout, reason: String) -> Error {
    Error::Rule {
        rule: rule.id.clone(),
        table: layout.table.source_table.clone(),
        reason,
        disposition: Disposition::Hold,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use symstream_shared::db::DatabaseKind::{Mysql, Postgres, Sqlite};

    #[test]
    fn a_value_stays_between_its_quotes() {
        let value = r"x\' or 1=1 -- ";
        assert_eq!(inside_quotes(Mysql, value), r"x\\'' or 1=1 -- ");
        for kind in [Postgres, Sqlite] {
            assert_eq!(inside_quotes(kind, value), r"x\'' or 1=1 -- ", "{kind}");
        }
    }
}
