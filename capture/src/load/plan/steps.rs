//! The steps of a plan: the tables in an order that foreign keys allow, and what of them comes later.

use super::circles::{ForeignKey, ParentsFirst, has_value};
use super::condition::in_parentheses;
use super::later::Later;
use super::{LoadTable, Planned};
use crate::dialect::reading::selected_row;
use crate::load::order::{Placed, order};
use std::sync::Arc;
use symstream_shared::db::DatabaseKind;
use symstream_shared::wire::Operation;

/// The readings of a plan, in their order.
pub(in crate::load) struct Arranged {
    /// The tables, parents first.
    pub tables: Vec<Planned>,
    /// The rows of each of them.
    inserts: Vec<RowStep>,
    /// The values that come when all rows are there.
    updates: Vec<RowStep>,
}

/// One reading of rows.
pub(in crate::load) struct RowStep {
    /// What is selected.
    pub table: LoadTable,
    /// Inserts, or updates of what was inserted before.
    pub operation: Operation,
    /// Tables that refer to each other and can not be opened have the same number.
    pub circle: Option<u32>,
}

/// What of a table's references is not there yet when its rows go.
#[derive(Default)]
struct Open<'a> {
    /// The columns that are null first.
    later: Vec<usize>,
    /// Keys to the table itself that can not be null.
    to_itself: Vec<&'a ForeignKey>,
}

impl Arranged {
    /// Puts the tables in order. Of each those rows are read for which `condition` holds too.
    pub(super) fn new(
        kind: DatabaseKind,
        planned: Vec<Planned>,
        keys: &[ForeignKey],
        condition: Option<&str>,
    ) -> Self {
        let mut placed = in_order(&planned, keys);
        let circles = placed.iter().filter_map(|placed| placed.circle).max();
        let mut circles = circles.unwrap_or(0);
        let mut inserts = Vec::new();
        let mut updates = Vec::new();
        let mut open_places = Vec::new();
        for place in 0..placed.len() {
            let child = &planned[placed[place].index];
            let open = open_references(&planned, &placed, place, keys);
            let parents_first = match open.to_itself.as_slice() {
                [key] => Some(key.parents_first(kind, &child.table)),
                [] => None,
                several => {
                    warn_of_several(child, several.len());
                    if placed[place].circle.is_none() {
                        circles += 1;
                        placed[place].circle = Some(circles);
                    }
                    None
                }
            };
            inserts.push(RowStep {
                table: child.reading(kind, condition, &open.later, false, parents_first.as_ref()),
                operation: Operation::Insert,
                circle: placed[place].circle,
            });
            if !open.later.is_empty() {
                updates.push(RowStep {
                    table: child.reading(kind, condition, &open.later, true, None),
                    operation: Operation::Update,
                    circle: None,
                });
            }
            let deleted_with = placed[place].circle.or_else(|| {
                // A key alone does not tell which row refers to which.
                (!open.to_itself.is_empty()).then(|| {
                    circles += 1;
                    circles
                })
            });
            open_places.push((placed[place].index, open.later, deleted_with));
        }
        let mut planned: Vec<Option<Planned>> = planned.into_iter().map(Some).collect();
        Self {
            tables: open_places
                .into_iter()
                .filter_map(|(index, later, deleted_with)| {
                    let table = planned[index].take()?;
                    Some(Planned {
                        later,
                        deleted_with,
                        ..table
                    })
                })
                .collect(),
            inserts,
            updates,
        }
    }

    /// The readings of rows.
    pub(in crate::load) fn into_rows(self) -> impl Iterator<Item = RowStep> {
        self.inserts.into_iter().chain(self.updates)
    }
}

fn in_order(planned: &[Planned], keys: &[ForeignKey]) -> Vec<Placed> {
    let can_come_later = |key: &ForeignKey| {
        let mut children = planned.iter().filter(|child| child.sends(key)).peekable();
        children.peek()?;
        Some(children.all(|child| !key.can_be_null(&child.table, &child.layout).is_empty()))
    };
    let references: Vec<_> = keys
        .iter()
        .filter_map(|key| Some(key.reference(can_come_later(key)?)))
        .collect();
    let names: Vec<_> = planned
        .iter()
        .map(|table| (table.name.clone(), table.load_order))
        .collect();
    order(&names, &references)
}

/// The references of the table at `place` to itself, and to tables behind it.
fn open_references<'a>(
    planned: &[Planned],
    placed: &[Placed],
    place: usize,
    keys: &'a [ForeignKey],
) -> Open<'a> {
    let child = &planned[placed[place].index];
    let is_behind = |key: &ForeignKey| {
        placed[place + 1..]
            .iter()
            .any(|other| planned[other.index].name == key.parent)
    };
    let mut open = Open::default();
    for key in keys.iter().filter(|key| child.sends(key)) {
        if !key.is_to_itself() && !is_behind(key) {
            continue;
        }
        let columns = key.can_be_null(&child.table, &child.layout);
        if columns.is_empty() && key.is_to_itself() {
            open.to_itself.push(key);
        } else if columns.is_empty() {
            tracing::warn!(
                table = child.name.name,
                refers_to = key.parent.name,
                in_one_batch = placed[place].circle.is_some(),
                "the rows of a load go to a target before the rows that they refer to, whose columns can not be \
                 null; it takes them only where its foreign key is deferred or not there"
            );
        }
        open.later.extend(columns);
    }
    open.later.sort_unstable();
    open.later.dedup();
    open
}

fn warn_of_several(table: &Planned, foreign_key_count: usize) {
    tracing::warn!(
        table = table.name.name,
        foreign_key_count,
        "the rows of a load can not be sent parents first: the table refers to itself in several ways, in columns that \
         can not be null; they go in one batch"
    );
}

impl Planned {
    /// Whether the table's rows have values in all columns of the foreign key.
    fn sends(&self, key: &ForeignKey) -> bool {
        self.name == key.child && key.is_captured(&self.table, &self.layout)
    }

    /// The rows, or those whose values in the `later` columns come as an update.
    fn reading(
        &self,
        kind: DatabaseKind,
        condition: Option<&str>,
        later: &[usize],
        later_only: bool,
        parents_first: Option<&ParentsFirst>,
    ) -> LoadTable {
        let columns: Vec<_> = self
            .layout
            .table
            .columns
            .iter()
            .filter_map(|column| self.table.column(&column.name))
            .collect();
        let mut fields = vec![selected_row(kind, "t", &columns)];
        fields.extend(self.wanted.flags.iter().cloned());
        let mut conditions: Vec<String> = self
            .wanted
            .condition
            .iter()
            .map(|text| format!("({text})"))
            .collect();
        conditions.extend(condition.map(in_parentheses));
        if later_only {
            conditions.push(format!("({})", has_value(kind, &self.layout, later)));
        }
        let filter = match conditions.is_empty() {
            true => String::new(),
            false => format!(" where {}", conditions.join(" and ")),
        };
        let select = format!(
            "{with}select {fields} from {table} t{join}{filter}{order}",
            with = parents_first.map_or("", |tree| &tree.with),
            fields = fields.join(", "),
            table = kind.quote_table(self.table.schema.as_deref(), &self.table.name),
            join = parents_first.map_or("", |tree| &tree.join),
            order = parents_first.map_or("", |_| ParentsFirst::ORDER),
        );
        LoadTable {
            layout: Arc::clone(&self.layout),
            select,
            wanted: self.wanted.clone(),
            later: Later::of(&self.layout.table, later),
        }
    }
}
