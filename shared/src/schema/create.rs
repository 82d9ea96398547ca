//! Making the tables in a database, and removing them.

use super::all_tables;
use super::dialect::{columns_query, indexes_query, session_lock, transaction_lock};
use super::render::{Existing, ExistingColumn, missing};
use super::tables::Tables;
use crate::db::{Database, DbError, Param, Sql, TxKind};
use std::collections::HashMap;

/// How long one process waits until another is done with the tables.
const LOCK_SECONDS: i64 = 60;

/// Creates the tables that are missing, adds the columns and indexes that an older version had not, and takes limits
/// from texts that have none any more. Returns the statements that it ran: none where everything was there. Processes that do it at once wait for each
/// other.
///
/// # Errors
/// [`DbError`]; on PostgreSQL and SQLite nothing is changed then, on MySQL the next call goes on.
pub async fn create(database: &Database, tables: &Tables) -> Result<Vec<String>, DbError> {
    alter(database, tables, Change::Create)
        .await
        .map_err(|err| err.context(format_args!("create tables {tables}")))
}

/// Drops all the tables with everything in them. Triggers that write to them have to be gone before.
///
/// # Errors
/// [`DbError`]; on PostgreSQL and SQLite nothing is changed then, on MySQL the next call goes on.
pub async fn drop_all(database: &Database, tables: &Tables) -> Result<(), DbError> {
    let done = alter(database, tables, Change::Drop).await;
    done.map(drop)
        .map_err(|err| err.context(format_args!("drop tables {tables}")))
}

#[derive(Clone, Copy)]
enum Change {
    Create,
    Drop,
}

/// Runs a change alone: under a lock that ends with the transaction, or with the connection where DDL would
/// commit the transaction.
async fn alter(database: &Database, tables: &Tables, change: Change) -> Result<Vec<String>, DbError> {
    let kind = database.kind();
    let name = Param::Text(format!("symstream.{tables}"));
    if !kind.capabilities().transactional_ddl {
        let mut conn = database.conn().await?.detach();
        let row = conn
            .query_opt(session_lock(), &[name, LOCK_SECONDS.into()])
            .await?;
        if row.map(|row| row.opt_int(0)).transpose()?.flatten() != Some(1) {
            return Err(DbError::unexpected(format!(
                "another process has held them for {LOCK_SECONDS} s"
            )));
        }
        return run(&mut conn, tables, change).await;
    }
    let mut tx = database.begin(TxKind::Write).await?;
    if let Some(lock) = transaction_lock(kind) {
        tx.execute(lock, &[name]).await?;
    }
    let statements = run(&mut tx, tables, change).await?;
    tx.commit().await?;
    Ok(statements)
}

async fn run(sql: &mut dyn Sql, tables: &Tables, change: Change) -> Result<Vec<String>, DbError> {
    let statements = match change {
        Change::Create => statements_to_create(sql, tables).await?,
        Change::Drop => all_tables()
            .map(|table| format!("drop table if exists {}", tables.name(table.name)))
            .collect(),
    };
    for statement in &statements {
        sql.execute_script(statement).await?;
    }
    Ok(statements)
}

async fn statements_to_create(sql: &mut dyn Sql, tables: &Tables) -> Result<Vec<String>, DbError> {
    let kind = sql.kind();
    let names: Vec<Param> = all_tables().map(|table| tables.name(table.name).into()).collect();
    let mut columns: HashMap<String, Vec<ExistingColumn>> = HashMap::new();
    for row in sql.query(&columns_query(kind, names.len()), &names).await? {
        columns.entry(row.text(0)?).or_default().push(ExistingColumn {
            name: row.text(1)?,
            is_limited: row.int(2)? != 0,
        });
    }
    let rows = sql.query(&indexes_query(kind, names.len()), &names).await?;
    let indexes = rows
        .iter()
        .map(|row| row.text(0))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(all_tables()
        .flat_map(|table| {
            let columns = columns
                .get(&tables.name(table.name))
                .map_or(&[][..], Vec::as_slice);
            missing(
                kind,
                tables,
                table,
                &Existing {
                    columns,
                    indexes: &indexes,
                },
            )
        })
        .collect())
}
