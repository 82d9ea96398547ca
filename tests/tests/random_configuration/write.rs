//! What one statement of the history does, and its SQL: the statement, and its lines in the journal.

use super::table::Table;
use symstream_shared::db::DatabaseKind;

/// One statement.
#[derive(Debug, Clone)]
pub struct Write {
    /// Its place in the whole history; grows for every row.
    pub step: i64,
    /// Index of the table.
    pub table: usize,
    /// What it does.
    pub what: What,
}

/// What rows have in common that are written together: their keys are made of the family, lookups ask for the bond.
/// A family whose rows and links were all deleted comes back with another bond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bond {
    /// The family.
    pub family: i64,
    /// How often it has come back.
    pub life: i64,
}

impl Bond {
    /// The value of the column `bond`.
    pub fn column(self) -> i64 {
        self.family + 1000 * self.life
    }
}

/// The attributes that a row keeps while it lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attributes {
    /// `bond`
    pub bond: Bond,
    /// `owner`
    pub owner: Option<String>,
    /// `region`
    pub region: i64,
    /// `tags`
    pub tags: Option<String>,
}

/// A row to insert.
#[derive(Debug, Clone)]
pub struct Row {
    /// The number that its key is made of.
    pub number: i64,
    /// `amount`
    pub amount: i64,
    /// `note`
    pub note: Option<String>,
    /// `extra`
    pub extra: Option<String>,
}

/// Some rows of one bond.
#[derive(Debug, Clone, Copy)]
pub enum Which {
    /// The one with this number.
    One(i64),
    /// All of them.
    All,
    /// Every third of them.
    Third(i64),
}

/// What a statement does.
#[derive(Debug, Clone)]
pub enum What {
    /// A link from a bond to a node.
    Link {
        /// The bond.
        bond: Bond,
        /// The node's external id, or the one for everybody.
        node: String,
    },
    /// Deletes all links of a bond.
    Unlink {
        /// The bond.
        bond: Bond,
    },
    /// A bond's family, which rows refer to.
    Found {
        /// The bond.
        bond: Bond,
    },
    /// Deletes a bond's family.
    Dissolve {
        /// The bond.
        bond: Bond,
    },
    /// Inserts rows with one statement.
    Insert {
        /// What they have in common.
        attributes: Attributes,
        /// The rows.
        rows: Vec<Row>,
    },
    /// Sets columns; `edits` grows each time.
    Update {
        /// The bond.
        bond: Bond,
        /// Which of its rows.
        which: Which,
        /// Added to `amount`.
        raise: Option<i64>,
        /// The new `note`.
        note: Option<Option<String>>,
        /// The new `extra`.
        extra: Option<Option<String>>,
    },
    /// Gives a row another key.
    Rename {
        /// The bond.
        bond: Bond,
        /// The number that its key is made of,
        from: i64,
        /// and is to be made of.
        to: i64,
    },
    /// Gives all rows of a bond other keys with one statement.
    Shift {
        /// The bond.
        bond: Bond,
        /// Added to their numbers.
        by: i64,
    },
    /// Deletes rows.
    Delete {
        /// The bond.
        bond: Bond,
        /// Which of its rows.
        which: Which,
    },
}

/// The journal's letters.
const INSERT: &str = "I";
const UPDATE: &str = "U";
const DELETE: &str = "D";
/// Rows that were there before the nodes, and come with the initial load.
pub const LOAD: &str = "L";

impl Write {
    /// The statements, those for the journal among them.
    pub fn sql(&self, tables: &[Table], kind: DatabaseKind) -> Vec<String> {
        let statement = Statement {
            step: self.step,
            table: &tables[self.table],
            kind,
        };
        statement.of(&self.what)
    }
}

struct Statement<'a> {
    step: i64,
    table: &'a Table,
    kind: DatabaseKind,
}

