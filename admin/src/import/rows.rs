//! Puts the data rows of an XML file into their tables.

use super::ImportError;
use crate::field::literal;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use symstream_shared::catalog::{self, ColumnDef, TableDef};
use symstream_shared::db::{DbError, Sql};
use symstream_shared::ddl::{self, DataRow, Dialect, Field, Table};

/// Inserts rows one by one, and leaves alone what is there already.
pub(super) struct Inserter {
    dialect: &'static dyn Dialect,
    /// Tables that this run made, and those without a key that it found empty: nothing can be in them that it did not put
    /// there.
    new_tables: HashSet<String>,
    definitions: HashMap<String, TableDef>,
    /// Of rows that have no key, by the query that counts them: how many of those that were there before this run are no
    /// row of the file yet. Rows that are the same may be there, and in the file, any number of times.
    unclaimed: HashMap<String, i64>,
    /// Rows inserted.
    pub inserted: usize,
    /// Rows that were there.
    pub present: usize,
}

impl Inserter {
    pub(super) fn new<'t>(sql: &dyn Sql, new_tables: impl IntoIterator<Item = &'t Table>) -> Self {
        Self {
            dialect: ddl::dialect(sql.kind()),
            new_tables: new_tables.into_iter().map(|table| table.name.clone()).collect(),
            definitions: HashMap::new(),
            unclaimed: HashMap::new(),
            inserted: 0,
            present: 0,
        }
    }

    /// Inserts a row, unless the table was there before with a row of the same key (or, without a key, with
    /// the same values, as often as the file has had them).
    pub(super) async fn insert(&mut self, sql: &mut dyn Sql, row: &DataRow) -> Result<(), ImportError> {
        let failed = |why: String| ImportError::Row {
            line: row.line,
            table: row.table.clone(),
            why,
        };
        let refused = |err: DbError| failed(err.to_string());
        if !self.definitions.contains_key(&row.table) {
            let found = catalog::read_table(sql, None, &row.table)
                .await
                .map_err(|err| failed(err.to_string()))?;
            let found = found.ok_or_else(|| failed("there is no such table".into()))?;
            if found.primary_key.is_empty() && is_empty(sql, &found).await.map_err(refused)? {
                self.new_tables.insert(row.table.clone());
            }
            self.definitions.insert(row.table.clone(), found);
        }
        let table = &self.definitions[&row.table];
        let values = values(self.dialect, table, &row.fields).map_err(failed)?;
        if !self.new_tables.contains(&row.table) {
            let same = count_same(self.dialect, table, &values);
            let is_present = if brings_key(table, &values) {
                count(sql, &same).await.map_err(refused)? > 0
            } else {
                claim(&mut self.unclaimed, sql, same).await.map_err(refused)?
            };
            if is_present {
                self.present += 1;
                return Ok(());
            }
        }
        let statement = insert(self.dialect, table, &values);
        sql.execute_script(&statement).await.map_err(refused)?;
        self.inserted += 1;
        Ok(())
    }

    /// The tables that rows came for, as the database spells them.
    pub(super) fn tables(&self) -> impl Iterator<Item = &str> {
        self.definitions.values().map(|table| table.name.as_str())
    }

    /// Makes columns that number themselves go on behind the rows.
    pub(super) async fn finish(&self, sql: &mut dyn Sql) -> Result<(), ImportError> {
        for table in self.definitions.values() {
            for column in table.columns.iter().filter(|column| column.auto_increment) {
                let Some(statement) = self.dialect.continue_numbering(None, &table.name, &column.name) else {
                    continue;
                };
                let failed = |err: DbError| ImportError::Table {
                    table: table.name.clone(),
                    why: err.to_string(),
                };
                sql.execute_script(&statement).await.map_err(failed)?;
            }
        }
        Ok(())
    }
}

