//! Doing at a table what its plan says.

use super::hist;
use super::plan::Plan;
use super::wanted::Refusal;
use crate::dialect::capturing;
use crate::dialect::trigger::{Capture, Event, TriggerSpec};
use symstream_shared::catalog;
use symstream_shared::db::{Database, DbError, Sql, TxKind};
use symstream_shared::retry::Disposition;
use symstream_shared::schema::Tables;

/// Lets the database read conditions and expressions before they stand in a trigger, where a mistake in them would
/// make the application's statements fail. Returns the triggers whose own are not valid.
pub(super) async fn check_expressions(
    db: &Database,
    spec: &TriggerSpec<'_>,
) -> Result<Vec<Refusal>, DbError> {
    let mut conn = db.conn().await?;
    let mut refusals = Vec::new();
    for capture in &spec.captures {
        for (what, select) in questions(spec, capture) {
            match conn.query(&select, &[]).await {
                Ok(_) => continue,
                Err(err) if err.connection_lost || err.disposition != Disposition::Hold => return Err(err),
                Err(err) => {
                    let message = format!("{what} is not valid: {}", err.message);
                    refusals.extend(capture.trigger_ids().into_iter().map(|trigger_id| Refusal {
                        trigger_id: trigger_id.to_owned(),
                        message: message.clone(),
                        passes: false,
                    }));
                    break;
                }
            }
        }
    }
    Ok(refusals)
}

/// A select for each expression of a capture, which reads it and touches no row.
fn questions(spec: &TriggerSpec<'_>, capture: &Capture<'_>) -> Vec<(String, String)> {
    let table = spec.table_name();
    let mut questions = Vec::new();
    for event in Event::ALL.into_iter().filter(|event| capture.wants(*event)) {
        let from = match event {
            Event::Insert => format!("{table} as new"),
            Event::Update => format!("{table} as old cross join {table} as new"),
            Event::Delete => format!("{table} as old"),
        };
        let mut ask = |what: &str, expression: String| {
            questions.push((
                format!("the {what} for {}", event.verb()),
                format!("select 1 from {from} where 1 = 0 and ({expression}) is null"),
            ));
        };
        if let Some(sql) = capture.condition(event) {
            ask("condition", format!("case when ({sql}) then 1 end"));
        }
        if let Some(sql) = capture.transaction() {
            ask("tx_id_expression", format!("({sql})"));
        }
    }
    questions
}

/// Writes the new histories, runs `statements`, and ends the old histories.
pub(super) async fn install(db: &Database, plan: &Plan<'_>, statements: &[String]) -> Result<(), DbError> {
    if db.kind().capabilities().transactional_ddl {
        in_one_transaction(db, plan, statements).await
    } else {
        step_by_step(db, plan, statements).await
    }
}

async fn in_one_transaction(db: &Database, plan: &Plan<'_>, statements: &[String]) -> Result<(), DbError> {
    let (spec, table) = (&plan.spec, plan.spec.table);
    let mut tx = db.begin(TxKind::Write).await?;
    run(&mut tx, capturing::patience(spec.kind)).await?;
    // Some time has passed since the table was looked at, and SQLite takes a trigger that names a column which is gone.
    let now = catalog::read_table(&mut tx, table.schema.as_deref(), &table.name).await?;
    if now.as_ref() != Some(table) {
        return Err(DbError::unexpected(
            "the table was altered while its triggers were made; they are made again",
        ));
    }
    for new in &plan.new {
        hist::insert(&mut tx, spec, new).await?;
    }
    run(&mut tx, statements.iter().map(String::as_str)).await?;
    for old in &plan.ended {
        hist::end(&mut tx, spec.tables, old.hist_id).await?;
    }
    tx.commit().await
}

/// Where each statement commits by itself. The histories come first, so that there is one for whatever is captured.
async fn step_by_step(db: &Database, plan: &Plan<'_>, statements: &[String]) -> Result<(), DbError> {
    let spec = &plan.spec;
    let mut conn = db.conn().await?.detach();
    run(&mut conn, capturing::patience(spec.kind)).await?;
    for new in &plan.new {
        hist::insert(&mut conn, spec, new).await?;
    }
    for (done, statement) in statements.iter().enumerate() {
        let Err(err) = conn.execute_script(statement).await else {
            continue;
        };
        // The old connection may hold the table's lock, which ends with it.
        drop(conn);
        let mut conn = db.conn().await?;
        for new in &plan.new {
            if done == 0 && !err.connection_lost {
                // No trigger came about that could have captured something under this history.
                hist::delete(&mut conn, spec.tables, new.hist_id).await?;
            } else {
                hist::end(&mut conn, spec.tables, new.hist_id).await?;
            }
        }
        return Err(err);
    }
    for old in &plan.ended {
        hist::end(&mut conn, spec.tables, old.hist_id).await?;
    }
    Ok(())
}

/// Ends the histories of a table that is gone, and took its triggers with it.
pub(super) async fn forget(
    db: &Database,
    tables: &Tables,
    histories: &[hist::ActiveHist],
) -> Result<(), DbError> {
    let mut conn = db.conn().await?;
    for old in histories {
        hist::end(&mut conn, tables, old.hist_id).await?;
    }
    Ok(())
}

async fn run(sql: &mut dyn Sql, statements: impl IntoIterator<Item = &str>) -> Result<(), DbError> {
    for statement in statements {
        sql.execute_script(statement).await?;
    }
    Ok(())
}
