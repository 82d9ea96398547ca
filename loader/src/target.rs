//! The target's table for changes of one captured table.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use symstream_shared::catalog::{self, ColumnDef, TableDef};
use symstream_shared::db::{DatabaseKind, DbError, Sql};
use symstream_shared::logical::LogicalType;
use symstream_shared::schema::Tables;
use symstream_shared::wire::TableInfo;

use crate::dialect::Dialect;

/// How long a definition is believed. A column that was made narrower may round what does not fit any more, and
/// no error tells of it.
const FRESH: Duration = Duration::from_secs(10);

/// Where the changes of one captured table go.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// The table's name, quoted.
    pub sql_name: String,
    /// The table's name for messages.
    pub name: String,
    /// One for each captured column, in the same order.
    pub columns: Vec<TargetColumn>,
    /// The columns that tell rows apart, as indexes into `columns`.
    pub key: Vec<usize>,
    /// Whether rows have no key at all: then all columns are compared, and one change touches one row of
    /// several equal ones.
    pub whole_row: bool,
    /// Whether the table says itself what becomes of rows that violate its constraints (SQLite's `on conflict`).
    pub conflict_clauses: bool,
    /// Whether an insert that meets a row of its key may become an update of it (MySQL's `on duplicate key`).
    pub upserts: bool,
}

/// A captured column and the target's column of the same name.
#[derive(Debug, Clone)]
pub(crate) struct TargetColumn {
    /// What the values mean where they come from.
    pub source: LogicalType,
    /// The column, quoted.
    pub sql_name: String,
    /// The target's definition.
    pub def: ColumnDef,
}

/// Why changes have no place to go to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TargetError {
    #[error("table {0} does not exist here")]
    NoTable(String),
    #[error("table {0} is one of this node's own; no batch may write there")]
    Own(String),
    #[error("table {table} has no column {column}; add it, or exclude it from the trigger")]
    NoColumn { table: String, column: String },
    #[error("table {table} has the storage engine {engine}, which has no transactions; use InnoDB")]
    NoTransactions { table: String, engine: String },
    #[error("table {0}: its key names column {1}, which it does not have")]
    BadKey(String, u16),
    #[error(transparent)]
    Database(#[from] DbError),
}

impl Target {
    /// The columns that may be written.
    pub(crate) fn writable(&self) -> impl Iterator<Item = (usize, &TargetColumn)> {
        self.columns
            .iter()
            .enumerate()
            .filter(|(_, column)| !column.def.generated)
    }

    fn new(kind: DatabaseKind, table: &Table, info: &TableInfo) -> Result<Self, TargetError> {
        let def = &table.def;
        let name = match &info.target_schema {
            Some(schema) => format!("{schema}.{}", def.name),
            None => def.name.clone(),
        };
        let columns = info
            .columns
            .iter()
            .map(|column| {
                let found = def
                    .column_ignoring_case(&column.name)
                    .ok_or_else(|| TargetError::NoColumn {
                        table: name.clone(),
                        column: column.name.clone(),
                    })?;
                Ok(TargetColumn {
                    source: column.logical,
                    sql_name: kind.quote(&found.name),
                    def: found.clone(),
                })
            })
            .collect::<Result<Vec<_>, TargetError>>()?;
        let key = info
            .key
            .iter()
            .map(|&index| {
                let index_in_row = usize::from(index);
                if index_in_row < columns.len() {
                    Ok(index_in_row)
                } else {
                    Err(TargetError::BadKey(name.clone(), index))
                }
            })
            .collect::<Result<Vec<_>, _>>()?;
        // A table that is all key looks the same from the source; its own primary key tells.
        let whole_row = key.len() == columns.len() && def.primary_key.is_empty();
        let is_primary = key.len() == def.primary_key.len()
            && key.iter().all(|&index| def.is_key(&columns[index].def.name));
        Ok(Self {
            upserts: table.upserts && is_primary,
            sql_name: kind.quote_table(def.schema.as_deref(), &def.name),
            name,
            columns,
            key,
            whole_row,
            conflict_clauses: table.conflict_clauses,
        })
    }
}

/// What the database says of a table.
#[derive(Debug)]
struct Table {
    def: TableDef,
    conflict_clauses: bool,
    upserts: bool,
    read: Instant,
}

/// The target's table definitions, read when they are needed. Forgotten after an error and after a while,
/// because a table may have been altered.
#[derive(Debug)]
pub(crate) struct TargetCache {
    /// The node's own tables, which are no targets: they say who may take part, and what is run where.
    own: Tables,
    tables: HashMap<(Option<String>, String), Arc<Table>>,
}

impl TargetCache {
    /// Nothing is known yet of a database with these tables of the node's own.
    pub(crate) fn new(own: &Tables) -> Self {
        Self {
            own: own.clone(),
            tables: HashMap::new(),
        }
    }

    /// Forgets everything; returns whether there was anything that was read before `then`.
    pub(crate) fn clear(&mut self, then: Instant) -> bool {
        let old = self.tables.values().any(|table| table.read < then);
        self.tables.clear();
        old
    }

