//! What SQLite says about a table's surroundings.

use super::trigger::event_of;
use crate::dialect::trigger::{ForeignTrigger, Installed, Mark, Survey};
use symstream_shared::catalog::TableDef;
use symstream_shared::db::{DbError, Sql};
use symstream_shared::schema::Tables;

const TRIGGERS: &str =
    "select name, sql from sqlite_master where type = 'trigger' and lower(tbl_name) = lower(?) order by name";

const FOREIGN_TRIGGERS: &str =
    "select name, tbl_name, sql from sqlite_master where type = 'trigger' and lower(tbl_name) <> lower(?)";

const UNIQUE_KEYS: &str = "select count(*) from pragma_index_list(?) where \"unique\" = 1 and origin <> 'pk'";

pub(crate) async fn survey(sql: &mut dyn Sql, _tables: &Tables, table: &TableDef) -> Result<Survey, DbError> {
    let mut survey = Survey::default();
    let name = [table.name.as_str().into()];
    let mut has_others = false;
    for row in sql.query(TRIGGERS, &name).await? {
        let (name, source) = (row.text(0)?, row.text(1)?);
        has_others |= !Mark::is_in(&source);
        survey.installed.insert(
            name.clone(),
            Installed {
                event: event_of(&name, &source),
                source,
                for_each_row: true,
                enabled: true,
            },
        );
    }
    if has_others {
        survey.warnings.push(
            "it has triggers of its own, and SQLite fires triggers in no defined order: what they write may be \
             captured before the row that made them fire"
                .to_owned(),
        );
    }
    if sql
        .query_opt(UNIQUE_KEYS, &name)
        .await?
        .map_or(Ok(0), |row| row.int(0))?
        > 0
    {
        survey.warnings.push(
            "a REPLACE that removes a row by a unique key other than the primary key is captured only where the \
             application sets `pragma recursive_triggers = on`"
                .to_owned(),
        );
    }
    Ok(survey)
}

/// The triggers of all other tables.
pub(crate) async fn foreign_triggers(
    sql: &mut dyn Sql,
    tables: &Tables,
    table: &TableDef,
) -> Result<Vec<ForeignTrigger>, DbError> {
    let rows = sql.query(FOREIGN_TRIGGERS, &[table.name.as_str().into()]).await?;
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
