//! `sym_trigger_hist`, as the synchronisation reads and writes it.

use super::report::BuildReason;
use crate::dialect::trigger::{Capture, Event, RenderedTrigger, TriggerSpec};
use std::collections::HashSet;
use symstream_shared::captured::column_type;
use symstream_shared::catalog::{ColumnDef, TableDef};
use symstream_shared::csv;
use symstream_shared::db::{DbError, Param, Sql};
use symstream_shared::schema::Tables;

/// A table exactly as its database spells it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub schema: Option<String>,
    pub table: String,
}

/// What a history says of a trigger. As long as all of it is true, the history stays in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Description {
    pub place: Place,
    pub table_hash: i64,
    pub table_shape: Option<i64>,
    column_names: String,
    key_names: String,
    /// Of the triggers for inserts, updates and deletes; empty where there is none.
    trigger_names: [String; 3],
    trigger_ids: String,
}

/// A history that is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ActiveHist {
    pub hist_id: i64,
    pub trigger_id: String,
    pub description: Description,
    /// All columns that the table had, captured or not.
    table_columns: Vec<String>,
    /// Their types.
    column_types: Vec<String>,
}

impl ActiveHist {
    /// Whether capturing `columns` of `table` lets nothing through that was left out so far, although columns that
    /// are excluded, of which `missing` are not there, can not be told. One of them may have become a new column.
    pub(super) fn lets_nothing_through(
        &self,
        table: &TableDef,
        columns: &[&ColumnDef],
        missing: &[&str],
    ) -> bool {
        let captured = csv::decode_names(&self.description.column_names).unwrap_or_default();
        let is_known = |name: &String| self.table_columns.contains(name);
        let is_gone = |name: &&str| {
            let mut known = self.table_columns.iter();
            known.any(|known| known.eq_ignore_ascii_case(name))
        };
        let may_be_renamed =
            missing.iter().any(is_gone) && table.columns.iter().any(|column| !is_known(&column.name));
        !may_be_renamed
            && columns
                .iter()
                .all(|column| !is_known(&column.name) || captured.contains(&column.name))
    }
}

impl ActiveHist {
    /// The columns whose types are others now, each with what it was and is.
    pub(super) fn other_types(&self, spec: &TriggerSpec<'_>) -> Vec<String> {
        let before = self.table_columns.iter().zip(&self.column_types);
        before
            .filter_map(|(name, before)| {
                let now = column_type(spec.kind, spec.table.column(name)?);
                (now != before).then(|| format!("{name} (was {before}, is {now})"))
            })
            .collect()
    }
}

impl Description {
    /// Whether one of its triggers has this name.
    pub(super) fn has_name(&self, name: &str) -> bool {
        self.trigger_names.iter().any(|known| known == name)
    }

    /// What is true of each trigger that shares `capture`.
    pub(super) fn of(spec: &TriggerSpec<'_>, capture: &Capture<'_>, rendered: &[RenderedTrigger]) -> Self {
        let name = |event: Event| {
            rendered
                .iter()
                .find(|trigger| trigger.event == event && !trigger.is_truncate && capture.wants(event))
                .map_or_else(String::new, |trigger| trigger.name.clone())
        };
        Self {
            place: Place {
                schema: spec.table.schema.clone(),
                table: spec.table.name.clone(),
            },
            table_hash: i64::from(spec.table.hash()),
            table_shape: Some(spec.survey.shape),
            column_names: csv::encode_names(capture.columns.iter().map(|column| column.name.as_str())),
            key_names: csv::encode_names(capture.key.iter().map(|column| column.name.as_str())),
            trigger_names: Event::ALL.map(name),
            trigger_ids: csv::encode_names(capture.trigger_ids()),
        }
    }
}

