//! Keeps the triggers of a database as the configuration and its tables want them.
//!
//! Owns `sym_trigger_hist`: a row is written before or together with the triggers that name it. A rebuilt trigger
//! takes its predecessor's place in one step, so that no change slips through in between.

mod busy;
mod hist;
mod report;

pub(crate) use busy::BusyTables;
pub use report::{BuildReason, Built, Note, Removed, SyncReport};

use crate::dialect::capturing;
use crate::dialect::trigger::{Event, Mark, RenderedTrigger, Survey, TriggerSpec};
use hist::ActiveHist;
use std::collections::HashSet;
use std::time::{Duration, Instant};
use symstream_shared::catalog::{self, ColumnDef, TableDef};
use symstream_shared::db::{Database, DbError, NodeLock, Sql, TxKind};
use symstream_shared::id::GroupId;
use symstream_shared::model::{Config, Trigger};
use symstream_shared::retry::Disposition;
use symstream_shared::schema::Tables;

/// How long a synchronisation waits for another one, of `symadmin` or the agent.
const WAIT_FOR_ANOTHER: Duration = Duration::from_secs(30);

/// Installs, rebuilds and removes triggers, so that they are what `config` says for a node of `group`. Repeating it
/// changes nothing. With `dry_run` nothing is changed, and the report has what would be done.
///
/// A `sym_trigger` row whose table is missing, busy or refuses its triggers becomes a problem in the report; the
/// others go on.
///
/// # Errors
/// [`DbError`] when the database is not there, or the `sym_` tables are not as they should be.
pub async fn sync_triggers(
    db: &Database,
    tables: &Tables,
    config: &Config,
    group: &GroupId,
    dry_run: bool,
) -> Result<SyncReport, DbError> {
    sync_sparing(db, tables, config, group, dry_run, &mut BusyTables::default()).await
}

/// As [`sync_triggers`], but leaves tables alone that were found in use before; they stay problems in the report.
///
/// # Errors
/// As [`sync_triggers`].
pub(crate) async fn sync_sparing(
    db: &Database,
    tables: &Tables,
    config: &Config,
    group: &GroupId,
    dry_run: bool,
    busy: &mut BusyTables,
) -> Result<SyncReport, DbError> {
    let _lock = if dry_run {
        None
    } else {
        Some(lock(db, tables).await?)
    };
    let mut report = SyncReport::default();
    let wanted = config.triggers_at(group);
    for trigger in &wanted {
        let table = trigger.source_table.clone();
        if let Err(err) = sync_one(db, tables, trigger, dry_run, busy, &mut report).await {
            note_problem(&mut report, busy, &trigger.trigger_id, &table, err)?;
        }
    }
    let ids: HashSet<&str> = wanted.iter().map(|trigger| trigger.trigger_id.as_str()).collect();
    let active = hist::active(&mut db.conn().await?, tables).await?;
    for old in active
        .iter()
        .filter(|hist| !ids.contains(hist.trigger_id.as_str()))
    {
        if is_left_alone(&mut report, busy, &old.trigger_id, &old.table) {
            continue;
        }
        match remove(db, tables, old, dry_run, &mut report).await {
            Ok(()) => busy.is_done(&old.trigger_id),
            Err(err) => note_problem(&mut report, busy, &old.trigger_id, &old.table, err)?,
        }
    }
    Ok(report)
}

/// Removes all triggers of this instance, for `symadmin uninstall`.
///
/// # Errors
/// [`DbError`] when the database refuses or is not there.
pub async fn drop_all_triggers(db: &Database, tables: &Tables) -> Result<SyncReport, DbError> {
    let _lock = lock(db, tables).await?;
    let mut report = SyncReport::default();
    for old in hist::active(&mut db.conn().await?, tables).await? {
        remove(db, tables, &old, false, &mut report).await?;
    }
    Ok(report)
}

