//! What MySQL or MariaDB says about a table's surroundings.

use crate::dialect::trigger::{Event, ForeignTrigger, Installed, Mark, OtherTrigger, Survey};
use symstream_shared::catalog::TableDef;
use symstream_shared::db::{DbError, Param, Sql};
use symstream_shared::schema::Tables;

const TABLE: &str = "select database(), version(), engine from information_schema.tables \
     where table_schema = ? and table_name = ?";

const TRIGGERS: &str = "select trigger_name, event_manipulation, action_timing, action_statement \
     from information_schema.triggers where event_object_schema = ? and event_object_table = ? \
     order by event_manipulation, action_order";

const FOREIGN_TRIGGERS: &str = "select trigger_name, event_object_table, action_statement \
     from information_schema.triggers where event_object_schema = ? and event_object_table <> ?";

const CASCADES: &str = "select constraint_name, delete_rule, update_rule \
     from information_schema.referential_constraints where constraint_schema = ? and table_name = ? \
     and (delete_rule in ('CASCADE', 'SET NULL') or update_rule in ('CASCADE', 'SET NULL')) order by constraint_name";

pub(crate) async fn survey(sql: &mut dyn Sql, _tables: &Tables, table: &TableDef) -> Result<Survey, DbError> {
    let name = [Param::from(table.schema.clone()), table.name.as_str().into()];
    let Some(row) = sql.query_opt(TABLE, &name).await? else {
        return Err(DbError::unexpected(format!("table {} is gone", table.name)));
    };
    let mut survey = Survey {
        catalog: table.schema.clone(),
        home: row.opt_text(0)?,
        can_replace: row.text(1)?.contains("MariaDB"),
        ..Survey::default()
    };
    let engine = row.opt_text(2)?.unwrap_or_default();
    if !engine.eq_ignore_ascii_case("innodb") {
        survey.warnings.push(format!(
            "its engine {engine} may have no transactions: what is rolled back stays"
        ));
    }
    survey
        .warnings
        .push("TRUNCATE fires no trigger here and is not captured".to_owned());
    for row in sql.query(CASCADES, &name).await? {
        survey.warnings.push(format!(
            "what foreign key {} does (on delete {}, on update {}) fires no trigger here and is not captured",
            row.text(0)?,
            row.text(1)?.to_lowercase(),
            row.text(2)?.to_lowercase()
        ));
    }
    for row in sql.query(TRIGGERS, &name).await? {
        let (name, verb, timing, source) = (row.text(0)?, row.text(1)?, row.text(2)?, row.text(3)?);
        let event = Event::ALL
            .into_iter()
            .find(|event| event.verb().eq_ignore_ascii_case(&verb));
        if let Some(event) = event.filter(|_| timing == "AFTER" && !Mark::is_in(&source)) {
            survey.others.push(OtherTrigger {
                name: name.clone(),
                event,
                for_each_row: true,
            });
        }
        survey.installed.insert(
            name,
            Installed {
                source,
                event,
                for_each_row: true,
                enabled: true,
            },
        );
    }
    Ok(survey)
}

/// The triggers of the schema's other tables.
pub(crate) async fn foreign_triggers(
    sql: &mut dyn Sql,
    tables: &Tables,
    table: &TableDef,
) -> Result<Vec<ForeignTrigger>, DbError> {
    let name = [Param::from(table.schema.clone()), table.name.as_str().into()];
    let rows = sql.query(FOREIGN_TRIGGERS, &name).await?;
    rows.iter()
        .map(|row| {
            Ok(ForeignTrigger {
                name: row.text(0)?,
                table: row.text(1)?,
                is_ours: Mark::find(&row.text(2)?, tables).is_some(),
            })
        })
        .collect()
}
