//! A database schema in the terms of the DdlUtils/Torque format, before any dialect.

/// A table with everything that belongs to it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Table {
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

/// The JDBC types that the format names, as far as the three databases have something for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    /// `BIT`, `BOOLEAN`
    Boolean,
    /// `TINYINT`, `BOOLEANINT`
    Tinyint,
    /// `SMALLINT`
    Smallint,
    /// `INTEGER`
    Integer,
    /// `BIGINT`
    Bigint,
    /// `DECIMAL`, `NUMERIC`: precision and scale
    Decimal(Option<(u32, u32)>),
    /// `REAL`
    Real,
    /// `FLOAT`, `DOUBLE`: in JDBC both have 64 bits
    Double,
    /// `CHAR`, `NCHAR`, `BOOLEANCHAR`: the length
    Char(u32),
    /// `VARCHAR`, `NVARCHAR`: the length
    Varchar(u32),
    /// `LONGVARCHAR`, `CLOB` and their `N` forms
    LongText,
    /// `BINARY`, `VARBINARY`: the length
    Binary(u32),
    /// `LONGVARBINARY`, `BLOB`
    LongBinary,
    /// `DATE`
    Date,
    /// `TIME`
    Time,
    /// `TIMESTAMP`
    Timestamp,
}

/// DdlUtils' length for texts and binary data that have none.
const DEFAULT_LENGTH: u32 = 254;

impl ColumnType {
    /// Reads the attributes `type` and `size`.
    pub(super) fn parse(name: &str, size: Option<&str>) -> Result<Self, String> {
        let length = |default: u32| match size {
            None => Ok(default),
            Some(size) => match size.trim().parse::<u32>() {
                Ok(length) if length > 0 => Ok(length),
                _ => Err(format!("size {size:?} of type {name} is no length")),
            },
        };
        Ok(match name.to_ascii_uppercase().as_str() {
            "BIT" | "BOOLEAN" => Self::Boolean,
            "TINYINT" | "BOOLEANINT" => Self::Tinyint,
            "SMALLINT" => Self::Smallint,
            "INTEGER" => Self::Integer,
            "BIGINT" => Self::Bigint,
            "DECIMAL" | "NUMERIC" => Self::Decimal(size.map(precision_and_scale).transpose()?),
            "REAL" => Self::Real,
            "FLOAT" | "DOUBLE" => Self::Double,
            "BOOLEANCHAR" => Self::Char(length(1)?),
            "CHAR" | "NCHAR" => Self::Char(length(DEFAULT_LENGTH)?),
            "VARCHAR" | "NVARCHAR" => Self::Varchar(length(DEFAULT_LENGTH)?),
            "LONGVARCHAR" | "LONGNVARCHAR" | "CLOB" | "NCLOB" => Self::LongText,
            "BINARY" | "VARBINARY" => Self::Binary(length(DEFAULT_LENGTH)?),
            "LONGVARBINARY" | "BLOB" => Self::LongBinary,
            "DATE" => Self::Date,
            "TIME" => Self::Time,
            "TIMESTAMP" => Self::Timestamp,
            _ => {
                return Err(format!(
                    "type {name:?} is not known (BIT, BOOLEAN, TINYINT, SMALLINT, INTEGER, BIGINT, DECIMAL, NUMERIC, \
                     REAL, FLOAT, DOUBLE, CHAR, VARCHAR, LONGVARCHAR, CLOB, BINARY, VARBINARY, LONGVARBINARY, BLOB, \
                     DATE, TIME, TIMESTAMP)"
                ));
            }
        })
    }

    /// Whether its values are numbers, which SQL writes without quotes.
    pub(super) fn is_number(self) -> bool {
        matches!(
            self,
            Self::Tinyint
                | Self::Smallint
                | Self::Integer
                | Self::Bigint
                | Self::Decimal(_)
                | Self::Real
                | Self::Double
        )
    }
}

fn precision_and_scale(size: &str) -> Result<(u32, u32), String> {
    let (precision, scale) = size.split_once(',').unwrap_or((size, "0"));
    match (precision.trim().parse(), scale.trim().parse()) {
        (Ok(precision), Ok(scale)) if precision > 0 && scale <= precision => Ok((precision, scale)),
        _ => Err(format!("size {size:?} is no \"precision,scale\"")),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_read_with_their_sizes() {
        assert_eq!(
            ColumnType::parse("varchar", Some("50")),
            Ok(ColumnType::Varchar(50))
        );
        assert_eq!(ColumnType::parse("VARCHAR", None), Ok(ColumnType::Varchar(254)));
        assert_eq!(
            ColumnType::parse("NUMERIC", Some("10, 2")),
            Ok(ColumnType::Decimal(Some((10, 2))))
        );
        assert_eq!(
            ColumnType::parse("DECIMAL", Some("10")),
            Ok(ColumnType::Decimal(Some((10, 0))))
        );
        assert_eq!(ColumnType::parse("INTEGER", Some("10")), Ok(ColumnType::Integer));
        for (name, size) in [
            ("VARCHAR", "0"),
            ("VARCHAR", "x"),
            ("DECIMAL", "2,3"),
            ("UUID", "1"),
        ] {
            assert!(ColumnType::parse(name, Some(size)).is_err(), "{name} {size}");
        }
    }
}