async fn lock(db: &Database, tables: &Tables) -> Result<NodeLock, DbError> {
    let name = tables.name("sync_triggers");
    let started = tokio::time::Instant::now();
    loop {
        if let Some(lock) = NodeLock::try_acquire(db, &name).await? {
            return Ok(lock);
        }
        if started.elapsed() > WAIT_FOR_ANOTHER {
            return Err(DbError::unexpected(
                "another process is synchronising the triggers; try again when it is done",
            ));
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// A lost connection ends the synchronisation; what one table refuses does not.
fn note_problem(
    report: &mut SyncReport,
    busy: &mut BusyTables,
    trigger_id: &str,
    table: &str,
    err: DbError,
) -> Result<(), DbError> {
    let message = match err.disposition {
        _ if err.connection_lost => return Err(err),
        Disposition::Fatal => return Err(err),
        Disposition::Retry => {
            let message = format!(
                "the table is in use, so its triggers could not be changed yet ({})",
                err.message
            );
            busy.found(trigger_id, &message, Instant::now());
            message
        }
        _ => err.message,
    };
    report.problems.push(Note {
        trigger_id: trigger_id.to_owned(),
        table: table.to_owned(),
        message,
    });
    Ok(())
}

/// Whether it is too early to try again at a table that was in use; notes it then.
fn is_left_alone(report: &mut SyncReport, busy: &BusyTables, trigger_id: &str, table: &str) -> bool {
    let message = busy.pausing(trigger_id, Instant::now());
    report.problems.extend(message.map(|message| Note {
        trigger_id: trigger_id.to_owned(),
        table: table.to_owned(),
        message: message.to_owned(),
    }));
    message.is_some()
}

async fn sync_one(
    db: &Database,
    tables: &Tables,
    trigger: &Trigger,
    dry_run: bool,
    busy: &mut BusyTables,
    report: &mut SyncReport,
) -> Result<(), DbError> {
    // One snapshot, so that the columns and the table's shape are of one moment.
    let mut tx = db.begin(TxKind::ReadOnly).await?;
    let schema = trigger.source_schema.as_deref();
    let Some(table) = catalog::read_table(&mut tx, schema, &trigger.source_table).await? else {
        let place = schema.map_or_else(String::new, |schema| format!(" in schema {schema}"));
        return Err(DbError::unexpected(format!(
            "there is no such table{place}; create it or correct sym_trigger.source_table_name"
        )));
    };
    let survey = capturing::survey(&mut tx, tables, &table).await?;
    let known = hist::ids(&mut tx, tables, &trigger.trigger_id).await?;
    let active = hist::active(&mut tx, tables)
        .await?
        .into_iter()
        .find(|hist| hist.trigger_id == trigger.trigger_id);
    let next = hist::next_id(&mut tx, tables).await?;
    tx.rollback().await?;

    let mut spec = specify(db, tables, trigger, &table, &survey)?;
    for message in warnings(&spec) {
        let note = Note {
            trigger_id: trigger.trigger_id.clone(),
            table: table.name.clone(),
            message,
        };
        report.warnings.push(note);
    }
    spec.mark.build = build(&spec);
    if let Some(active) = &active {
        spec.mark.hist_id = active.hist_id;
    }
    let installed = capturing::render(&spec);
    let leftovers = leftovers(&survey, tables, &known, &installed);
    let Some(reason) = reason(&spec, active.as_ref(), !known.is_empty(), &installed, &leftovers) else {
        report.unchanged += 1;
        busy.is_done(&trigger.trigger_id);
        return Ok(());
    };
    if is_left_alone(report, busy, &trigger.trigger_id, &table.name) {
        return Ok(());
    }
    spec.mark.hist_id = next;
    let triggers = capturing::render(&spec);
    let mut statements = capturing::support(&spec);
    for trigger in &triggers {
        statements.extend(trigger.create.iter().cloned());
        statements.extend(
            trigger
                .attach
                .iter()
                .filter(|_| !trigger.is_attached(&survey))
                .cloned(),
        );
    }
    statements.extend(
        leftovers
            .iter()
            .map(|name| capturing::drop(spec.kind, table.schema.as_deref(), &table.name, name)),
    );
    let statements = capturing::in_one_step(&spec, statements, !leftovers.is_empty());
    if !dry_run {
        check_expressions(db, &spec).await?;
        install(db, &spec, &triggers, &statements, reason).await?;
        let moved = active.filter(|active| active.table != table.name || active.schema != table.schema);
        if let Some(old) = moved {
            remove(db, tables, &old, dry_run, report).await?;
        }
        busy.is_done(&trigger.trigger_id);
    }
    report.built.push(Built {
        trigger_id: trigger.trigger_id.clone(),
        table: table.name.clone(),
        reason,
        hist_id: next,
        statements,
    });
    Ok(())
}

fn specify<'a>(
    db: &Database,
    tables: &'a Tables,
    trigger: &'a Trigger,
    table: &'a TableDef,
    survey: &'a Survey,
) -> Result<TriggerSpec<'a>, DbError> {
    let mut excluded = HashSet::new();
    for name in &trigger.excluded_columns {
        let Some(column) = table.column_ignoring_case(name) else {
            return Err(DbError::unexpected(format!(
                "excluded_column_names has {name:?}, but the table has no such column"
            )));
        };
        excluded.insert(column.name.as_str());
    }
    let is_captured =
        |column: &&ColumnDef| !excluded.contains(column.name.as_str()) || table.is_key(&column.name);
    let columns: Vec<&ColumnDef> = table.columns.iter().filter(is_captured).collect();
    let mut key: Vec<&ColumnDef> = table
        .primary_key
        .iter()
        .filter_map(|name| table.column(name))
        .collect();
    if key.is_empty() {
        key.clone_from(&columns);
    }
    if columns.is_empty() {
        return Err(DbError::unexpected("no column is left to capture"));
    }
    let mark = Mark { hist_id: 0, build: 0 };
    Ok(TriggerSpec {
        kind: db.kind(),
        tables,
        trigger,
        table,
        columns,
        key,
        survey,
        mark,
    })
}

/// A hash of everything that the triggers do.
fn build(spec: &TriggerSpec<'_>) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    for trigger in capturing::render(spec) {
        for text in trigger.create.iter().chain(&trigger.attach) {
            hasher.update(text.as_bytes());
            hasher.update(&[0]);
        }
    }
    for text in capturing::support(spec) {
        hasher.update(text.as_bytes());
    }
    hasher.finalize()
}

