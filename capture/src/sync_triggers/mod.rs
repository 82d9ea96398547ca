//! Keeps the triggers of a database as the configuration and its tables want them.
//!
//! Owns `sym_trigger_hist`: a row is written before or together with the triggers that name it. A rebuilt trigger
//! takes its predecessor's place in one step, so that no change slips through in between. Whatever `sym_trigger` rows
//! a table has share its triggers, so tables are what is worked on, one after the other ([`table`]).

mod busy;
mod hist;
mod install;
mod names;
mod plan;
mod report;
mod table;
mod wanted;

pub(crate) use busy::BusyTables;
pub use report::{BuildReason, Built, Note, Removed, SyncReport, Updated};

use crate::dialect::capturing;
use crate::dialect::trigger::Event;
use hist::Place;
use plan::Histories;
use std::collections::{HashMap, HashSet};
use std::time::Duration;
use symstream_shared::db::{Database, DbError, NodeLock};
use symstream_shared::id::GroupId;
use symstream_shared::model::{Config, Trigger};
use symstream_shared::schema::Tables;
use table::{Sight, TableSync};

/// How long a synchronisation waits for another one, of `symadmin` or the agent.
const WAIT_FOR_ANOTHER: Duration = Duration::from_secs(30);

/// Installs, rebuilds and removes triggers, so that they are what `config` says for a node of `group`. Repeating it
/// changes nothing. With `dry_run` nothing is changed, and the report has what would be done.
///
/// A `sym_trigger` row whose table is missing, busy or refuses its triggers becomes a problem in the report; the
/// others go on. A row that was captured before and can not be what it says now keeps its table's triggers as they
/// are, so that nothing is lost until it is corrected.
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
    synchronise(db, tables, &config.triggers_at(group), dry_run, busy).await
}

/// Removes all triggers of this instance, for `symadmin uninstall`.
///
/// # Errors
/// [`DbError`] when the database refuses or is not there.
pub async fn drop_all_triggers(db: &Database, tables: &Tables) -> Result<SyncReport, DbError> {
    let _lock = lock(db, tables).await?;
    let report = synchronise(db, tables, &[], false, &mut BusyTables::default()).await?;
    if let Some(problem) = report.problems.first() {
        return Err(DbError::unexpected(problem.to_string()));
    }
    for statement in capturing::drop_support(db.kind(), tables) {
        db.execute(&statement, &[]).await?;
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

/// A table that has something to do with us, and what is wanted of it.
struct Work<'a> {
    place: Place,
    /// `None` where there is no such table.
    sight: Option<Sight>,
    triggers: Vec<&'a Trigger>,
}

async fn synchronise(
    db: &Database,
    tables: &Tables,
    wanted: &[&Trigger],
    dry_run: bool,
    busy: &mut BusyTables,
) -> Result<SyncReport, DbError> {
    let mut conn = db.conn().await?;
    let histories = Histories {
        active: hist::active(&mut conn, tables).await?,
        known: hist::known_triggers(&mut conn, tables).await?,
        next_id: hist::next_id(&mut conn, tables).await?,
    };
    drop(conn);
    let mut sync = TableSync {
        db,
        tables,
        dry_run,
        busy,
        histories,
        stuck: HashSet::new(),
        given: Vec::new(),
        report: SyncReport::default(),
    };
    let mut work = of_wanted(&mut sync, wanted).await?;
    of_histories(&mut sync, &mut work).await?;
    sync.given = given_names(&work);
    for work in &work {
        sync.tend(&work.place, work.sight.as_ref(), &work.triggers)
            .await?;
    }
    Ok(sync.report)
}

/// The names that `sym_trigger` rows give the triggers of each table.
fn given_names(work: &[Work<'_>]) -> Vec<(Place, String)> {
    let mut given = Vec::new();
    for work in work {
        for event in Event::ALL {
            let names = work
                .triggers
                .iter()
                .filter_map(|trigger| event.given_name(trigger));
            given.extend(names.map(|name| (work.place.clone(), name.to_owned())));
        }
    }
    given
}

/// The tables of all `wanted` triggers. The same one may be named in several ways.
async fn of_wanted<'a>(sync: &mut TableSync<'_>, wanted: &[&'a Trigger]) -> Result<Vec<Work<'a>>, DbError> {
    let mut work: Vec<Work<'a>> = Vec::new();
    let mut seen: HashMap<(Option<&str>, &str), usize> = HashMap::new();
    for trigger in wanted {
        let name = (trigger.source_schema.as_deref(), trigger.source_table.as_str());
        if let Some(index) = seen.get(&name) {
            work[*index].triggers.push(trigger);
            continue;
        }
        let Some(sight) = sync.look_for(trigger).await? else {
            continue;
        };
        let place = sight.place();
        let known = work.iter().position(|work| work.place == place);
        let index = known.unwrap_or(work.len());
        if known.is_none() {
            work.push(Work {
                place,
                sight: Some(sight),
                triggers: Vec::new(),
            });
        }
        work[index].triggers.push(trigger);
        seen.insert(name, index);
    }
    Ok(work)
}

/// Adds the tables that have triggers from before, and none any more.
async fn of_histories(sync: &mut TableSync<'_>, work: &mut Vec<Work<'_>>) -> Result<(), DbError> {
    let places: Vec<Place> = sync
        .histories
        .active
        .iter()
        .rev()
        .map(|hist| hist.description.place.clone())
        .collect();
    for place in places {
        if work.iter().any(|work| work.place == place) {
            continue;
        }
        let sight = sync.look_at(place.schema.as_deref(), &place.table).await?;
        work.push(Work {
            sight: sight.filter(|sight| sight.place() == place),
            place,
            triggers: Vec::new(),
        });
    }
    Ok(())
}