/// All histories in force, the newest first.
pub(super) async fn active(sql: &mut dyn Sql, tables: &Tables) -> Result<Vec<ActiveHist>, DbError> {
    let select = format!(
        "select trigger_hist_id, trigger_id, source_schema_name, source_table_name, table_hash, table_shape, \
         column_names, pk_column_names, name_for_insert_trigger, name_for_update_trigger, name_for_delete_trigger, \
         trigger_ids, table_columns, column_types from {} where inactive_time is null order by trigger_hist_id desc",
        tables.name("trigger_hist")
    );
    let rows = sql.query(&select, &[]).await?;
    rows.iter()
        .map(|row| {
            let trigger_id = row.text(1)?;
            let names = |index: usize| -> Result<Vec<String>, DbError> {
                let text = row.opt_text(index)?;
                Ok(text
                    .and_then(|names| csv::decode_names(&names).ok())
                    .unwrap_or_default())
            };
            let description = Description {
                place: Place {
                    schema: row.opt_text(2)?,
                    table: row.text(3)?,
                },
                table_hash: row.int(4)?,
                table_shape: row.opt_int(5)?,
                column_names: row.text(6)?,
                key_names: row.text(7)?,
                trigger_names: [row.text(8)?, row.text(9)?, row.text(10)?],
                trigger_ids: row
                    .opt_text(11)?
                    .unwrap_or_else(|| csv::encode_names([trigger_id.as_str()])),
            };
            Ok(ActiveHist {
                hist_id: row.int(0)?,
                trigger_id,
                description,
                table_columns: names(12)?,
                column_types: names(13)?,
            })
        })
        .collect()
}

/// The ids of all triggers that ever had a history.
pub(super) async fn known_triggers(sql: &mut dyn Sql, tables: &Tables) -> Result<HashSet<String>, DbError> {
    let select = format!("select distinct trigger_id from {}", tables.name("trigger_hist"));
    let rows = sql.query(&select, &[]).await?;
    rows.iter().map(|row| row.text(0)).collect()
}

/// The id for the next history. Whoever asks holds the lock of the synchronisation.
pub(super) async fn next_id(sql: &mut dyn Sql, tables: &Tables) -> Result<i64, DbError> {
    let select = format!(
        "select coalesce(max(trigger_hist_id), 0) from {}",
        tables.name("trigger_hist")
    );
    Ok(sql
        .query_opt(&select, &[])
        .await?
        .map_or(Ok(0), |row| row.int(0))?
        + 1)
}

/// A history that is to be written.
#[derive(Debug, Clone)]
pub(super) struct NewHist {
    pub hist_id: i64,
    pub trigger_id: String,
    pub reason: BuildReason,
    pub description: Description,
}

/// Writes a history.
pub(super) async fn insert(sql: &mut dyn Sql, spec: &TriggerSpec<'_>, hist: &NewHist) -> Result<(), DbError> {
    let all = &spec.table.columns;
    let statement = format!(
        "insert into {} (trigger_hist_id, trigger_id, source_table_name, source_catalog_name, \
         source_schema_name, name_for_insert_trigger, name_for_update_trigger, name_for_delete_trigger, table_hash, \
         column_names, pk_column_names, last_trigger_build_reason, create_time, column_types, table_columns, \
         table_shape, trigger_ids) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, {}, ?, ?, ?, ?)",
        spec.tables.name("trigger_hist"),
        spec.kind.now()
    );
    let description = &hist.description;
    let name = |index: usize| Param::from(description.trigger_names[index].as_str());
    let params = [
        hist.hist_id.into(),
        hist.trigger_id.as_str().into(),
        description.place.table.as_str().into(),
        spec.survey.catalog.clone().into(),
        description.place.schema.clone().into(),
        name(0),
        name(1),
        name(2),
        description.table_hash.into(),
        description.column_names.as_str().into(),
        description.key_names.as_str().into(),
        hist.reason.as_str().into(),
        csv::encode_names(all.iter().map(|column| column_type(spec.kind, column))).into(),
        csv::encode_names(all.iter().map(|column| column.name.as_str())).into(),
        description.table_shape.into(),
        description.trigger_ids.as_str().into(),
    ];
    sql.execute(&statement, &params).await?;
    Ok(())
}

/// Removes a history that nothing was captured under.
pub(super) async fn delete(sql: &mut dyn Sql, tables: &Tables, hist_id: i64) -> Result<(), DbError> {
    let statement = format!(
        "delete from {} where trigger_hist_id = ?",
        tables.name("trigger_hist")
    );
    sql.execute(&statement, &[hist_id.into()]).await?;
    Ok(())
}

/// Ends one history.
pub(super) async fn end(sql: &mut dyn Sql, tables: &Tables, hist_id: i64) -> Result<(), DbError> {
    let statement = format!(
        "update {} set inactive_time = {} where trigger_hist_id = ?",
        tables.name("trigger_hist"),
        sql.kind().now()
    );
    sql.execute(&statement, &[hist_id.into()]).await?;
    Ok(())
}