/// Our triggers on the table that are not wanted any more, as after a change of names or events.
fn leftovers(
    survey: &Survey,
    tables: &Tables,
    histories: &HashSet<i64>,
    wanted: &[RenderedTrigger],
) -> Vec<String> {
    let mut names: Vec<String> = survey
        .installed
        .iter()
        .filter(|(name, installed)| {
            Mark::find(&installed.source, tables).is_some_and(|mark| histories.contains(&mark.hist_id))
                && !wanted.iter().any(|trigger| trigger.name == **name)
        })
        .map(|(name, _)| name.clone())
        .collect();
    names.sort();
    names
}

/// Why the triggers have to be built; `None` when they are as they should be.
fn reason(
    spec: &TriggerSpec<'_>,
    active: Option<&ActiveHist>,
    was_built_before: bool,
    triggers: &[RenderedTrigger],
    leftovers: &[String],
) -> Option<BuildReason> {
    let Some(active) = active else {
        return Some(if was_built_before {
            BuildReason::ConfigurationChanged
        } else {
            BuildReason::New
        });
    };
    let same_table = active.table == spec.table.name && active.schema == spec.table.schema;
    if !same_table {
        Some(BuildReason::ConfigurationChanged)
    } else if active.table_hash != i64::from(spec.table.hash())
        || active.table_shape != Some(spec.survey.shape)
    {
        Some(BuildReason::SchemaChanged)
    } else if !leftovers.is_empty() {
        Some(BuildReason::ConfigurationChanged)
    } else if triggers
        .iter()
        .all(|trigger| trigger.is_installed(spec.survey, spec.tables, spec.mark))
    {
        None
    } else if triggers.iter().all(|trigger| {
        !trigger.is_attached(spec.survey) || trigger.is_installed(spec.survey, spec.tables, spec.mark)
    }) {
        Some(BuildReason::TriggerMissing)
    } else {
        Some(BuildReason::ConfigurationChanged)
    }
}

fn warnings(spec: &TriggerSpec<'_>) -> Vec<String> {
    let mut warnings = spec.survey.warnings.clone();
    if spec.table.primary_key.is_empty() {
        warnings.push("it has no primary key, so all columns are taken for the key".to_owned());
    }
    let keys: Vec<&str> = spec
        .trigger
        .excluded_columns
        .iter()
        .filter_map(|name| spec.table.column_ignoring_case(name))
        .filter(|column| spec.table.is_key(&column.name))
        .map(|column| column.name.as_str())
        .collect();
    if !keys.is_empty() {
        warnings.push(format!(
            "key columns can not be excluded and are captured: {}",
            keys.join(", ")
        ));
    }
    warnings
}