/// Makes sure that a table is there and has columns of these names.
pub(super) async fn check_columns(
    sql: &mut dyn Sql,
    table: &str,
    names: &[String],
) -> Result<(), ImportError> {
    let failed = |why: String| ImportError::Table {
        table: table.to_owned(),
        why,
    };
    let found = catalog::read_table(sql, None, table)
        .await
        .map_err(|err| failed(err.to_string()))?;
    let found = found.ok_or_else(|| failed("the database has no such table".to_owned()))?;
    match names
        .iter()
        .find(|name| found.column_ignoring_case(name).is_none())
    {
        None => Ok(()),
        Some(name) => {
            let known: Vec<_> = found.columns.iter().map(|column| column.name.as_str()).collect();
            Err(failed(format!(
                "it has no column {name}, which the file's first line names; its columns are {}",
                known.join(", ")
            )))
        }
    }
}

/// A column with its value as a literal; `None` for null.
type Value<'t> = (&'t ColumnDef, Option<String>);

fn values<'t>(
    dialect: &dyn Dialect,
    table: &'t TableDef,
    fields: &[Field],
) -> Result<Vec<Value<'t>>, String> {
    if fields.is_empty() {
        return Err("the row has no <field>".into());
    }
    fields
        .iter()
        .map(|field| {
            let column = table
                .column_ignoring_case(&field.name)
                .ok_or_else(|| format!("the table has no column {}", field.name))?;
            let literal = match &field.text {
                None => None,
                Some(text) => Some(
                    literal(dialect, column.logical, text, field.form)
                        .map_err(|why| format!("column {}: {why}", column.name))?,
                ),
            };
            Ok((column, literal))
        })
        .collect()
}

fn insert(dialect: &dyn Dialect, table: &TableDef, values: &[Value<'_>]) -> String {
    let kind = dialect.kind();
    let columns: Vec<_> = values
        .iter()
        .map(|(column, _)| kind.quote(&column.name))
        .collect();
    let literals: Vec<_> = values
        .iter()
        .map(|(_, literal)| literal.as_deref().unwrap_or("null"))
        .collect();
    let always = values.iter().any(|(column, _)| column.identity_always);
    format!(
        "insert into {} ({}){} values ({})",
        kind.quote_table(table.schema.as_deref(), &table.name),
        columns.join(", "),
        if always { " overriding system value" } else { "" },
        literals.join(", "),
    )
}

async fn is_empty(sql: &mut dyn Sql, table: &TableDef) -> Result<bool, DbError> {
    let name = sql.kind().quote_table(table.schema.as_deref(), &table.name);
    let found = sql.query(&format!("select 1 from {name} limit 1"), &[]).await?;
    Ok(found.is_empty())
}

async fn count(sql: &mut dyn Sql, query: &str) -> Result<i64, DbError> {
    sql.query_opt(query, &[]).await?.map_or(Ok(0), |row| row.int(0))
}

/// Whether one of the rows that the query counts was there before, and is no row of the file yet; then it is one.
async fn claim(
    unclaimed: &mut HashMap<String, i64>,
    sql: &mut dyn Sql,
    query: String,
) -> Result<bool, DbError> {
    // Counted before the run inserts the first of them.
    let rest = match unclaimed.entry(query) {
        Entry::Occupied(known) => known.into_mut(),
        Entry::Vacant(new) => {
            let before = count(sql, new.key()).await?;
            new.insert(before)
        }
    };
    let is_present = *rest > 0;
    *rest -= i64::from(is_present);
    Ok(is_present)
}

/// Whether the table has a key, and the row all of it.
fn brings_key(table: &TableDef, values: &[Value<'_>]) -> bool {
    let has = |key: &String| values.iter().any(|(column, _)| column.name == *key);
    !table.primary_key.is_empty() && table.primary_key.iter().all(has)
}

/// Counts the rows with the same key; with the same values where it has no key, or brings none.
fn count_same(dialect: &dyn Dialect, table: &TableDef, values: &[Value<'_>]) -> String {
    let kind = dialect.kind();
    let by_key = brings_key(table, values);
    let conditions: Vec<_> = values
        .iter()
        .filter(|(column, _)| !by_key || table.is_key(&column.name))
        .map(|(column, literal)| {
            let name = kind.quote(&column.name);
            literal.as_ref().map_or_else(
                || format!("{name} is null"),
                |literal| format!("{name} = {literal}"),
            )
        })
        .collect();
    format!(
        "select count(*) from {} where {}",
        kind.quote_table(table.schema.as_deref(), &table.name),
        conditions.join(" and "),
    )
}
