//! Generated tables, and the journal that the application keeps beside each.
//!
//! A journal row says what a statement did to a row. The test writes it itself, in the transaction of the change, with
//! `insert … select`: it is what the oracle asks.

use super::write::LOAD;
use symstream_shared::db::DatabaseKind;

/// The table of links, which every node has. It is the first of a plan.
pub const LINKS: &str = "links";
/// The table that rows with a foreign key refer to, which every node has. It is the second of a plan.
pub const FAMILIES: &str = "families";
/// The index of the first table of rows.
pub const FIRST_ROWS: usize = 2;

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
    /// `bond`: the table of families.
    Family,
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
    /// Whether its rows refer to a family.
    pub has_parent: bool,
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
            Self::Family => const { &[column("bond", "integer not null")] },
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
            Self::Link | Self::Family => Vec::new(),
        }
    }

    /// The assignment that adds `by` to the numbers of rows; `None` where the key is no number.
    pub fn shift(self, by: i64) -> Option<String> {
        match self {
            Self::Number => Some(format!("id = id + {by}")),
            Self::Pair => Some(format!("number = number + {by}")),
            Self::Text | Self::Link | Self::Family => None,
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
        let row: &[Column] = match self.key {
            Key::Link | Key::Family => &[],
            Key::Number | Key::Text | Key::Pair => &ROW,
        };
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

    /// The line in the journal for rows that a reload brings to one node.
    pub fn reloaded(&self, step: i64, node: &str, kind: DatabaseKind) -> String {
        let (journal, columns, name) = (&self.journal, self.column_list(), kind.quote(&self.name));
        format!(
            "insert into {journal} (step, op, present, raised, only_node, {columns}) \
             select {step}, '{LOAD}', 1, 0, '{node}', {columns} from {name}"
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
        let parent = if self.has_parent {
            format!(", foreign key (bond) references {FAMILIES} (bond)")
        } else {
            String::new()
        };
        for (name, parent) in [(&self.name, parent.as_str()), (&self.copy(), "")] {
            let name = kind.quote(name);
            sql.push_str(&format!(
                "create table {name} ({columns}, primary key ({key}){parent});\n"
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