/// Lets the database read conditions and expressions before they stand in a trigger, where a mistake in them would
/// make the application's statements fail.
async fn check_expressions(db: &Database, spec: &TriggerSpec<'_>) -> Result<(), DbError> {
    let mut conn = db.conn().await?;
    let table = spec.table_name();
    for event in Event::ALL
        .into_iter()
        .filter(|event| event.is_captured(spec.trigger))
    {
        let from = match event {
            Event::Insert => format!("{table} as new"),
            Event::Update => format!("{table} as old cross join {table} as new"),
            Event::Delete => format!("{table} as old"),
        };
        for (what, expression) in [
            (
                "condition",
                event
                    .condition(spec.trigger)
                    .map(|sql| format!("case when ({sql}) then 1 end")),
            ),
            (
                "tx_id_expression",
                spec.transaction().map(|sql| format!("({sql})")),
            ),
        ] {
            let Some(expression) = expression else { continue };
            let select = format!("select 1 from {from} where 1 = 0 and ({expression}) is null");
            conn.query(&select, &[])
                .await
                .map_err(|err| err.context(format!("the {what} for {} is not valid", event.verb())))?;
        }
    }
    Ok(())
}

async fn install(
    db: &Database,
    spec: &TriggerSpec<'_>,
    triggers: &[RenderedTrigger],
    statements: &[String],
    reason: BuildReason,
) -> Result<(), DbError> {
    let trigger_id = &spec.trigger.trigger_id;
    if spec.kind.capabilities().transactional_ddl {
        let mut tx = db.begin(TxKind::Write).await?;
        run(&mut tx, capturing::patience(spec.kind)).await?;
        hist::insert(&mut tx, spec, triggers, reason).await?;
        run(&mut tx, statements.iter().map(String::as_str)).await?;
        hist::end_others(&mut tx, spec.tables, trigger_id, spec.mark.hist_id).await?;
        return tx.commit().await;
    }
    // Each statement commits by itself. The history comes first, so that there is one for whatever is captured.
    let mut conn = db.conn().await?.detach();
    run(&mut conn, capturing::patience(spec.kind)).await?;
    hist::insert(&mut conn, spec, triggers, reason).await?;
    for (done, statement) in statements.iter().enumerate() {
        let Err(err) = conn.execute_script(statement).await else {
            continue;
        };
        // The old connection may hold the table's lock, which ends with it.
        drop(conn);
        let mut conn = db.conn().await?;
        if done == 0 && !err.connection_lost {
            // No trigger came about that could have captured something under this history.
            hist::delete(&mut conn, spec.tables, spec.mark.hist_id).await?;
        } else {
            hist::end(&mut conn, spec.tables, spec.mark.hist_id).await?;
        }
        return Err(err);
    }
    hist::end_others(&mut conn, spec.tables, trigger_id, spec.mark.hist_id).await
}

async fn run(sql: &mut dyn Sql, statements: impl IntoIterator<Item = &str>) -> Result<(), DbError> {
    for statement in statements {
        sql.execute_script(statement).await?;
    }
    Ok(())
}

/// Removes the triggers of a history that is not wanted any more, and ends it.
async fn remove(
    db: &Database,
    tables: &Tables,
    old: &ActiveHist,
    dry_run: bool,
    report: &mut SyncReport,
) -> Result<(), DbError> {
    let mut conn = db.conn().await?.detach();
    let known = hist::ids(&mut conn, tables, &old.trigger_id).await?;
    let table = catalog::read_table(&mut conn, old.schema.as_deref(), &old.table).await?;
    // A table that is gone took its triggers with it.
    let statements = match table.filter(|table| table.name == old.table) {
        None => Vec::new(),
        Some(table) => {
            let survey = capturing::survey(&mut conn, tables, &table).await?;
            leftovers(&survey, tables, &known, &[])
                .iter()
                .map(|name| capturing::drop(db.kind(), table.schema.as_deref(), &table.name, name))
                .collect()
        }
    };
    if !dry_run {
        if db.kind().capabilities().transactional_ddl {
            let mut tx = db.begin(TxKind::Write).await?;
            run(&mut tx, capturing::patience(db.kind())).await?;
            run(&mut tx, statements.iter().map(String::as_str)).await?;
            hist::end(&mut tx, tables, old.hist_id).await?;
            tx.commit().await?;
        } else {
            run(&mut conn, capturing::patience(db.kind())).await?;
            run(&mut conn, statements.iter().map(String::as_str)).await?;
            hist::end(&mut conn, tables, old.hist_id).await?;
        }
    }
    report.removed.push(Removed {
        trigger_id: old.trigger_id.clone(),
        table: old.table.clone(),
        statements,
    });
    Ok(())
}
