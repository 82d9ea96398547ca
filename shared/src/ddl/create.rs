//! Making tables.

use super::DdlError;
use super::dialect;
use super::existing;
use super::model::Table;
use super::render::{self, Statements};
use super::xml::{DatabaseReader, Item, XmlError};
use crate::catalog;
use crate::db::Sql;

/// What [`create`] did.
#[derive(Debug, Default)]
pub struct Creation<'t> {
    /// The tables that were not there.
    pub created: Vec<&'t Table>,
    /// What the database has otherwise than it was described, each with its table and column.
    pub warnings: Vec<String>,
    after: Vec<(String, String)>,
}

impl Creation<'_> {
    /// Makes the indexes and references that are not part of the tables' definitions: with the rows there it is done
    /// faster, and rows may come in any order until then.
    ///
    /// # Errors
    /// [`DdlError`] as the database says.
    pub async fn finish(&self, sql: &mut dyn Sql) -> Result<(), DdlError> {
        run(sql, &self.after).await
    }
}

/// The tables that a description describes: those that [`create_missing`] would make of it, and no others.
///
/// # Errors
/// [`XmlError`] when the text is no description.
pub fn described(xml: &str) -> Result<Vec<Table>, XmlError> {
    let mut tables = Vec::new();
    let mut reader = DatabaseReader::new(xml.as_bytes(), false);
    while let Some(item) = reader.next_item()? {
        if let Item::Table(table) = item {
            tables.push(table);
        }
    }
    Ok(tables)
}

/// Makes the tables of a description that are not there (a name that differs in case only is there), with their keys,
/// references and indexes, and returns their names. Tables that are there stay as they are. A reference to a table
/// that is neither there nor described is left out, with a warning in the log; tables may refer to each other in any
/// order.
///
/// Runs in the transaction that is open, where the database takes DDL back. MySQL commits a transaction that is open:
/// call it before one begins. A run that was cut short there can be repeated.
///
/// # Errors
/// [`DdlError`] when the text is no description, or as the database says.
pub async fn create_missing(sql: &mut dyn Sql, xml: &str) -> Result<Vec<String>, DdlError> {
    let tables = described(xml)?;
    let missing = missing(sql, &tables).await?;
    let mut wanted: Vec<Table> = missing.into_iter().cloned().collect();
    leave_out_dangling(sql, &mut wanted, &tables).await?;
    let new: Vec<&Table> = wanted.iter().collect();
    let statements = make(sql, &new, &tables).await?;
    run(sql, &statements.after).await?;
    for warning in statements.warnings {
        tracing::warn!("{warning}");
    }
    Ok(wanted.into_iter().map(|table| table.name).collect())
}

/// Makes the tables that are not there, as far as that is done before their rows: [`Creation::finish`] has to follow. Those that are there have to agree with their description in names, kinds of
/// values and primary key.
///
/// # Errors
/// [`DdlError`]; where DDL is transactional nothing is changed then.
pub async fn create<'t>(sql: &mut dyn Sql, tables: &'t [Table]) -> Result<Creation<'t>, DdlError> {
    for table in tables {
        let Some(found) = find(sql, table).await? else {
            continue;
        };
        let differences = existing::differences(table, &found);
        if !differences.is_empty() {
            return Err(DdlError::Table {
                table: table.name.clone(),
                why: format!("the database has it already, but {}", differences.join(", ")),
            });
        }
    }
    let created = missing(sql, tables).await?;
    let statements = make(sql, &created, tables).await?;
    Ok(Creation {
        created,
        warnings: statements.warnings,
        after: statements.after,
    })
}

async fn missing<'t>(sql: &mut dyn Sql, tables: &'t [Table]) -> Result<Vec<&'t Table>, DdlError> {
    let mut missing = Vec::new();
    for table in tables {
        if find(sql, table).await?.is_none() {
            missing.push(table);
        }
    }
    Ok(missing)
}

async fn find(sql: &mut dyn Sql, table: &Table) -> Result<Option<catalog::TableDef>, DdlError> {
    let found = catalog::read_table(sql, table.schema.as_deref(), &table.name).await;
    found.map_err(|err| DdlError::Table {
        table: table.name.clone(),
        why: err.to_string(),
    })
}

async fn leave_out_dangling(
    sql: &mut dyn Sql,
    wanted: &mut [Table],
    described: &[Table],
) -> Result<(), DdlError> {
    for table in wanted {
        let mut kept = Vec::new();
        for key in std::mem::take(&mut table.foreign_keys) {
            let is_described = described
                .iter()
                .any(|other| other.name == key.foreign_table && other.schema == key.foreign_schema);
            let schema = key.foreign_schema.as_deref();
            if is_described
                || catalog::read_table(sql, schema, &key.foreign_table)
                    .await?
                    .is_some()
            {
                kept.push(key);
            } else {
                tracing::warn!(
                    table = table.name,
                    "made without its reference to table {}, which is not here",
                    key.foreign_table
                );
            }
        }
        table.foreign_keys = kept;
    }
    Ok(())
}

/// Makes the tables `new`, and returns what is left to do; `all` is everything that is described.
async fn make(sql: &mut dyn Sql, new: &[&Table], all: &[Table]) -> Result<Statements, DdlError> {
    let dialect = dialect::of(sql.kind());
    let statements = render::create(dialect, new, all).map_err(DdlError::Unsupported)?;
    if new.is_empty() {
        return Ok(statements);
    }
    let (before, after) = dialect.around_tables();
    sql.execute_script(before).await?;
    let made = run(sql, &statements.tables).await;
    // In a transaction that has failed PostgreSQL would refuse it; there is nothing to run there.
    sql.execute_script(after).await?;
    made?;
    Ok(statements)
}

async fn run(sql: &mut dyn Sql, statements: &[(String, String)]) -> Result<(), DdlError> {
    for (table, statement) in statements {
        sql.execute_script(statement)
            .await
            .map_err(|err| DdlError::Table {
                table: table.clone(),
                why: err.to_string(),
            })?;
    }
    Ok(())
}
