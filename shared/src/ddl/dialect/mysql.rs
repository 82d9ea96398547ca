//! MySQL and MariaDB.

use super::{AutoIncrement, Dialect, NameScope, hexadecimal};
use crate::db::DatabaseKind;
use crate::ddl::column_type::ColumnType;
use crate::ddl::model::{Column, Table};

pub(super) struct Mysql;

/// A `varchar` of utf8mb4 may have this many characters, less what the row's other columns need; longer ones
/// become `longtext`. https://dev.mysql.com/doc/refman/8.4/en/column-count-limit.html
const VARCHAR_MAX: u32 = 16_000;
/// The same for binary data.
const VARBINARY_MAX: u32 = 64_000;
/// The length of a text of any length, or of binary data, when it is a key: MySQL can not index the whole.
const KEY_LENGTH: u32 = 255;

impl Dialect for Mysql {
    fn kind(&self) -> DatabaseKind {
        DatabaseKind::Mysql
    }

    fn type_name(&self, column_type: ColumnType, in_key: bool) -> Result<String, String> {
        Ok(match column_type {
            ColumnType::Boolean => "tinyint(1)".into(),
            ColumnType::Tinyint => "tinyint".into(),
            ColumnType::Smallint => "smallint".into(),
            ColumnType::Integer => "int".into(),
            ColumnType::Bigint => "bigint".into(),
            // MySQL's own reading of it, decimal(10,0), would cut the fraction off.
            ColumnType::Decimal(None) => {
                return Err("MySQL has no DECIMAL without a size; give it one, e.g. size=\"18,4\"".into());
            }
            ColumnType::Decimal(Some((precision, scale))) => format!("decimal({precision},{scale})"),
            ColumnType::Real => "float".into(),
            ColumnType::Double => "double".into(),
            ColumnType::Char(length) if length <= 255 => format!("char({length})"),
            ColumnType::Char(length) | ColumnType::Varchar(length) if length <= VARCHAR_MAX => {
                format!("varchar({length})")
            }
            ColumnType::LongText if in_key => format!("varchar({KEY_LENGTH})"),
            ColumnType::Char(_) | ColumnType::Varchar(_) | ColumnType::LongText => "longtext".into(),
            // `binary` would fill values up with zeros.
            ColumnType::Binary(length) if length <= VARBINARY_MAX => format!("varbinary({length})"),
            ColumnType::LongBinary if in_key => format!("varbinary({KEY_LENGTH})"),
            ColumnType::Binary(_) | ColumnType::LongBinary => "longblob".into(),
            ColumnType::Date => "date".into(),
            ColumnType::Time => "time(6)".into(),
            ColumnType::Timestamp => "datetime(6)".into(),
        })
    }

    fn auto_increment(&self, _table: &Table) -> Result<AutoIncrement, String> {
        Ok(AutoIncrement::Suffix(" auto_increment"))
    }

    fn boolean(&self, value: bool) -> &'static str {
        if value { "1" } else { "0" }
    }

    fn bytes(&self, bytes: &[u8]) -> String {
        format!("x'{}'", hexadecimal(bytes))
    }

    fn default_now(&self, column_type: ColumnType) -> &'static str {
        match column_type {
            ColumnType::Date => "(current_date)",
            ColumnType::Time => "(current_time(6))",
            _ => "current_timestamp(6)",
        }
    }

    fn default_literal(&self, column_type: ColumnType, literal: String) -> String {
        match column_type {
            // Texts without a length take an expression only.
            ColumnType::LongText | ColumnType::LongBinary => format!("({literal})"),
            _ => literal,
        }
    }

    fn index_column(&self, column: &Column) -> String {
        let name = self.kind().quote(&column.name);
        match self.type_name(column.column_type, false).as_deref() {
            Ok("longtext" | "longblob") => format!("{name}({KEY_LENGTH})"),
            _ => name,
        }
    }

    fn inline_foreign_keys(&self) -> bool {
        // DDL is not taken back here: a table that is made in one statement is there as a whole or not at all,
        // so a run that was cut short can be repeated.
        true
    }

    fn inline_indexes(&self) -> bool {
        true
    }

    fn table_options(&self) -> &'static str {
        // Keys that differ in case or accents are two keys in the other databases, and have to be here.
        " engine=InnoDB default character set utf8mb4 collate utf8mb4_bin"
    }

    fn around_tables(&self) -> (&'static str, &'static str) {
        // Without the checks a table may refer to one that comes later in the file.
        (
            "set session foreign_key_checks = 0",
            "set session foreign_key_checks = 1",
        )
    }

    fn around_rows(&self) -> (&'static str, &'static str) {
        self.around_tables()
    }

    fn continue_numbering(&self, _schema: Option<&str>, _table: &str, _column: &str) -> Option<String> {
        // InnoDB goes on behind the highest number by itself.
        None
    }

    fn name_scope(&self) -> NameScope {
        NameScope {
            indexes: false,
            references: true,
        }
    }

    fn check_name(&self, _name: &str) -> Result<(), String> {
        // The server refuses a name that is too long.
        Ok(())
    }
}
