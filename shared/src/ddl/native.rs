//! A type as one database writes it, where the format's own types can not say all of it.

use crate::db::DatabaseKind;

/// A column's type in one database's own words: there, the column becomes exactly this; elsewhere it becomes what
/// its [`ColumnType`](super::ColumnType) says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NativeType {
    kind: DatabaseKind,
    sql: String,
}

impl NativeType {
    /// A type as the database's catalog tells it. `None` for a text that may be more than a type: it becomes part of a
    /// statement, and may come from another node.
    pub fn new(kind: DatabaseKind, sql: &str) -> Option<Self> {
        is_type(kind, sql).then(|| Self {
            kind,
            sql: sql.to_owned(),
        })
    }

    /// The database that knows it.
    pub fn kind(&self) -> DatabaseKind {
        self.kind
    }

    /// The type.
    pub fn sql(&self) -> &str {
        &self.sql
    }

    /// The database's name as the format's `platform-column` has it.
    pub(super) fn platform(kind: DatabaseKind) -> &'static str {
        match kind {
            DatabaseKind::Postgres => "postgres",
            DatabaseKind::Mysql => "mysql",
            DatabaseKind::Sqlite => "sqlite",
        }
    }

    pub(super) fn of_platform(name: &str, sql: &str) -> Option<Self> {
        [DatabaseKind::Postgres, DatabaseKind::Mysql, DatabaseKind::Sqlite]
            .into_iter()
            .find(|kind| Self::platform(*kind) == name)
            .and_then(|kind| Self::new(kind, sql))
    }
}

/// Whether a text is words, and behind one of them numbers or texts in parentheses, and nothing that could end a
/// column's definition or call something.
fn is_type(kind: DatabaseKind, sql: &str) -> bool {
    if sql.is_empty() {
        return kind == DatabaseKind::Sqlite;
    }
    let mut depth = 0;
    let mut chars = sql.chars().peekable();
    while let Some(c) = chars.next() {
        let fits = match c {
            'a'..='z' | 'A'..='Z' | '_' | ' ' => depth == 0,
            '0'..='9' => true,
            '[' | ']' => depth == 0 && kind == DatabaseKind::Postgres,
            '(' => {
                depth += 1;
                depth == 1
            }
            ')' => {
                depth -= 1;
                depth == 0
            }
            ',' | '-' => depth == 1,
            // The texts of an enum: with quotes in them doubled, and without what a server's mode may read otherwise.
            '\'' if depth == 1 => loop {
                match chars.next() {
                    None | Some('\\') => return false,
                    Some('\'') if chars.peek() == Some(&'\'') => {
                        chars.next();
                    }
                    Some('\'') => break true,
                    Some(_) => {}
                }
            },
            _ => false,
        };
        if !fits {
            return false;
        }
    }
    depth == 0
        && sql.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && !names_more(sql)
        && (kind != DatabaseKind::Postgres || is_of_postgres(sql))
}

/// Whether PostgreSQL brings the type with it; others are made by somebody, and may be missing elsewhere.
fn is_of_postgres(sql: &str) -> bool {
    const NAMES: [&str; 58] = [
        "smallint",
        "integer",
        "bigint",
        "numeric",
        "real",
        "double precision",
        "boolean",
        "text",
        "character",
        "character varying",
        "bytea",
        "date",
        "oid",
        "name",
        "uuid",
        "json",
        "jsonb",
        "jsonpath",
        "xml",
        "inet",
        "cidr",
        "macaddr",
        "macaddr8",
        "money",
        "bit",
        "bit varying",
        "time with time zone",
        "time without time zone",
        "timestamp with time zone",
        "timestamp without time zone",
        "interval",
        "interval year",
        "interval month",
        "interval day",
        "interval hour",
        "interval minute",
        "interval second",
        "interval year to month",
        "interval day to hour",
        "interval day to minute",
        "interval day to second",
        "interval hour to minute",
        "interval hour to second",
        "interval minute to second",
        "tsvector",
        "tsquery",
        "point",
        "line",
        "box",
        "path",
        "polygon",
        "circle",
        "int4range",
        "int8range",
        "numrange",
        "daterange",
        "tsrange",
        "tstzrange",
    ];
    let element = sql.trim_end_matches("[]");
    let name = match (element.split_once('('), element.split_once(')')) {
        (Some((before, _)), Some((_, after))) => format!("{before}{after}"),
        _ => element.to_owned(),
    };
    NAMES.contains(&name.as_str())
}

/// Whether one of the words would begin a constraint of the column.
fn names_more(sql: &str) -> bool {
    const WORDS: [&str; 9] = [
        "primary",
        "references",
        "default",
        "check",
        "unique",
        "constraint",
        "generated",
        "as",
        "collate",
    ];
    sql.split(|c: char| !c.is_ascii_alphabetic())
        .any(|word| WORDS.iter().any(|known| known.eq_ignore_ascii_case(word)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_type_is_one() {
        let postgres = |sql| NativeType::new(DatabaseKind::Postgres, sql).is_some();
        for sql in [
            "uuid",
            "timestamp(3) with time zone",
            "numeric(10,-2)",
            "integer[]",
            "bit varying(5)",
        ] {
            assert!(postgres(sql), "{sql}");
        }
        assert!(NativeType::new(DatabaseKind::Mysql, "enum('a','it''s (b)')").is_some());
        assert!(NativeType::new(DatabaseKind::Sqlite, "").is_some());
        for sql in [
            "",
            "int); drop table x",
            "int, x int",
            "text default f()",
            "int -- x",
            "x(y)",
            "(1)",
            "int primary key",
            "mood",
            "enum('a",
            "enum('\\')",
            "int(1",
            "int)(",
            "\"Mood\"",
        ] {
            assert!(!postgres(sql), "{sql}");
        }
    }
}
