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
/// column's definition, call something, or say more of the column than its type.
fn is_type(kind: DatabaseKind, sql: &str) -> bool {
    if sql.is_empty() {
        return kind == DatabaseKind::Sqlite;
    }
    let mut depth = 0;
    let mut pairs = 0;
    let mut chars = sql.chars().peekable();
    while let Some(c) = chars.next() {
        let fits = match c {
            'a'..='z' | 'A'..='Z' | '_' | ' ' => depth == 0,
            '0'..='9' => true,
            '[' | ']' => depth == 0 && kind == DatabaseKind::Postgres,
            '(' => {
                depth += 1;
                pairs += 1;
                pairs == 1
            }
            ')' => {
                depth -= 1;
                depth == 0
            }
            ',' => depth == 1,
            '-' => depth == 1 && chars.peek().is_some_and(char::is_ascii_digit),
            // The texts of an enum: with quotes in them doubled, and without what a server's mode may read otherwise.
            '\'' if depth == 1 && kind == DatabaseKind::Mysql => loop {
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
        && match kind {
            DatabaseKind::Postgres => is_of_postgres(sql),
            DatabaseKind::Mysql => is_of_mysql(sql),
            DatabaseKind::Sqlite => is_of_sqlite(sql),
        }
}

/// Whether it is one of the types of MySQL or MariaDB, and nothing but a number's attributes follows: other words say
/// what the column does, such as `on update current_timestamp` or `key`.
fn is_of_mysql(sql: &str) -> bool {
    const NAMES: [&str; 45] = [
        "tinyint",
        "smallint",
        "mediumint",
        "int",
        "integer",
        "bigint",
        "decimal",
        "numeric",
        "float",
        "double",
        "bit",
        "boolean",
        "char",
        "varchar",
        "tinytext",
        "text",
        "mediumtext",
        "longtext",
        "binary",
        "varbinary",
        "tinyblob",
        "blob",
        "mediumblob",
        "longblob",
        "enum",
        "set",
        "date",
        "time",
        "datetime",
        "timestamp",
        "year",
        "json",
        "uuid",
        "inet4",
        "inet6",
        "vector",
        "geometry",
        "point",
        "linestring",
        "polygon",
        "multipoint",
        "multilinestring",
        "multipolygon",
        "geometrycollection",
        "geomcollection",
    ];
    let end = sql.find([' ', '(']).unwrap_or(sql.len());
    let (name, rest) = sql.split_at(end);
    // A text of an enum may have any bracket in it.
    let attributes = match rest.rfind(')') {
        Some(end) if rest.starts_with('(') => &rest[end + 1..],
        Some(_) => return false,
        None => rest,
    };
    let is_attribute = |word: &str| word == "unsigned" || word == "zerofill";
    NAMES.contains(&name) && attributes.split_ascii_whitespace().all(is_attribute)
}

/// Whether SQLite takes all of it for a type: it takes any words for one, but for those that begin something else, and
/// parentheses are its end.
fn is_of_sqlite(sql: &str) -> bool {
    const OTHERS: [&str; 15] = [
        "primary",
        "autoincrement",
        "references",
        "default",
        "check",
        "unique",
        "constraint",
        "generated",
        "as",
        "collate",
        "not",
        "null",
        "on",
        "conflict",
        "deferrable",
    ];
    let is_other = |word: &str| OTHERS.iter().any(|other| other.eq_ignore_ascii_case(word));
    !sql.split(|c: char| !c.is_ascii_alphabetic()).any(is_other)
        && sql.find(')').is_none_or(|end| end + 1 == sql.len())
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

    #[test]
    fn nothing_that_a_column_does_comes_with_its_type() {
        let is_one = |kind, sql: &str| NativeType::new(kind, sql).is_some();
        for sql in [
            "int(10) unsigned zerofill",
            "decimal(10,2) unsigned",
            "set('on','not null')",
            "enum('a)','b(')",
            "timestamp(6)",
            "longtext",
            "inet6",
        ] {
            assert!(is_one(DatabaseKind::Mysql, sql), "{sql}");
        }
        for sql in [
            "timestamp on update current_timestamp",
            "timestamp(6) on update current_timestamp(6)",
            "int key",
            "int(11) auto_increment",
            "bigint not null",
            "int invisible",
            "int unsigned key",
            "int comment (1)",
            "serial",
            "enum('a','b') key",
            "enum('a','b')key",
            "enum('a') not null, x enum('b')",
            "int(1--)",
        ] {
            assert!(!is_one(DatabaseKind::Mysql, sql), "{sql}");
        }
        for sql in [
            "INT",
            "NVARCHAR(20)",
            "unsigned big int",
            "decimal(10,-2)",
            "json",
        ] {
            assert!(is_one(DatabaseKind::Sqlite, sql), "{sql}");
        }
        for sql in [
            "text not null on conflict ignore",
            "text Null on conflict replace",
            "integer primary key autoincrement",
            "text(5) hidden",
            "int deferrable initially deferred",
            "numeric(1--)",
            "numeric(1,-)",
            "x('a')",
        ] {
            assert!(!is_one(DatabaseKind::Sqlite, sql), "{sql}");
        }
        assert!(!is_one(DatabaseKind::Postgres, "numeric(1--)"));
        assert!(!is_one(DatabaseKind::Postgres, "integer not null"));
    }
}
