//! What the `sym_trigger` rows of one table ask for.

use super::hist::ActiveHist;
use super::names::{self, Taken};
use super::report::Note;
use crate::dialect::trigger::{Capture, CaptureMark, Event, Names, Survey, TriggerSpec};
use std::collections::HashSet;
use symstream_shared::catalog::{ColumnDef, TableDef};
use symstream_shared::db::DatabaseKind;
use symstream_shared::model::Trigger;
use symstream_shared::schema::Tables;

/// Why a `sym_trigger` row can not be what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub trigger_id: String,
    pub message: String,
    /// Whether it ends by itself when the other tables are done.
    pub passes: bool,
}

/// A table, and what specifications for it depend on beside it.
#[derive(Clone, Copy)]
pub(super) struct Surroundings<'a> {
    pub kind: DatabaseKind,
    pub tables: &'a Tables,
    pub table: &'a TableDef,
    pub survey: &'a Survey,
    pub taken: &'a Taken,
    /// The histories in force at the table.
    pub histories: &'a [ActiveHist],
}

/// Puts together what `triggers`, all of one table, want captured; those that the table does not allow are refused.
pub(super) fn specify<'a>(
    around: Surroundings<'a>,
    triggers: &[&'a Trigger],
) -> (TriggerSpec<'a>, Vec<Refusal>) {
    let mut rest = triggers.to_vec();
    let mut refusals = Vec::new();
    loop {
        let (spec, accepted, refused) = of_columns(around, &rest);
        refusals.extend(refused);
        let refused = names::refusals(&spec, &accepted, around.taken);
        if refused.is_empty() {
            return (spec, refusals);
        }
        // Without the row that gives it, the name that another one gives is used.
        rest = accepted;
        rest.retain(|trigger| {
            !refused
                .iter()
                .any(|refusal| refusal.trigger_id == trigger.trigger_id)
        });
        refusals.extend(refused);
    }
}

/// The specification by the columns that there are; the triggers in it, and the refusals of the others.
fn of_columns<'a>(
    around: Surroundings<'a>,
    triggers: &[&'a Trigger],
) -> (TriggerSpec<'a>, Vec<&'a Trigger>, Vec<Refusal>) {
    let Surroundings {
        kind,
        tables,
        table,
        survey,
        ..
    } = around;
    let mut captures: Vec<Capture<'a>> = Vec::new();
    let mut refusals = Vec::new();
    let mut accepted = Vec::new();
    for trigger in triggers {
        let mut histories = around.histories.iter();
        let captured = histories.find(|hist| hist.trigger_id == trigger.trigger_id);
        let columns = match columns(trigger, table, captured) {
            Ok(columns) => columns,
            Err(message) => {
                refusals.push(Refusal {
                    trigger_id: trigger.trigger_id.clone(),
                    message,
                    passes: false,
                });
                continue;
            }
        };
        accepted.push(*trigger);
        let shared = captures
            .iter_mut()
            .find(|capture| capture.is_shared_by(trigger, &columns));
        match shared {
            Some(capture) => capture.triggers.push(trigger),
            None => captures.push(Capture {
                triggers: vec![trigger],
                leaves_out_columns: columns.len() != table.columns.len(),
                key: key(table, &columns),
                columns,
                mark: CaptureMark {
                    hist_id: 0,
                    definition: 0,
                },
            }),
        }
    }
    let spec = TriggerSpec {
        kind,
        tables,
        table,
        survey,
        captures,
        names: Names::of(&accepted),
        build: 0,
    };
    (spec, accepted, refusals)
}