    /// Finds where the changes of `info` go.
    ///
    /// # Errors
    /// [`TargetError`].
    pub(crate) async fn resolve(
        &mut self,
        sql: &mut dyn Sql,
        dialect: &dyn Dialect,
        info: &TableInfo,
    ) -> Result<Target, TargetError> {
        let schema = info.target_schema.as_deref();
        let table = self
            .table_to_write(sql, dialect, schema, &info.target_table)
            .await?;
        Target::new(sql.kind(), &table, info)
    }

    /// A table's quoted name, by which tables are told apart; `None` where there is none.
    ///
    /// # Errors
    /// [`TargetError`].
    pub(crate) async fn sql_name(
        &mut self,
        sql: &mut dyn Sql,
        dialect: &dyn Dialect,
        schema: Option<&str>,
        name: &str,
    ) -> Result<Option<String>, TargetError> {
        match self.table(sql, dialect, schema, name).await {
            Ok(table) => {
                let def = &table.def;
                Ok(Some(sql.kind().quote_table(def.schema.as_deref(), &def.name)))
            }
            Err(TargetError::NoTable(_)) => Ok(None),
            Err(other) => Err(other),
        }
    }

    /// Rows of a whole table by its primary key, or by all columns where it has none; `None` where there is no such table.
    ///
    /// # Errors
    /// [`TargetError`].
    pub(crate) async fn whole_table(
        &mut self,
        sql: &mut dyn Sql,
        dialect: &dyn Dialect,
        schema: Option<&str>,
        name: &str,
    ) -> Result<Option<Target>, TargetError> {
        let table = match self.table_to_write(sql, dialect, schema, name).await {
            Ok(table) => table,
            Err(TargetError::NoTable(_)) => return Ok(None),
            Err(other) => return Err(other),
        };
        let def = &table.def;
        let columns = def
            .columns
            .iter()
            .filter(|column| def.primary_key.is_empty() || def.is_key(&column.name));
        let columns: Vec<TargetColumn> = columns
            .map(|column| TargetColumn {
                source: column.logical,
                sql_name: sql.kind().quote(&column.name),
                def: column.clone(),
            })
            .collect();
        Ok(Some(Target {
            sql_name: sql.kind().quote_table(def.schema.as_deref(), &def.name),
            name: match schema {
                Some(schema) => format!("{schema}.{}", def.name),
                None => def.name.clone(),
            },
            key: (0..columns.len()).collect(),
            columns,
            whole_row: def.primary_key.is_empty(),
            conflict_clauses: table.conflict_clauses,
            upserts: false,
        }))
    }

    /// The name is looked at as the database has it, and as it was asked for: either may be written in another case.
    async fn table_to_write(
        &mut self,
        sql: &mut dyn Sql,
        dialect: &dyn Dialect,
        schema: Option<&str>,
        name: &str,
    ) -> Result<Arc<Table>, TargetError> {
        if self.own.owns(name) {
            return Err(TargetError::Own(name.to_owned()));
        }
        let table = self.table(sql, dialect, schema, name).await?;
        if self.own.owns(&table.def.name) {
            return Err(TargetError::Own(table.def.name.clone()));
        }
        Ok(table)
    }

    async fn table(
        &mut self,
        sql: &mut dyn Sql,
        dialect: &dyn Dialect,
        schema: Option<&str>,
        name: &str,
    ) -> Result<Arc<Table>, TargetError> {
        let place = (schema.map(str::to_owned), name.to_owned());
        if let Some(table) = self
            .tables
            .get(&place)
            .filter(|table| table.read.elapsed() < FRESH)
        {
            return Ok(table.clone());
        }
        let table = read(sql, dialect, schema, name).await?;
        self.tables.insert(place, table.clone());
        Ok(table)
    }
}

async fn read(
    sql: &mut dyn Sql,
    dialect: &dyn Dialect,
    schema: Option<&str>,
    name: &str,
) -> Result<Arc<Table>, TargetError> {
    let read = Instant::now();
    let def = catalog::read_table(sql, schema, name).await?.ok_or_else(|| {
        TargetError::NoTable(match schema {
            Some(schema) => format!("{schema}.{name}"),
            None => name.to_owned(),
        })
    })?;
    if let Some(question) = dialect.engine_without_transactions(&def)
        && let Some(row) = sql.query_opt(&question.sql, &question.params).await?
    {
        return Err(TargetError::NoTransactions {
            table: def.name.clone(),
            engine: row.text(0)?,
        });
    }
    let conflict_clauses = match dialect.conflict_clauses(&def) {
        Some(question) => sql.query_opt(&question.sql, &question.params).await?.is_some(),
        None => false,
    };
    let upserts = match dialect.upsert_hindrances(&def) {
        Some(question) => sql.query_opt(&question.sql, &question.params).await?.is_none(),
        None => false,
    };
    Ok(Arc::new(Table {
        def,
        conflict_clauses,
        upserts,
        read,
    }))
}
