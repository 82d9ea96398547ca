//! How batches go into each database: SQL text and the values that only one database knows.
//!
//! Owns the statements, as pure functions. Refuses to run them: [`crate::apply`] decides what is done when
//! one fails.

mod key_text;
mod mysql;
mod postgres;
mod sqlite;

use crate::target::{Target, TargetColumn};
use crate::values::Unfit;
use symstream_shared::catalog::TableDef;
use symstream_shared::cell::Cell;
use symstream_shared::db::{DatabaseKind, Param};
use symstream_shared::schema::Tables;

/// One SQL statement, ready to run.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Statement {
    pub sql: String,
    pub params: Vec<Param>,
}

/// A row to change: `values` stand for the columns that are set, `key` for the key's.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct KeyedRow {
    pub values: Vec<Param>,
    pub key: Vec<Param>,
}

/// In what the databases differ when rows are written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Writing {
    /// Whether a failed statement makes the rest of the transaction impossible, or may have ended it unseen, so
    /// that a statement which may fail needs a savepoint to go back to.
    pub failure_ends_transaction: bool,
    /// Whether a statement's text and its number of parameters are the same for any number of rows.
    pub one_text_for_all: bool,
    /// The most rows of one insert.
    pub insert_rows_max: usize,
    /// The most rows of one update.
    pub update_rows_max: usize,
    /// The most rows of one delete.
    pub delete_rows_max: usize,
}

/// What a database has of its own. Pure: text in, text out.
///
/// Rows are in the order of the table's columns; statements for several rows are asked for with non-null keys
/// and never for tables whose rows are compared as a whole.
pub(crate) trait Dialect: Send + Sync {
    /// The facts.
    fn writing(&self) -> Writing;

    /// A value for a column of this database.
    ///
    /// # Errors
    /// [`Unfit`] when the column can not hold exactly this value.
    fn param(&self, column: &TargetColumn, cell: &Cell) -> Result<Param, Unfit>;

    /// Inserts rows; `columns` are those that `rows` have values for.
    fn insert(&self, table: &Target, columns: &[usize], rows: &[Vec<Param>]) -> Statement;

    /// Updates the columns `set` of the rows with these keys.
    fn update(&self, table: &Target, set: &[usize], rows: &[KeyedRow]) -> Statement;

    /// Has the place in `keys` of each that a row has; `None` where a key can not be compared.
    fn existing(&self, table: &Target, keys: &[Vec<Param>]) -> Option<Statement>;

    /// Updates the columns `set` of rows that are there, many at once; `None` where that might do anything else.
    fn overwrite(&self, table: &Target, set: &[usize], rows: &[KeyedRow]) -> Option<Statement>;

    /// Deletes the rows with these keys.
    fn delete(&self, table: &Target, keys: &[Vec<Param>]) -> Statement;

    /// Deletes all rows but those with these keys.
    fn clear(&self, table: &Target, spared: &[Vec<Param>]) -> Statement;

    /// Deletes those of these rows that no other row refers to; `None` where a delete looks at references only once all of
    /// its rows are gone.
    fn clear_childless(&self, table: &Target, spared: &[Vec<Param>]) -> Option<Statement>;

    /// Has the columns of a table (its schema, its name) that refer to rows and may be null; `None` where rows that refer to
    /// each other can go together.
    fn nullable_references(&self, schema: Option<&str>, table: &str) -> Option<Statement>;

    /// Sets these columns to null in all rows but those with these keys.
    fn drop_references(&self, table: &Target, columns: &[String], spared: &[Vec<Param>]) -> Statement;

    /// Has a row when the row with this key exists.
    fn exists(&self, table: &Target, key: &[Param]) -> Statement;

    /// Has a row when a row's key is the same as this one by the column's collation, but not to the byte; `None`
    /// where the database compares this key to the byte. What names a row by its key means none but that row.
    fn alike(&self, table: &Target, key: &[Param]) -> Option<Statement>;

    /// Has a row with the storage engine's name when the table takes no part in transactions.
    fn engine_without_transactions(&self, table: &TableDef) -> Option<Statement>;

    /// Has a row when the table's constraints say themselves what becomes of a row that violates them.
    fn conflict_clauses(&self, table: &TableDef) -> Option<Statement>;

    /// Has a row when an insert that meets a row of its key may meet another one first, or run what is meant for inserts only;
    /// `None` where it is not asked to become an update.
    fn upsert_hindrances(&self, table: &TableDef) -> Option<Statement>;

    /// Tells the triggers, inside the transaction, that what follows comes from `origin`: CSV of
    /// node ids.
    fn origin_on(&self, tables: &Tables, origin: &str) -> Statement;

    /// Takes that back before the transaction ends; `None` where it ends by itself.
    fn origin_off(&self, tables: &Tables) -> Option<Statement>;
}

/// The dialect of a database.
pub(crate) fn of(kind: DatabaseKind) -> &'static dyn Dialect {
    match kind {
        DatabaseKind::Postgres => &postgres::Postgres,
        DatabaseKind::Mysql => &mysql::Mysql,
        DatabaseKind::Sqlite => &sqlite::Sqlite,
    }
}

/// The key's columns with their places in the key.
fn key_columns(table: &Target) -> impl Iterator<Item = (usize, &TargetColumn)> {
    table
        .key
        .iter()
        .enumerate()
        .map(|(place, &index)| (place, &table.columns[index]))
}

/// `delete from <table>`, or another beginning of a statement, for all rows but those that meet one of `conditions`. Balanced: SQLite refuses expressions of many
/// levels.
fn all_but(beginning: &str, conditions: &[String]) -> String {
    fn any(conditions: &[String]) -> String {
        match conditions {
            [] => String::new(),
            [one] => format!("({one})"),
            several => {
                let (left, right) = several.split_at(several.len() / 2);
                format!("({} or {})", any(left), any(right))
            }
        }
    }
    match conditions {
        [] => beginning.to_owned(),
        // A comparison with null is neither.
        _ => format!("{beginning} where {} is not true", any(conditions)),
    }
}

/// `update <table> set <column> = null, …`
fn nulling(kind: DatabaseKind, table: &str, columns: &[String]) -> String {
    let list: Vec<String> = columns
        .iter()
        .map(|column| format!("{} = null", kind.quote(column)))
        .collect();
    format!("update {table} set {}", list.join(", "))
}

/// The quoted names of some columns.
fn names(table: &Target, columns: &[usize]) -> String {
    columns
        .iter()
        .map(|&index| table.columns[index].sql_name.as_str())
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests;
