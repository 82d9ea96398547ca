//! A database schema in the terms of the DdlUtils/Torque format, before any dialect.

use super::column_type::ColumnType;
use super::native::NativeType;

/// A table with everything that belongs to it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Table {
    /// The schema (MySQL: the database); `None` for the connection's own.
    pub schema: Option<String>,
    /// The name as given, or in lower case with `--alter-case`.
    pub name: String,
    /// In the order of the file.
    pub columns: Vec<Column>,
    /// References to other tables.
    pub foreign_keys: Vec<ForeignKey>,
    /// Indexes, unique ones too.
    pub indexes: Vec<Index>,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// The name.
    pub name: String,
    /// What it holds.
    pub column_type: ColumnType,
    /// The type in the words of the database that it comes from, where the format's type says less.
    pub native: Option<NativeType>,
    /// Whether null is refused.
    pub required: bool,
    /// Whether it is part of the primary key.
    pub primary_key: bool,
    /// Whether the database gives it a number where the row has none.
    pub auto_increment: bool,
    /// The default as it stands in the file, without quotes.
    pub default: Option<String>,
}

/// A reference to another table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ForeignKey {
    /// `None`: the database makes a name.
    pub name: Option<String>,
    /// The schema of the table referred to; `None` for the connection's own.
    pub foreign_schema: Option<String>,
    /// The table referred to.
    pub foreign_table: String,
    /// Pairs of (own column, column referred to).
    pub references: Vec<(String, String)>,
    /// What a deletion of the row referred to does.
    pub on_delete: Option<ReferenceAction>,
    /// What a change of the key referred to does.
    pub on_update: Option<ReferenceAction>,
}

/// What happens to a referring row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReferenceAction {
    /// The same.
    Cascade,
    /// Its columns become null.
    SetNull,
    /// Its columns get their defaults.
    SetDefault,
    /// The change is refused.
    Restrict,
}

impl ReferenceAction {
    /// Reads DdlUtils' word; `Ok(None)` for its `none`.
    pub(super) fn parse(word: &str) -> Result<Option<Self>, String> {
        match word.to_ascii_lowercase().replace([' ', '_', '-'], "").as_str() {
            "cascade" => Ok(Some(Self::Cascade)),
            "setnull" => Ok(Some(Self::SetNull)),
            "setdefault" => Ok(Some(Self::SetDefault)),
            "restrict" => Ok(Some(Self::Restrict)),
            "none" | "noaction" => Ok(None),
            _ => Err(format!(
                "{word:?} is no action (cascade, setnull, setdefault, restrict, none)"
            )),
        }
    }

    /// DdlUtils' word.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Cascade => "cascade",
            Self::SetNull => "setnull",
            Self::SetDefault => "setdefault",
            Self::Restrict => "restrict",
        }
    }

    pub(super) fn sql(self) -> &'static str {
        match self {
            Self::Cascade => "cascade",
            Self::SetNull => "set null",
            Self::SetDefault => "set default",
            Self::Restrict => "restrict",
        }
    }
}

/// An index.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Index {
    /// `None`: made from the table's and the columns' names.
    pub name: Option<String>,
    /// Whether it keeps the columns' values unique.
    pub unique: bool,
    /// The columns.
    pub columns: Vec<String>,
}

impl Table {
    /// The primary key's columns.
    pub fn primary_key(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().filter(|column| column.primary_key)
    }

    pub(super) fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Says what is wrong with the table by itself; names of other tables are the database's to check.
    pub(super) fn check(&self) -> Result<(), String> {
        let table = &self.name;
        if self.columns.is_empty() {
            return Err(format!("table {table} has no columns"));
        }
        for (index, column) in self.columns.iter().enumerate() {
            if self.columns[..index]
                .iter()
                .any(|before| before.name == column.name)
            {
                return Err(format!("table {table} has two columns {}", column.name));
            }
        }
        for index in &self.indexes {
            let what = if index.unique { "unique" } else { "index" };
            if index.columns.is_empty() {
                return Err(format!("an <{what}> of table {table} has no columns"));
            }
            if let Some(name) = index.columns.iter().find(|name| self.column(name).is_none()) {
                return Err(format!(
                    "an <{what}> of table {table} names the column {name}, which it does not have"
                ));
            }
        }
        for key in &self.foreign_keys {
            let other = &key.foreign_table;
            if key.references.is_empty() {
                return Err(format!(
                    "the foreign key of table {table} to {other} has no <reference>"
                ));
            }
            if let Some((name, _)) = key
                .references
                .iter()
                .find(|(local, _)| self.column(local).is_none())
            {
                return Err(format!(
                    "the foreign key of table {table} to {other} names the column {name}, which {table} does not have"
                ));
            }
        }
        Ok(())
    }

    /// All names in lower case.
    pub(super) fn lower_case(&mut self) {
        let lower = |name: &mut String| *name = name.to_lowercase();
        lower(&mut self.name);
        self.columns.iter_mut().for_each(|column| lower(&mut column.name));
        for key in &mut self.foreign_keys {
            key.name.iter_mut().for_each(lower);
            lower(&mut key.foreign_table);
            for (local, foreign) in &mut key.references {
                lower(local);
                lower(foreign);
            }
        }
        for index in &mut self.indexes {
            index.name.iter_mut().for_each(lower);
            index.columns.iter_mut().for_each(lower);
        }
    }
}