/// The columns to capture, or why that can not be said. One that is excluded may be gone where the trigger was
/// `captured` before and nothing else comes to be captured for that.
fn columns<'a>(
    trigger: &Trigger,
    table: &'a TableDef,
    captured: Option<&ActiveHist>,
) -> Result<Vec<&'a ColumnDef>, String> {
    let excluded: HashSet<&str> = trigger
        .excluded_columns
        .iter()
        .filter_map(|name| table.column_ignoring_case(name))
        .map(|column| column.name.as_str())
        .collect();
    let columns: Vec<&ColumnDef> = table
        .columns
        .iter()
        .filter(|column| !excluded.contains(column.name.as_str()) || table.is_key(&column.name))
        .collect();
    let missing = missing(trigger, table);
    if !missing.is_empty()
        && !captured.is_some_and(|hist| hist.lets_nothing_through(table, &columns, &missing))
    {
        let names: Vec<String> = missing.iter().map(|name| format!("{name:?}")).collect();
        return Err(format!(
            "excluded_column_names has {}, but the table has no such column; correct the names, also where a column was \
             renamed",
            names.join(", ")
        ));
    }
    if columns.is_empty() {
        return Err("no column is left to capture".to_owned());
    }
    Ok(columns)
}

/// The excluded columns that the table does not have.
fn missing<'t>(trigger: &'t Trigger, table: &TableDef) -> Vec<&'t str> {
    let names = trigger.excluded_columns.iter().map(String::as_str);
    names
        .filter(|name| table.column_ignoring_case(name).is_none())
        .collect()
}

fn key<'a>(table: &'a TableDef, columns: &[&'a ColumnDef]) -> Vec<&'a ColumnDef> {
    if table.primary_key.is_empty() {
        return columns.to_vec();
    }
    table
        .primary_key
        .iter()
        .filter_map(|name| table.column(name))
        .collect()
}

/// What the operator should know about the table and its `sym_trigger` rows.
pub(super) fn warnings(spec: &TriggerSpec<'_>, triggers: &[&Trigger]) -> Vec<Note> {
    let note = |trigger_id: String, message: String| Note {
        trigger_id,
        table: spec.table.name.clone(),
        message,
    };
    let mut notes: Vec<Note> = Vec::new();
    let mut of_table = spec.survey.warnings.clone();
    if spec.table.primary_key.is_empty() {
        of_table.push("it has no primary key, so all columns are taken for the key".to_owned());
    }
    notes.extend(
        of_table
            .into_iter()
            .map(|message| note(joined(triggers.iter().copied()), message)),
    );
    for trigger in triggers {
        let keys: Vec<&str> = trigger
            .excluded_columns
            .iter()
            .filter_map(|name| spec.table.column_ignoring_case(name))
            .filter(|column| spec.table.is_key(&column.name))
            .map(|column| column.name.as_str())
            .collect();
        if !keys.is_empty() {
            let message = format!(
                "key columns can not be excluded and are captured: {}",
                keys.join(", ")
            );
            notes.push(note(trigger.trigger_id.clone(), message));
        }
        let mut captured = spec.captures.iter().flat_map(Capture::trigger_ids);
        if captured.any(|id| id == trigger.trigger_id) {
            notes.extend(missing(trigger, spec.table).into_iter().map(|name| {
                let message = format!(
                    "excluded_column_names has {name:?}, but the table has no such column any more; take it out"
                );
                note(trigger.trigger_id.clone(), message)
            }));
        }
        for event in Event::ALL {
            let (Some(given), Some(used)) = (event.given_name(trigger), spec.names.get(event)) else {
                continue;
            };
            if given != used {
                let message = format!(
                    "name_for_{0}_trigger is {given}, but the table's triggers share one database trigger for {0}s, \
                     and a sym_trigger row before this one names it {used}",
                    event.verb()
                );
                notes.push(note(trigger.trigger_id.clone(), message));
            }
        }
    }
    notes
}

/// How messages name several `sym_trigger` rows.
pub(super) fn joined<'a>(triggers: impl IntoIterator<Item = &'a Trigger>) -> String {
    let ids: Vec<&str> = triggers
        .into_iter()
        .map(|trigger| trigger.trigger_id.as_str())
        .collect();
    ids.join(", ")
}
