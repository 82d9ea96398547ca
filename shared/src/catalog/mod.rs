//! What a database says about its tables: columns, their meaning, primary keys.
//!
//! Owns the reading of the three catalogs and the mapping of their types to
//! [`LogicalType`]. Refuses to know why somebody asks.

mod mysql;
mod postgres;
mod sqlite;

use crate::db::{DatabaseKind, DbError, Sql};
use crate::logical::LogicalType;

/// A table as its database describes it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableDef {
    /// The schema (MySQL: the database) that the table was found in; `None` on SQLite.
    pub schema: Option<String>,
    /// The table's name exactly as the database spells it.
    pub name: String,
    /// The columns in the table's order.
    pub columns: Vec<ColumnDef>,
    /// The primary key's columns in the key's order; empty where the table has none.
    pub primary_key: Vec<String>,
}

/// A column as its database describes it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnDef {
    /// The name exactly as the database spells it.
    pub name: String,
    /// The dialect's own name of the type in lower case, without length: `varchar`, `numeric`, `int4`. The base type
    /// of a PostgreSQL domain, the first words of a SQLite declaration.
    pub type_name: String,
    /// The type as the dialect writes it in a definition or a cast, quoted and qualified where it has to be:
    /// `character varying(50)`, `shop."Mood"`, `int(10) unsigned`. Empty for a SQLite column without a type.
    pub sql_type: String,
    /// What the values mean.
    pub logical: LogicalType,
    /// Whether null is allowed.
    pub nullable: bool,
    /// The most characters (bits for bit strings, bytes for binary types), where there is a limit.
    pub length: Option<i64>,
    /// Digits of a decimal; digits of the seconds' fraction of a time.
    pub precision: Option<i64>,
    /// Digits of a decimal behind its point.
    pub scale: Option<i64>,
    /// A MySQL number without negative values.
    pub unsigned: bool,
    /// Computed from other columns: nobody may write it.
    pub generated: bool,
    /// `generated always as identity`: an explicit value needs `overriding system value`.
    pub identity_always: bool,
    /// The database hands out numbers for it: `serial`, `identity`, `auto_increment`, `integer primary key`.
    pub auto_increment: bool,
}

impl TableDef {
    /// A column by its exact name.
    pub fn column(&self, name: &str) -> Option<&ColumnDef> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// A column by its name; an exact match goes before one that differs in case only.
    pub fn column_ignoring_case(&self, name: &str) -> Option<&ColumnDef> {
        self.column(name).or_else(|| {
            let lower = name.to_lowercase();
            self.columns
                .iter()
                .find(|column| column.name.to_lowercase() == lower)
        })
    }

    /// Whether the column is part of the primary key.
    pub fn is_key(&self, column: &str) -> bool {
        self.primary_key.iter().any(|key| key == column)
    }

    /// A hash of everything that captured rows depend on: names, types and order of the columns, the primary key.
    /// Stays the same over versions of this program, because `sym_trigger_hist.table_hash` keeps it.
    pub fn hash(&self) -> i32 {
        let mut hasher = crc32fast::Hasher::new();
        let mut feed = |text: &str| {
            hasher.update(text.as_bytes());
            hasher.update(&[0]);
        };
        feed(&self.name);
        for column in &self.columns {
            feed(&column.name);
            feed(&column.sql_type);
            feed(column.logical.as_str());
        }
        feed("");
        for key in &self.primary_key {
            feed(key);
        }
        hasher.finalize().cast_signed()
    }
}

/// Reads a table's definition; `None` where there is no such table. The exact name goes before one that differs in
/// case only. `schema` `None` means the connection's default schema.
///
/// # Errors
/// [`DbError`] as the database says, or when two tables differ from the name and each other in case only.
pub async fn read_table(
    sql: &mut dyn Sql,
    schema: Option<&str>,
    name: &str,
) -> Result<Option<TableDef>, DbError> {
    match sql.kind() {
        DatabaseKind::Postgres => postgres::read_table(sql, schema, name).await,
        DatabaseKind::Mysql => mysql::read_table(sql, schema, name).await,
        DatabaseKind::Sqlite => sqlite::read_table(sql, schema, name).await,
    }
}

/// The names of all tables of the connection's own schema, sorted; views and what belongs to another table (partitions,
/// shadow tables) are none.
///
/// # Errors
/// [`DbError`] as the database says.
pub async fn table_names(sql: &mut dyn Sql) -> Result<Vec<String>, DbError> {
    let query = match sql.kind() {
        DatabaseKind::Postgres => postgres::TABLE_NAMES,
        DatabaseKind::Mysql => mysql::TABLE_NAMES,
        DatabaseKind::Sqlite => sqlite::TABLE_NAMES,
    };
    let rows = sql.query(query, &[]).await?;
    let mut names = rows
        .iter()
        .map(|row| row.text(0))
        .collect::<Result<Vec<_>, _>>()?;
    names.sort();
    Ok(names)
}

/// A column without a name of the PostgreSQL type with this `oid`; `None` where there is no such type.
///
/// # Errors
/// [`DbError`] as the database says.
pub async fn postgres_column_of_type(sql: &mut dyn Sql, oid: i64) -> Result<Option<ColumnDef>, DbError> {
    postgres::column_of_type(sql, oid).await
}

/// Picks the one name that is meant: the exact one, else the only one in another case.
fn pick(wanted: &str, found: Vec<String>) -> Result<Option<String>, DbError> {
    if found.iter().any(|name| name == wanted) {
        return Ok(Some(wanted.to_owned()));
    }
    match found.as_slice() {
        [] => Ok(None),
        [only] => Ok(Some(only.clone())),
        many => Err(DbError::unexpected(format!(
            "table name {wanted:?} fits several tables: {}; write it in its exact case",
            many.join(", ")
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, sql_type: &str) -> ColumnDef {
        ColumnDef {
            name: name.into(),
            type_name: sql_type.into(),
            sql_type: sql_type.into(),
            logical: LogicalType::Int,
            nullable: true,
            length: None,
            precision: None,
            scale: None,
            unsigned: false,
            generated: false,
            identity_always: false,
            auto_increment: false,
        }
    }

    fn table() -> TableDef {
        TableDef {
            schema: Some("public".into()),
            name: "t".into(),
            columns: vec![column("a", "int4"), column("b", "int8")],
            primary_key: vec!["a".into()],
        }
    }

    #[test]
    fn the_hash_sees_names_types_order_and_key() {
        let base = table().hash();
        assert_eq!(base, table().hash());
        let mut changed = table();
        changed.columns.swap(0, 1);
        assert_ne!(base, changed.hash());
        let mut changed = table();
        changed.columns[1].sql_type = "int4".into();
        assert_ne!(base, changed.hash());
        let mut changed = table();
        changed.columns[1].name = "B".into();
        assert_ne!(base, changed.hash());
        let mut changed = table();
        changed.primary_key.push("b".into());
        assert_ne!(base, changed.hash());
        let mut changed = table();
        changed.schema = None;
        assert_eq!(base, changed.hash());
    }

    #[test]
    fn the_exact_name_goes_before_another_case() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(
            pick("Item", names(&["item", "Item"])).expect("one"),
            Some("Item".into())
        );
        assert_eq!(pick("ITEM", names(&["item"])).expect("one"), Some("item".into()));
        assert_eq!(pick("ITEM", names(&[])).expect("none"), None);
        assert!(pick("ITEM", names(&["item", "Item"])).is_err());
    }
}
