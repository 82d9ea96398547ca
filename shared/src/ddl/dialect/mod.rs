//! How each database writes what the model describes.

mod mysql;
mod postgres;
mod sqlite;

use super::column_type::ColumnType;
use super::model::{Column, Table};
use crate::db::DatabaseKind;

/// What the databases do differently when tables are made and rows are put in. All of it is text: nothing
/// here runs anything.
pub trait Dialect: Sync {
    /// The database.
    fn kind(&self) -> DatabaseKind;

    /// The type's name; `in_key` for a column of a key or of a unique index.
    ///
    /// # Errors
    /// Why the database has nothing for it.
    fn type_name(&self, column_type: ColumnType, in_key: bool) -> Result<String, String>;

    /// The end of a column that numbers itself.
    ///
    /// # Errors
    /// Why it can not do so in this table.
    fn auto_increment(&self, table: &Table) -> Result<AutoIncrement, String>;

    /// A boolean as a literal.
    fn boolean(&self, value: bool) -> &'static str;

    /// Binary data as a literal.
    fn bytes(&self, bytes: &[u8]) -> String;

    /// The default that gives the time of the insertion to a date or time column.
    fn default_now(&self, column_type: ColumnType) -> &'static str;

    /// A literal as a column's default.
    fn default_literal(&self, column_type: ColumnType, literal: String) -> String;

    /// A column as an index (not unique) names it.
    fn index_column(&self, column: &Column) -> String;

    /// Whether foreign keys are part of the table's definition, else they are added when all tables are there.
    fn inline_foreign_keys(&self) -> bool;

    /// Whether indexes are part of the table's definition.
    fn inline_indexes(&self) -> bool;

    /// The end of a table's definition.
    fn table_options(&self) -> &'static str;

    /// Run before the tables are made, and after.
    fn around_tables(&self) -> (&'static str, &'static str);

    /// Run before and after rows that may refer to rows behind them; where that is nothing, each row has to refer to
    /// what is there.
    fn around_rows(&self) -> (&'static str, &'static str);

    /// Makes a numbering column go on behind the rows that brought their own numbers.
    fn continue_numbering(&self, schema: Option<&str>, table: &str, column: &str) -> Option<String>;

    /// Which names all tables share.
    fn name_scope(&self) -> NameScope;

    /// Whether the name is one here.
    ///
    /// # Errors
    /// Why not.
    fn check_name(&self, name: &str) -> Result<(), String>;
}

/// Which names no two tables of a database may have.
#[derive(Debug, Clone, Copy)]
pub struct NameScope {
    /// Those of indexes and of tables, together.
    pub indexes: bool,
    /// Those of references.
    pub references: bool,
}

/// Where a numbering column says so.
pub enum AutoIncrement {
    /// Behind its type.
    Suffix(&'static str),
    /// The whole definition, the primary key included.
    Definition(&'static str),
}

/// The dialect of a database.
pub fn of(kind: DatabaseKind) -> &'static dyn Dialect {
    match kind {
        DatabaseKind::Postgres => &postgres::Postgres,
        DatabaseKind::Mysql => &mysql::Mysql,
        DatabaseKind::Sqlite => &sqlite::Sqlite,
    }
}

/// Bytes as hexadecimal digits.
fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
