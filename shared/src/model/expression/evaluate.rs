//! Evaluating the expressions of `column` rules: what a row's values say about the nodes that get it.
//!
//! A column's value is the one after the change; for a deleted row, the one before it. An old value of an
//! inserted row is null. Null equals null here, and differs from every text.

use super::{ColumnExpression, ColumnRef, CompareWith, Operator};
use crate::cell::Cell;
use crate::model::Node;
use crate::wire::{Change, TableInfo};

/// Why an expression does not fit a table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BindError {
    /// The table, as it was when the change was captured, has no such column.
    #[error("table {table} has no column {column:?}")]
    UnknownColumn {
        /// The name in the expression.
        column: String,
        /// The table.
        table: String,
    },
    /// Several columns differ from the name in case only.
    #[error("table {table} has several columns that match {column:?}; write the name in the right case")]
    AmbiguousColumn {
        /// The name in the expression.
        column: String,
        /// The table.
        table: String,
    },
}

/// What of a node a column is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeAttribute {
    /// `:NODE_ID`
    Id,
    /// `:EXTERNAL_ID`
    External,
    /// `:NODE_GROUP_ID`
    Group,
}

/// Which nodes one comparison selects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selected {
    /// Every node of the rule's target group.
    All,
    /// The nodes whose attribute is one of these values.
    With(NodeAttribute, Vec<String>),
    /// The nodes whose attribute is none of these values.
    Without(NodeAttribute, Vec<String>),
}

impl NodeAttribute {
    fn of(self, node: &Node) -> &str {
        match self {
            Self::Id => node.node_id.as_str(),
            Self::External => node.external_id.as_str(),
            Self::Group => node.group.as_str(),
        }
    }
}

impl Selected {
    /// Whether it is true of a node of the rule's target group.
    pub fn includes(&self, node: &Node) -> bool {
        let has = |attribute: NodeAttribute, values: &[String]| {
            values.iter().any(|value| value == attribute.of(node))
        };
        match self {
            Self::All => true,
            Self::With(attribute, values) => has(*attribute, values),
            Self::Without(attribute, values) => !has(*attribute, values),
        }
    }
}

/// An expression tied to the columns of one table.
#[derive(Debug, Clone)]
pub struct BoundExpression {
    any_of: Vec<Comparison>,
}

#[derive(Debug, Clone)]
struct Comparison {
    column: Position,
    operator: Operator,
    operand: Operand,
}

#[derive(Debug, Clone)]
enum Operand {
    Node(NodeAttribute),
    Column(Position),
    Null,
    Text(String),
}

/// Where a value stands in a change.
#[derive(Debug, Clone, Copy)]
struct Position {
    index: usize,
    old: bool,
}

impl BoundExpression {
    /// Finds the expression's columns in a table.
    ///
    /// # Errors
    /// [`BindError`] for the first column that is not there.
    pub fn new(expression: &ColumnExpression, table: &TableInfo) -> Result<Self, BindError> {
        let any_of = expression
            .any_of
            .iter()
            .map(|comparison| {
                Ok(Comparison {
                    column: position(table, &comparison.column)?,
                    operator: comparison.operator,
                    operand: match &comparison.value {
                        CompareWith::NodeId => Operand::Node(NodeAttribute::Id),
                        CompareWith::ExternalId => Operand::Node(NodeAttribute::External),
                        CompareWith::NodeGroupId => Operand::Node(NodeAttribute::Group),
                        CompareWith::Column(column) => Operand::Column(position(table, column)?),
                        CompareWith::Null => Operand::Null,
                        CompareWith::Literal(text) => Operand::Text(text.clone()),
                    },
                })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { any_of })
    }

    /// Whether one node gets the change.
    pub fn selects(&self, change: &Change, node: &Node) -> bool {
        self.select(change).iter().any(|selected| selected.includes(node))
    }

    /// The nodes that get the change: those of any item.
    pub fn select(&self, change: &Change) -> Vec<Selected> {
        self.any_of
            .iter()
            .filter_map(|comparison| comparison.select(change))
            .collect()
    }
}

impl Comparison {
    fn select(&self, change: &Change) -> Option<Selected> {
        let left = self.column.value(change);
        let right = match &self.operand {
            Operand::Node(attribute) => return select_by(*attribute, self.operator, left),
            Operand::Column(column) => column.value(change),
            Operand::Null => None,
            Operand::Text(text) => Some(text.clone()),
        };
        let holds = match self.operator {
            Operator::Equals => left == right,
            Operator::NotEquals => left != right,
            Operator::Contains => matches!((&left, &right), (Some(list), Some(item)) if lists(list, item)),
            Operator::NotContains => {
                matches!((&left, &right), (Some(list), Some(item)) if !lists(list, item))
            }
        };
        holds.then_some(Selected::All)
    }
}

/// A node's attributes are never null: a null column equals none of them and differs from all.
fn select_by(attribute: NodeAttribute, operator: Operator, left: Option<String>) -> Option<Selected> {
    let items = |list: String| list.split(',').map(|item| item.trim().to_owned()).collect();
    match (operator, left) {
        (Operator::Equals, Some(value)) => Some(Selected::With(attribute, vec![value])),
        (Operator::NotEquals, Some(value)) => Some(Selected::Without(attribute, vec![value])),
        (Operator::Contains, Some(list)) => Some(Selected::With(attribute, items(list))),
        (Operator::NotContains, Some(list)) => Some(Selected::Without(attribute, items(list))),
        (Operator::NotEquals, None) => Some(Selected::All),
        (Operator::Equals | Operator::Contains | Operator::NotContains, None) => None,
    }
}

fn lists(list: &str, item: &str) -> bool {
    list.split(',').any(|listed| listed.trim() == item)
}

impl Position {
    fn value(self, change: &Change) -> Option<String> {
        let row = if self.old {
            change.old.as_ref()
        } else {
            change.new.as_ref().or(change.old.as_ref())
        };
        row.and_then(|cells| cells.get(self.index))
            .and_then(Cell::to_text)
    }
}

/// A column that is called `OLD_…` itself goes before the old value of another.
fn position(table: &TableInfo, column: &ColumnRef) -> Result<Position, BindError> {
    if column.old {
        let whole = format!("OLD_{}", column.name);
        if let Some(index) = find(table, &whole)? {
            return Ok(Position { index, old: false });
        }
    }
    match find(table, &column.name)? {
        Some(index) => Ok(Position {
            index,
            old: column.old,
        }),
        None => Err(BindError::UnknownColumn {
            column: column.name.clone(),
            table: table.source_table.clone(),
        }),
    }
}

/// The column with exactly this name, else the one that differs in case only.
fn find(table: &TableInfo, name: &str) -> Result<Option<usize>, BindError> {
    if let Some(index) = table.columns.iter().position(|column| column.name == name) {
        return Ok(Some(index));
    }
    let folded = name.to_lowercase();
    let mut alike = table
        .columns
        .iter()
        .enumerate()
        .filter(|(_, column)| column.name.to_lowercase() == folded);
    match (alike.next(), alike.next()) {
        (Some(_), Some(_)) => Err(BindError::AmbiguousColumn {
            column: name.to_owned(),
            table: table.source_table.clone(),
        }),
        (first, _) => Ok(first.map(|(index, _)| index)),
    }
}

#[cfg(test)]
mod tests;
