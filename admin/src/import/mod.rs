//! Brings tables, rows and SQL scripts into a database.

mod csv;
mod lexis;
mod references;
mod rows;
mod script;
mod statements;

use rows::Inserter;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use symstream_shared::db::{Database, DbError, Sql, Tx, TxKind};
use symstream_shared::ddl::{self, DataRow, DatabaseReader, DdlError, Item, Table, XmlError};

/// Why an import failed. The file's name is the caller's to say.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file can not be read.
    #[error("{0}")]
    Read(#[source] std::io::Error),
    /// The file is no database description.
    #[error(transparent)]
    Xml(#[from] XmlError),
    /// The file is no SQL script, or no CSV.
    #[error("{0}")]
    Syntax(String),
    /// A table can not be filled.
    #[error("table {table}: {why}")]
    Table {
        /// The table.
        table: String,
        /// Why not.
        why: String,
    },
    /// The tables can not be made.
    #[error(transparent)]
    Tables(#[from] DdlError),
    /// A row can not be inserted.
    #[error("line {line}: row of table {table}: {why}")]
    Row {
        /// Where the row stands.
        line: usize,
        /// Its table.
        table: String,
        /// Why not.
        why: String,
    },
    /// A statement failed.
    #[error("statement {number} (line {line}): {why}; {}", match committed {
        None => "nothing was changed".to_owned(),
        Some(number) => format!("everything up to statement {number} stays, because MySQL commits at DDL"),
    })]
    Statement {
        /// Which statement, from 1.
        number: usize,
        /// Where it begins.
        line: usize,
        /// What the database says.
        why: String,
        /// The last statement that can not be taken back.
        committed: Option<usize>,
    },
    /// The database can not be reached, or refuses to begin or to commit.
    #[error(transparent)]
    Database(DbError),
}

/// What an import of tables and rows did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Tables made.
    pub tables_created: usize,
    /// Tables that were there with the same columns.
    pub tables_present: usize,
    /// Rows inserted.
    pub rows_inserted: usize,
    /// Rows that were there.
    pub rows_present: usize,
    /// What the database has otherwise than the file says, each with its table and column.
    pub warnings: Vec<String>,
}

/// Runs a SQL script as one transaction and returns the number of its statements.
///
/// # Errors
/// [`ImportError`]; nothing is changed then, but for what MySQL commits by itself.
pub async fn import_sql(database: &Database, file: &Path) -> Result<usize, ImportError> {
    script::run(database, open(file)?).await
}

/// Makes the tables of a file in the DdlUtils/Torque database format, and inserts its rows in the file's order.
/// What is there already stays as it is, so the same file may be imported again. With `lower_case`, the names of
/// tables and columns become lower case.
///
/// # Errors
/// [`ImportError`]; nothing is changed then, but MySQL keeps the tables that were made.
pub async fn import_xml(database: &Database, file: &Path, lower_case: bool) -> Result<Summary, ImportError> {
    // The whole file is read before anything is changed; a second reading inserts the rows.
    let tables = read_tables(file, lower_case)?;
    let begin = || database.begin(TxKind::Write);
    let mut tx;
    let creation;
    if database.kind().capabilities().transactional_ddl {
        tx = begin().await.map_err(ImportError::Database)?;
        creation = ddl::create(&mut tx, &tables).await?;
    } else {
        // DDL would end a transaction.
        let mut conn = database.conn().await.map_err(ImportError::Database)?;
        creation = ddl::create(&mut conn, &tables).await?;
        creation.finish(&mut conn).await?;
        tx = begin().await.map_err(ImportError::Database)?;
    }
    let mut reader = DatabaseReader::new(open(file)?, lower_case);
    let next_row = || {
        loop {
            match reader.next_item()? {
                Some(Item::Row(row)) => return Ok(Some(row)),
                Some(Item::Table(_)) => {}
                None => return Ok(None),
            }
        }
    };
    let inserter = insert_rows(&mut tx, &creation.created, next_row).await?;
    if database.kind().capabilities().transactional_ddl {
        creation.finish(&mut tx).await?;
    }
    tx.commit().await.map_err(ImportError::Database)?;
    Ok(Summary {
        tables_created: creation.created.len(),
        tables_present: tables.len() - creation.created.len(),
        rows_inserted: inserter.inserted,
        rows_present: inserter.present,
        warnings: creation.warnings,
    })
}

/// Inserts the records of a CSV file into a table that is there; the file's first line names the columns. Rows that are
/// there already stay as they are. With `lower_case`, the columns' names become lower case.
///
/// # Errors
/// [`ImportError`]; nothing is changed then.
pub async fn import_csv(
    database: &Database,
    file: &Path,
    table: &str,
    lower_case: bool,
) -> Result<Summary, ImportError> {
    let mut reader = csv::CsvReader::new(open(file)?, table, lower_case)?;
    let mut tx = database
        .begin(TxKind::Write)
        .await
        .map_err(ImportError::Database)?;
    rows::check_columns(&mut tx, table, reader.columns()).await?;
    let inserter = insert_rows(&mut tx, &[], || reader.next()).await?;
    tx.commit().await.map_err(ImportError::Database)?;
    Ok(Summary {
        rows_inserted: inserter.inserted,
        rows_present: inserter.present,
        ..Summary::default()
    })
}

/// Inserts rows that may refer to each other in any order, as far as the database can wait with looking. Tables in `new`
/// were made by this import.
async fn insert_rows(
    tx: &mut Tx,
    new: &[&Table],
    mut next_row: impl FnMut() -> Result<Option<DataRow>, ImportError>,
) -> Result<Inserter, ImportError> {
    let (before, after) = ddl::dialect(tx.kind()).around_rows();
    tx.execute_script(before).await.map_err(ImportError::Database)?;
    let mut inserter = Inserter::new(tx, new.iter().copied());
    while let Some(row) = next_row()? {
        inserter.insert(tx, &row).await?;
    }
    inserter.finish(tx).await?;
    if !before.is_empty() {
        for table in inserter.tables() {
            references::check(tx, table).await?;
        }
    }
    tx.execute_script(after).await.map_err(ImportError::Database)?;
    Ok(inserter)
}

fn open(file: &Path) -> Result<BufReader<File>, ImportError> {
    File::open(file).map(BufReader::new).map_err(ImportError::Read)
}

fn read_tables(file: &Path, lower_case: bool) -> Result<Vec<Table>, ImportError> {
    let mut reader = DatabaseReader::new(open(file)?, lower_case);
    let mut tables: Vec<Table> = Vec::new();
    while let Some(item) = reader.next_item()? {
        let Item::Table(table) = item else { continue };
        if tables.iter().any(|before| before.name == table.name) {
            return Err(ImportError::Table {
                table: table.name,
                why: "the file has it twice".into(),
            });
        }
        tables.push(table);
    }
    Ok(tables)
}
