//! The capturing side of the three dialects, behind one name each.

use super::trigger::{ForeignTrigger, RenderedTrigger, Survey, TriggerSpec};
use super::{mysql, postgres, sqlite};
use symstream_shared::catalog::TableDef;
use symstream_shared::db::{DatabaseKind, DbError, Sql};
use symstream_shared::schema::Tables;

/// Asks the database for everything that a table's triggers depend on.
pub(crate) async fn survey(sql: &mut dyn Sql, tables: &Tables, table: &TableDef) -> Result<Survey, DbError> {
    match sql.kind() {
        DatabaseKind::Postgres => postgres::survey::survey(sql, tables, table).await,
        DatabaseKind::Mysql => mysql::survey::survey(sql, tables, table).await,
        DatabaseKind::Sqlite => sqlite::survey::survey(sql, tables, table).await,
    }
}

/// The triggers of other tables whose names a trigger of `table` can not have.
pub(crate) async fn foreign_triggers(
    sql: &mut dyn Sql,
    tables: &Tables,
    table: &TableDef,
) -> Result<Vec<ForeignTrigger>, DbError> {
    match sql.kind() {
        // A trigger's name belongs to its table.
        DatabaseKind::Postgres => Ok(Vec::new()),
        DatabaseKind::Mysql => mysql::survey::foreign_triggers(sql, tables, table).await,
        DatabaseKind::Sqlite => sqlite::survey::foreign_triggers(sql, tables, table).await,
    }
}

/// What is wrong with the length of a trigger's name, if it is too long: PostgreSQL would shorten it.
pub(crate) fn excess(kind: DatabaseKind, name: &str) -> Option<&'static str> {
    match kind {
        DatabaseKind::Postgres if name.len() > 63 => Some("63 bytes"),
        DatabaseKind::Mysql if name.chars().count() > 64 => Some("64 characters"),
        _ => None,
    }
}

/// Whether two names of triggers can not stand side by side.
pub(crate) fn is_same_name(kind: DatabaseKind, one: &str, other: &str) -> bool {
    match kind {
        DatabaseKind::Postgres => one == other,
        // SQLite takes letters of ASCII for the same; MySQL and MariaDB do on some systems.
        DatabaseKind::Mysql | DatabaseKind::Sqlite => one.eq_ignore_ascii_case(other),
    }
}

/// Statements that have to run before a trigger's own; harmless when they are repeated.
pub(crate) fn support(spec: &TriggerSpec<'_>) -> Vec<String> {
    match spec.kind {
        DatabaseKind::Postgres => postgres::trigger::support(spec),
        DatabaseKind::Mysql => mysql::trigger::support(spec),
        DatabaseKind::Sqlite => sqlite::trigger::support(spec),
    }
}

/// Statements that remove what [`support`] made, when no trigger is left.
pub(crate) fn drop_support(kind: DatabaseKind, tables: &Tables) -> Vec<String> {
    match kind {
        DatabaseKind::Postgres => postgres::trigger::drop_support(tables),
        // Their triggers need nothing beside them.
        DatabaseKind::Mysql | DatabaseKind::Sqlite => Vec::new(),
    }
}

/// The triggers that capture a table.
pub(crate) fn render(spec: &TriggerSpec<'_>) -> Vec<RenderedTrigger> {
    match spec.kind {
        DatabaseKind::Postgres => postgres::trigger::render(spec),
        DatabaseKind::Mysql => mysql::trigger::render(spec),
        DatabaseKind::Sqlite => sqlite::trigger::render(spec),
    }
}

/// What removes the trigger `name` of a table, if it is there.
pub(crate) fn drop(kind: DatabaseKind, schema: Option<&str>, table: &str, name: &str) -> String {
    match kind {
        DatabaseKind::Postgres => postgres::trigger::drop(schema, table, name),
        DatabaseKind::Mysql => mysql::trigger::drop(schema, name),
        DatabaseKind::Sqlite => sqlite::trigger::drop(name),
    }
}

/// The statements of a build, so that nobody writes the table while its triggers are between the old and the new.
/// `replaces_others`: triggers of other names go.
pub(crate) fn in_one_step(
    spec: &TriggerSpec<'_>,
    statements: Vec<String>,
    replaces_others: bool,
) -> Vec<String> {
    match spec.kind {
        DatabaseKind::Mysql => mysql::trigger::in_one_step(spec, statements, replaces_others),
        // One transaction.
        DatabaseKind::Postgres | DatabaseKind::Sqlite => statements,
    }
}

/// What keeps a session from waiting long for the application, and the application from waiting long behind it: while
/// a trigger waits for a transaction that has the table, all who come later wait for the trigger. MySQL and MariaDB
/// know whole seconds only, and with 0 a table that is never quite idle would never get its triggers.
pub(crate) fn patience(kind: DatabaseKind) -> Option<&'static str> {
    match kind {
        DatabaseKind::Postgres => Some("set local lock_timeout = '200ms'"),
        DatabaseKind::Mysql => Some("set session lock_wait_timeout = 1"),
        DatabaseKind::Sqlite => None,
    }
}
