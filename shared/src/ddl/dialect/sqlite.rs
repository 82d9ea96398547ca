//! SQLite.

use super::{AutoIncrement, Dialect, NameScope, hexadecimal};
use crate::db::DatabaseKind;
use crate::ddl::column_type::ColumnType;
use crate::ddl::model::{Column, Table};

pub(super) struct Sqlite;

impl Dialect for Sqlite {
    fn kind(&self) -> DatabaseKind {
        DatabaseKind::Sqlite
    }

    /// SQLite keeps whatever it gets; the names say to people, and to capture, what the values mean.
    fn type_name(&self, column_type: ColumnType, _in_key: bool) -> Result<String, String> {
        Ok(match column_type {
            ColumnType::Boolean => "boolean".into(),
            ColumnType::Tinyint => "tinyint".into(),
            ColumnType::Smallint => "smallint".into(),
            ColumnType::Integer => "integer".into(),
            ColumnType::Bigint => "bigint".into(),
            ColumnType::Decimal(None) => "decimal".into(),
            ColumnType::Decimal(Some((precision, scale))) => format!("decimal({precision},{scale})"),
            ColumnType::Real => "real".into(),
            ColumnType::Double => "double".into(),
            ColumnType::Char(length) => format!("char({length})"),
            ColumnType::Varchar(length) => format!("varchar({length})"),
            ColumnType::LongText => "text".into(),
            ColumnType::Binary(_) | ColumnType::LongBinary => "blob".into(),
            ColumnType::Date => "date".into(),
            ColumnType::Time => "time".into(),
            ColumnType::Timestamp => "timestamp".into(),
        })
    }

    fn auto_increment(&self, table: &Table) -> Result<AutoIncrement, String> {
        let mut key = table.primary_key();
        match (key.next(), key.next()) {
            (Some(column), None) if column.auto_increment => {
                Ok(AutoIncrement::Definition(" integer primary key autoincrement"))
            }
            _ => Err("SQLite numbers a column only when it alone is the primary key".into()),
        }
    }

    fn boolean(&self, value: bool) -> &'static str {
        if value { "1" } else { "0" }
    }

    fn bytes(&self, bytes: &[u8]) -> String {
        format!("x'{}'", hexadecimal(bytes))
    }

    fn default_now(&self, column_type: ColumnType) -> &'static str {
        match column_type {
            ColumnType::Date => "current_date",
            ColumnType::Time => "current_time",
            _ => "current_timestamp",
        }
    }

    fn default_literal(&self, _column_type: ColumnType, literal: String) -> String {
        literal
    }

    fn index_column(&self, column: &Column) -> String {
        self.kind().quote(&column.name)
    }

    fn inline_foreign_keys(&self) -> bool {
        // There is no other way, and a table may refer to one that does not exist yet.
        true
    }

    fn inline_indexes(&self) -> bool {
        false
    }

    fn table_options(&self) -> &'static str {
        ""
    }

    fn around_tables(&self) -> (&'static str, &'static str) {
        ("", "")
    }

    fn around_rows(&self) -> (&'static str, &'static str) {
        // Until the transaction ends.
        ("pragma defer_foreign_keys = on", "")
    }

    fn continue_numbering(&self, _schema: Option<&str>, _table: &str, _column: &str) -> Option<String> {
        // `sqlite_sequence` follows the highest number by itself.
        None
    }

    fn name_scope(&self) -> NameScope {
        NameScope {
            indexes: true,
            references: false,
        }
    }

    fn check_name(&self, _name: &str) -> Result<(), String> {
        // There is no limit that matters.
        Ok(())
    }
}
