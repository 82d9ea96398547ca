//! `sym_trigger_hist`, as the synchronisation writes it.

use super::report::BuildReason;
use crate::decode::column_type;
use crate::dialect::trigger::{Event, RenderedTrigger, TriggerSpec};
use std::collections::HashSet;
use symstream_shared::csv;
use symstream_shared::db::{DbError, Param, Sql};
use symstream_shared::schema::Tables;

/// A history that is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ActiveHist {
    pub hist_id: i64,
    pub trigger_id: String,
    pub schema: Option<String>,
    pub table: String,
    pub table_hash: i64,
    pub table_shape: Option<i64>,
}

/// All histories in force, the newest first.
pub(super) async fn active(sql: &mut dyn Sql, tables: &Tables) -> Result<Vec<ActiveHist>, DbError> {
    let select = format!(
        "select trigger_hist_id, trigger_id, source_schema_name, source_table_name, table_hash, table_shape \
         from {} where inactive_time is null order by trigger_hist_id desc",
        tables.name("trigger_hist")
    );
    let rows = sql.query(&select, &[]).await?;
    rows.iter()
        .map(|row| {
            Ok(ActiveHist {
                hist_id: row.int(0)?,
                trigger_id: row.text(1)?,
                schema: row.opt_text(2)?,
                table: row.text(3)?,
                table_hash: row.int(4)?,
                table_shape: row.opt_int(5)?,
            })
        })
        .collect()
}

/// The ids of all histories that a trigger ever had.
pub(super) async fn ids(
    sql: &mut dyn Sql,
    tables: &Tables,
    trigger_id: &str,
) -> Result<HashSet<i64>, DbError> {
    let select = format!(
        "select trigger_hist_id from {} where trigger_id = ?",
        tables.name("trigger_hist")
    );
    sql.query(&select, &[trigger_id.into()])
        .await?
        .iter()
        .map(|row| row.int(0))
        .collect()
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

/// Writes the history that the specification's mark names.
pub(super) async fn insert(
    sql: &mut dyn Sql,
    spec: &TriggerSpec<'_>,
    triggers: &[RenderedTrigger],
    reason: BuildReason,
) -> Result<(), DbError> {
    let name = |event: Event| {
        let trigger = triggers.iter().find(|trigger| trigger.event == Some(event));
        Param::from(trigger.map(|trigger| trigger.name.as_str()).unwrap_or_default())
    };
    let all = &spec.table.columns;
    let statement = format!(
        "insert into {} (trigger_hist_id, trigger_id, source_table_name, source_schema_name, \
         name_for_insert_trigger, name_for_update_trigger, name_for_delete_trigger, table_hash, column_names, \
         pk_column_names, last_trigger_build_reason, create_time, column_types, table_columns, table_shape) \
         values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, {}, ?, ?, ?)",
        spec.tables.name("trigger_hist"),
        spec.kind.now()
    );
    let params = [
        spec.mark.hist_id.into(),
        spec.trigger.trigger_id.as_str().into(),
        spec.table.name.as_str().into(),
        spec.table.schema.clone().into(),
        name(Event::Insert),
        name(Event::Update),
        name(Event::Delete),
        i64::from(spec.table.hash()).into(),
        csv::encode_names(spec.columns.iter().map(|column| column.name.as_str())).into(),
        csv::encode_names(spec.key.iter().map(|column| column.name.as_str())).into(),
        reason.as_str().into(),
        csv::encode_names(all.iter().map(|column| column_type(spec.kind, column))).into(),
        csv::encode_names(all.iter().map(|column| column.name.as_str())).into(),
        spec.survey.shape.into(),
    ];
    sql.execute(&statement, &params).await?;
    Ok(())
}

/// Ends all histories of a trigger but `except`.
pub(super) async fn end_others(
    sql: &mut dyn Sql,
    tables: &Tables,
    trigger_id: &str,
    except: i64,
) -> Result<(), DbError> {
    let statement = format!(
        "update {} set inactive_time = {} where trigger_id = ? and trigger_hist_id <> ? and inactive_time is null",
        tables.name("trigger_hist"),
        sql.kind().now()
    );
    sql.execute(&statement, &[trigger_id.into(), except.into()])
        .await?;
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
