//! The closed set of databases, and the facts in which they differ.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A database product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DatabaseKind {
    /// PostgreSQL.
    Postgres,
    /// MySQL or MariaDB.
    Mysql,
    /// SQLite.
    Sqlite,
}

/// Facts about a database that generic code asks for.
#[derive(Debug, Clone, Copy)]
pub struct Capabilities {
    /// The most parameters one statement may have.
    pub bind_params_max: usize,
    /// The longest identifier, in bytes.
    pub identifier_bytes_max: usize,
    /// Whether a rolled-back transaction takes DDL back too.
    pub transactional_ddl: bool,
    /// Whether an index can hold some of a table's rows only.
    pub partial_indexes: bool,
}

impl DatabaseKind {
    /// The facts.
    pub fn capabilities(self) -> Capabilities {
        match self {
            // The protocol counts parameters in a signed 16-bit integer in older drivers and servers.
            Self::Postgres => Capabilities {
                bind_params_max: 32_767,
                identifier_bytes_max: 63,
                transactional_ddl: true,
                partial_indexes: true,
            },
            Self::Mysql => Capabilities {
                bind_params_max: 65_535,
                identifier_bytes_max: 64,
                transactional_ddl: false,
                partial_indexes: false,
            },
            Self::Sqlite => Capabilities {
                bind_params_max: 32_766,
                identifier_bytes_max: 1_000,
                transactional_ddl: true,
                partial_indexes: true,
            },
        }
    }

    /// An identifier, quoted. No identifier enters SQL in any other way.
    pub fn quote(self, name: &str) -> String {
        match self {
            Self::Postgres | Self::Sqlite => format!("\"{}\"", name.replace('"', "\"\"")),
            Self::Mysql => format!("`{}`", name.replace('`', "``")),
        }
    }

    /// A table's name, qualified where it has a schema, quoted.
    pub fn quote_table(self, schema: Option<&str>, table: &str) -> String {
        match schema {
            Some(schema) => format!("{}.{}", self.quote(schema), self.quote(table)),
            None => self.quote(table),
        }
    }

    /// A text literal. For texts that can be no parameter (DDL, triggers).
    pub fn literal(self, text: &str) -> String {
        let text = text.replace('\'', "''");
        match self {
            Self::Postgres if text.contains('\\') => format!("E'{}'", text.replace('\\', "\\\\")),
            Self::Postgres | Self::Sqlite => format!("'{text}'"),
            Self::Mysql => format!("'{}'", text.replace('\\', "\\\\")),
        }
    }

    /// The time now, to store in a column of a `sym_` table.
    pub fn now(self) -> &'static str {
        match self {
            Self::Postgres => "clock_timestamp()",
            Self::Mysql => "now(6)",
            Self::Sqlite => "strftime('%Y-%m-%d %H:%M:%f','now')",
        }
    }

    /// An expression that gives a `sym_` table's time column as `YYYY-MM-DD HH:MM:SS[.ffffff]` in UTC.
    pub fn time_as_text(self, column: &str) -> String {
        match self {
            Self::Postgres => format!("to_char({column} at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')"),
            Self::Mysql => format!("date_format({column}, '%Y-%m-%d %H:%i:%s.%f')"),
            Self::Sqlite => format!("cast({column} as text)"),
        }
    }

    /// An expression that gives any column as text.
    pub fn as_text(self, expression: &str) -> String {
        match self {
            Self::Postgres | Self::Sqlite => format!("cast({expression} as text)"),
            Self::Mysql => format!("cast({expression} as char)"),
        }
    }

    /// The end of `insert into … values (…)` that leaves an existing row as it is. `key` are the key's columns.
    pub fn or_ignore(self, key: &[&str]) -> String {
        match self {
            Self::Postgres | Self::Sqlite => format!(" on conflict ({}) do nothing", key.join(", ")),
            Self::Mysql => format!(" on duplicate key update {0} = {0}", key[0]),
        }
    }

    /// The same for `insert into table … select …`, where MySQL takes a bare column for one of the select's.
    pub fn or_ignore_selected(self, table: &str, key: &[&str]) -> String {
        match self {
            Self::Postgres | Self::Sqlite => self.or_ignore(key),
            Self::Mysql => format!(" on duplicate key update {table}.{0} = {table}.{0}", key[0]),
        }
    }

    /// The end of `insert into … values (…)` that overwrites `columns` of an existing row.
    pub fn or_update(self, key: &[&str], columns: &[&str]) -> String {
        let set = |value: &dyn Fn(&str) -> String| {
            columns
                .iter()
                .map(|column| format!("{column} = {}", value(column)))
                .collect::<Vec<_>>()
                .join(", ")
        };
        match self {
            Self::Postgres | Self::Sqlite => {
                format!(
                    " on conflict ({}) do update set {}",
                    key.join(", "),
                    set(&|c| format!("excluded.{c}"))
                )
            }
            Self::Mysql => format!(" on duplicate key update {}", set(&|c| format!("values({c})"))),
        }
    }

    /// The product's name as `sym_node.database_type` has it, by the version that the server tells: MariaDB's says so.
    pub fn product_of(self, version: &str) -> &'static str {
        match self {
            Self::Mysql if version.contains("MariaDB") => "MariaDB",
            _ => self.product(),
        }
    }

    /// The name of the dialect.
    pub fn product(self) -> &'static str {
        match self {
            Self::Postgres => "PostgreSQL",
            Self::Mysql => "MySQL",
            Self::Sqlite => "SQLite",
        }
    }
}

impl fmt::Display for DatabaseKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.product())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_literals_can_not_end_their_quotes() {
        assert_eq!(DatabaseKind::Postgres.quote("a\"b"), "\"a\"\"b\"");
        assert_eq!(DatabaseKind::Mysql.quote("a`b"), "`a``b`");
        assert_eq!(DatabaseKind::Mysql.literal("a'\\"), "'a''\\\\'");
        assert_eq!(DatabaseKind::Postgres.literal("a'\\"), "E'a''\\\\'");
        assert_eq!(DatabaseKind::Sqlite.literal("a'\\"), "'a''\\'");
    }
}
