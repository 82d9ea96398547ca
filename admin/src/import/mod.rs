//! Brings tables, rows and SQL scripts into a database.

mod encoding;
mod lexis;
mod rows;
mod script;
mod statements;

use rows::Inserter;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use symstream_shared::db::{Database, DbError, TxKind};
use symstream_shared::ddl::{self, DatabaseReader, DdlError, Item, Table, XmlError};

/// Why an import failed. The file's name is the caller's to say.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file can not be read.
    #[error("{0}")]
    Read(#[source] std::io::Error),
    /// The file is no database description.
    #[error(transparent)]
    Xml(#[from] XmlError),
    /// The file is no SQL script.
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

/// What an XML import did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct XmlSummary {
    /// Tables made.
    pub tables_created: usize,
    /// Tables that were there with the same columns.
    pub tables_present: usize,
    /// Rows inserted.
    pub rows_inserted: usize,
    /// Rows that were there.
    pub rows_present: usize,
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
pub async fn import_xml(
    database: &Database,
    file: &Path,
    lower_case: bool,
) -> Result<XmlSummary, ImportError> {
    // The whole file is read before anything is changed; a second reading inserts the rows.
    let tables = read_tables(file, lower_case)?;
    let begin = || database.begin(TxKind::Write);
    let mut tx;
    let new;
    if database.kind().capabilities().transactional_ddl {
        tx = begin().await.map_err(ImportError::Database)?;
        new = ddl::create(&mut tx, &tables).await?.created;
    } else {
        // DDL would end a transaction.
        let mut conn = database.conn().await.map_err(ImportError::Database)?;
        new = ddl::create(&mut conn, &tables).await?.created;
        tx = begin().await.map_err(ImportError::Database)?;
    }
    let mut inserter = Inserter::new(&tx, new.iter().copied());
    let mut reader = DatabaseReader::new(open(file)?, lower_case);
    while let Some(item) = reader.next()? {
        if let Item::Row(row) = item {
            inserter.insert(&mut tx, &row).await?;
        }
    }
    inserter.finish(&mut tx).await?;
    tx.commit().await.map_err(ImportError::Database)?;
    Ok(XmlSummary {
        tables_created: new.len(),
        tables_present: tables.len() - new.len(),
        rows_inserted: inserter.inserted,
        rows_present: inserter.present,
    })
}

fn open(file: &Path) -> Result<BufReader<File>, ImportError> {
    File::open(file).map(BufReader::new).map_err(ImportError::Read)
}

fn read_tables(file: &Path, lower_case: bool) -> Result<Vec<Table>, ImportError> {
    let mut reader = DatabaseReader::new(open(file)?, lower_case);
    let mut tables: Vec<Table> = Vec::new();
    while let Some(item) = reader.next()? {
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
