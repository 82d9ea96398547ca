//! What PostgreSQL says about a table's surroundings.

use crate::dialect::trigger::{Event, Installed, Mark, OtherTrigger, Survey};
use symstream_shared::captured::SHAPE_OF;
use symstream_shared::catalog::TableDef;
use symstream_shared::db::{DbError, Param, Sql};
use symstream_shared::schema::Tables;

const TABLE: &str = "select c.oid::bigint, current_schema()::text, c.relkind = 'p', \
     c.relkind = 'p' or exists (select from pg_inherits i where i.inhrelid = c.oid or i.inhparent = c.oid), \
     exists (select from pg_constraint f where f.confrelid = c.oid and f.conrelid = c.oid \
     and f.contype = 'f'), array_to_string(current_schemas(false), chr(1)), \
     current_setting('max_prepared_transactions')::int > 0, current_database()::text \
     from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = ? and c.relname = ?";

/// Bits of `tgtype`: 1 for each row, 2 before, 4 insert, 8 delete, 16 update, 32 truncate, 64 instead of.
const TRIGGERS: &str = "select t.tgname::text, t.tgtype::int, t.tgenabled in ('O', 'A'), p.prosrc \
     from pg_trigger t join pg_proc p on p.oid = t.tgfoid where t.tgrelid = cast(? as bigint)::oid \
     and not t.tgisinternal";

pub(crate) async fn survey(sql: &mut dyn Sql, _tables: &Tables, table: &TableDef) -> Result<Survey, DbError> {
    let name = [Param::from(table.schema.clone()), table.name.as_str().into()];
    let Some(row) = sql.query_opt(TABLE, &name).await? else {
        return Err(DbError::unexpected(format!("table {} is gone", table.name)));
    };
    let mut survey = Survey {
        oid: row.int(0)?,
        home: row.opt_text(1)?,
        is_partitioned: row.int(2)? != 0,
        in_hierarchy: row.int(3)? != 0,
        refers_to_itself: row.int(4)? != 0,
        search_path: row
            .text(5)?
            .split('\u{1}')
            .filter(|part| !part.is_empty())
            .map(str::to_owned)
            .collect(),
        two_phase_commit: row.int(6)? != 0,
        catalog: row.opt_text(7)?,
        ..Survey::default()
    };
    let oid = [Param::from(survey.oid)];
    let shape = format!("{} cast(? as bigint)::oid {}", SHAPE_OF.0, SHAPE_OF.1);
    survey.shape = sql
        .query_opt(&shape, &oid)
        .await?
        .map_or(Ok(0), |row| row.int(0))?;
    for row in sql.query(TRIGGERS, &oid).await? {
        let (name, kind, enabled, source) = (row.text(0)?, row.int(1)?, row.int(2)? != 0, row.text(3)?);
        let for_each_row = kind & 1 != 0;
        let is_ours = Mark::is_in(&source);
        if !is_ours && enabled && kind & (2 | 64) == 0 {
            for (bit, event) in [(4, Event::Insert), (8, Event::Delete), (16, Event::Update)] {
                if kind & bit != 0 {
                    survey.others.push(OtherTrigger {
                        name: name.clone(),
                        event,
                        for_each_row,
                    });
                }
            }
        }
        survey.installed.insert(
            name,
            Installed {
                source,
                event: match kind & (4 | 8 | 16 | 32) {
                    4 => Some(Event::Insert),
                    8 | 32 => Some(Event::Delete),
                    16 => Some(Event::Update),
                    _ => None,
                },
                for_each_row,
                enabled,
            },
        );
    }
    Ok(survey)
}
