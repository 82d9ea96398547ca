//! Generated tables, and the journal that the application keeps beside each.
//!
//! A journal row says what a statement did to a row. The test writes it itself, in the transaction of the change, with
//! `insert … select`: it is what the oracle asks.

use super::write::LOAD;
use symstream_shared::db::DatabaseKind;

/// The table of links, which every node has.
pub const LINKS: &str = "links";

/// How rows are identified. A row's key follows from its family and its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// `id`
    Number,
    /// `code`
    Text,
    /// `number`, `area`
    Pair,
    /// `bond`, `node`: the table of links.
    Link,
}

/// One table.
#[derive(Debug, Clone)]
pub struct Table {
    /// Its name, at all nodes.
    pub name: String,
    /// Its key.
    pub key: Key,
    /// Where its changes are written down.
    pub journal: String,
}

/// One column.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// Its name; all lower case, so that conditions read the same everywhere.
    pub name: &'static str,
    sql_type: &'static str,
}

const fn column(name: &'static str, sql_type: &'static str) -> Column {
    Column { name, sql_type }
}

/// What all tables of rows have. `bond`, `owner`, `region`, `tags` stay as they are while a row lives.
const ROW: [Column; 9] = [
    column("item", "integer not null"),
    column("bond", "integer not null"),
    column("owner", "varchar(60)"),
    column("region", "integer not null"),
    column("tags", "varchar(200)"),
    column("edits", "integer not null"),
    column("amount", "integer not null"),
    column("note", "varchar(200)"),
    column("extra", "varchar(200)"),
];
/// The columns that triggers may exclude.
pub const EXCLUDABLE: [&str; 2] = ["note", "extra"];

impl Key {
    /// The key's columns.
    pub fn columns(self) -> &'static [Column] {
        match self {
            Self::Number => const { &[column("id", "integer not null")] },
            Self::Text => const { &[column("code", "varchar(60) not null")] },
            Self::Pair => {
                const {
                    &[
                        column("number", "integer not null"),
                        column("area", "varchar(20) not null"),
                    ]
                }
            }
            Self::Link => {
                const {
                    &[
                        column("bond", "integer not null"),
                        column("node", "varchar(60) not null"),
                    ]
                }
            }
        }
    }

    /// The key's values as SQL literals.
    pub fn values(self, family: i64, number: i64) -> Vec<String> {
        match self {
            Self::Number => vec![(family * 1_000_000 + number).to_string()],
            Self::Text => vec![format!("'Family {family} · {number}'")],
            Self::Pair => vec![number.to_string(), format!("'f{family}'")],
            Self::Link => Vec::new(),
        }
    }

    /// The assignment that adds `by` to the numbers of rows; `None` where the key is no number.
    pub fn shift(self, by: i64) -> Option<String> {
        match self {
            Self::Number => Some(format!("id = id + {by}")),
            Self::Pair => Some(format!("number = number + {by}")),
            Self::Text | Self::Link => None,
        }
    }

    /// The condition that a row has this key.
    pub fn condition(self, family: i64, number: i64) -> String {
        let columns = self.columns().iter().zip(self.values(family, number));
        let equal: Vec<String> = columns
            .map(|(column, value)| format!("{} = {value}", column.name))
            .collect();
        equal.join(" and ")
    }
}

impl Table {
    /// The columns, those of the key first.
    pub fn columns(&self) -> Vec<Column> {
        let row: &[Column] = if self.key == Key::Link { &[] } else { &ROW };
        self.key.columns().iter().chain(row).copied().collect()
    }

    /// Their names, with commas.
    pub fn column_list(&self) -> String {
        let columns = self.columns();
        let names: Vec<&str> = columns.iter().map(|column| column.name).collect();
        names.join(", ")
    }

    /// The table that other rules fill at targets; nobody writes or captures it.
    pub fn copy(&self) -> String {
        format!("{} copy", self.name)
    }

    /// The statement that begins the journal anew with the rows that are there: an initial load brings them.
    pub fn begin_journal(&self, kind: DatabaseKind) -> String {
        let (journal, columns, name) = (&self.journal, self.column_list(), kind.quote(&self.name));
        format!(
            "delete from {journal};\n\
             insert into {journal} (step, op, present, raised, {columns}) select 0, '{LOAD}', 1, 0, {columns} from {name};\n"
        )
    }

    /// The statements that make the table, its copy and its journal.
    pub fn ddl(&self, kind: DatabaseKind) -> String {
        let columns: Vec<String> = self
            .columns()
            .iter()
            .map(|column| format!("{} {}", column.name, column.sql_type))
            .collect();
        let columns = columns.join(", ");
        let key: Vec<&str> = self.key.columns().iter().map(|column| column.name).collect();
        let key = key.join(", ");
        let mut sql = String::new();
        for name in [&self.name, &self.copy()] {
            let name = kind.quote(name);
            sql.push_str(&format!(
                "create table {name} ({columns}, primary key ({key}));\n"
            ));
        }
        let journal = &self.journal;
        sql.push_str(&format!(
            "create table {journal} (step bigint not null, op char(1) not null, present integer not null, \
             raised integer not null, only_node varchar(60), {columns});\n\
             create index {journal}_key on {journal} ({key});\n"
        ));
        sql
    }
}