impl Statement<'_> {
    fn of(&self, what: &What) -> Vec<String> {
        let name = self.kind.quote(&self.table.name);
        match what {
            What::Link { bond, node } => vec![
                format!(
                    "insert into {name} (bond, node) values ({}, '{node}')",
                    bond.column()
                ),
                self.note(
                    INSERT,
                    true,
                    false,
                    &format!("bond = {} and node = '{node}'", bond.column()),
                ),
            ],
            What::Found { bond } => vec![
                format!("insert into {name} (bond) values ({})", bond.column()),
                self.note(INSERT, true, false, &format!("bond = {}", bond.column())),
            ],
            What::Unlink { bond } | What::Dissolve { bond } => {
                let rows = format!("bond = {}", bond.column());
                vec![
                    self.note(DELETE, false, false, &rows),
                    format!("delete from {name} where {rows}"),
                ]
            }
            What::Insert { attributes, rows } => {
                let values: Vec<String> = rows.iter().map(|row| self.row(attributes, row)).collect();
                let keys: Vec<String> = rows
                    .iter()
                    .map(|row| format!("({})", self.key(attributes.bond, row.number)))
                    .collect();
                let columns = self.table.column_list();
                vec![
                    format!("insert into {name} ({columns}) values {}", values.join(", ")),
                    self.note(INSERT, true, false, &keys.join(" or ")),
                ]
            }
            What::Update {
                bond,
                which,
                raise,
                note,
                extra,
            } => {
                let mut sets = vec!["edits = edits + 1".to_owned()];
                sets.extend(raise.map(|by| format!("amount = amount + {by}")));
                sets.extend(
                    note.as_ref()
                        .map(|note| format!("note = {}", self.text(note.as_deref()))),
                );
                sets.extend(
                    extra
                        .as_ref()
                        .map(|text| format!("extra = {}", self.text(text.as_deref()))),
                );
                let rows = self.rows(*bond, *which);
                vec![
                    format!("update {name} set {} where {rows}", sets.join(", ")),
                    self.note(UPDATE, true, raise.is_some(), &rows),
                ]
            }
            What::Rename { bond, from, to } => {
                let columns = self
                    .table
                    .key
                    .columns()
                    .iter()
                    .zip(self.table.key.values(bond.family, *to));
                let sets: Vec<String> = columns
                    .map(|(column, value)| format!("{} = {value}", column.name))
                    .collect();
                let (old, new) = (self.key(*bond, *from), self.key(*bond, *to));
                vec![
                    self.note(UPDATE, false, false, &old),
                    format!(
                        "update {name} set {}, edits = edits + 1 where {old}",
                        sets.join(", ")
                    ),
                    self.note(UPDATE, true, false, &new),
                ]
            }
            What::Shift { bond, by } => {
                let Some(set) = self.table.key.shift(*by) else {
                    return Vec::new();
                };
                let rows = self.rows(*bond, Which::All);
                vec![
                    self.note(UPDATE, false, false, &rows),
                    format!("update {name} set {set}, edits = edits + 1 where {rows}"),
                    self.note(UPDATE, true, false, &rows),
                ]
            }
            What::Delete { bond, which } => {
                let rows = self.rows(*bond, *which);
                vec![
                    self.note(DELETE, false, false, &rows),
                    format!("delete from {name} where {rows}"),
                ]
            }
        }
    }

    fn key(&self, bond: Bond, number: i64) -> String {
        self.table.key.condition(bond.family, number)
    }

    fn rows(&self, bond: Bond, which: Which) -> String {
        match which {
            Which::One(number) => self.key(bond, number),
            Which::All => format!("bond = {}", bond.column()),
            Which::Third(rest) => format!("bond = {} and item % 3 = {rest}", bond.column()),
        }
    }

    fn row(&self, attributes: &Attributes, row: &Row) -> String {
        let mut values = self.table.key.values(attributes.bond.family, row.number);
        values.extend([
            row.number.to_string(),
            attributes.bond.column().to_string(),
            self.text(attributes.owner.as_deref()),
            attributes.region.to_string(),
            self.text(attributes.tags.as_deref()),
            "0".to_owned(),
            row.amount.to_string(),
            self.text(row.note.as_deref()),
            self.text(row.extra.as_deref()),
        ]);
        format!("({})", values.join(", "))
    }

    fn text(&self, text: Option<&str>) -> String {
        text.map_or_else(|| "null".to_owned(), |text| self.kind.literal(text))
    }

    /// Writes down what was done to the rows that are there now.
    fn note(&self, op: &str, present: bool, raised: bool, rows: &str) -> String {
        let columns = self.table.column_list();
        format!(
            "insert into {} (step, op, present, raised, {columns}) select {}, '{op}', {}, {}, {columns} from {} \
             where {rows}",
            self.table.journal,
            self.step,
            i32::from(present),
            i32::from(raised),
            self.kind.quote(&self.table.name),
        )
    }
}
