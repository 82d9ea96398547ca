//! Writes tables of a database into a file: their structure, their rows, or both.
//!
//! Everything comes from one snapshot, table by table and row by row: an export needs no more memory than a few rows.

mod csv;
mod output;
mod rows;
mod sql;
mod tables;
mod values;
mod xml;

use output::Output;
use std::io::{self, Write};
use symstream_shared::db::{Database, DatabaseKind, DbError, TxKind};
use symstream_shared::ddl::DdlError;
use symstream_shared::schema::Tables;

/// What to write.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// How.
    pub format: Format,
    /// The tables' names; none means every table of the application.
    pub tables: Vec<String>,
    /// Whether their structure is written.
    pub structure: bool,
    /// Whether their rows are.
    pub rows: bool,
}

/// What the file looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The DdlUtils/Torque database format.
    Xml,
    /// A script for a database of this kind.
    Sql(DatabaseKind),
    /// One table: a line with the columns' names, then one for each row.
    Csv,
}

/// What was written.
#[derive(Debug, Default)]
pub struct Summary {
    /// Tables.
    pub tables: usize,
    /// Rows.
    pub rows: u64,
    /// What is left out or said otherwise, each with its table and column.
    pub warnings: Vec<String>,
}

/// Why an export failed.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// A table is not there, or can not be described.
    #[error(transparent)]
    Tables(#[from] DdlError),
    /// The names or the format do not go together.
    #[error("{0}")]
    Wanted(String),
    /// A value has no place in the format.
    #[error("table {table}, column {column}: {why}")]
    Value {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// What is wrong.
        why: String,
    },
    /// The output can not be written.
    #[error("write the export: {0}")]
    Write(#[from] io::Error),
    /// The database can not be reached, or refuses.
    #[error(transparent)]
    Database(#[from] DbError),
}

/// Writes what is wanted to `out`. `tables` are the engine's own, which are never exported without being named.
///
/// # Errors
/// [`ExportError`]; what was written until then is no whole export.
pub async fn export(
    database: &Database,
    tables: &Tables,
    wanted: &Wanted,
    out: &mut (dyn Write + Send),
) -> Result<Summary, ExportError> {
    let mut tx = database.begin(TxKind::ReadOnly).await?;
    let mut summary = Summary::default();
    let described = tables::read(&mut tx, tables, &wanted.tables, &mut summary.warnings).await?;
    if wanted.format == Format::Csv && described.len() != 1 {
        return Err(ExportError::Wanted(format!(
            "CSV is one table, and these are {}; name one",
            described.len()
        )));
    }
    let mut output: Box<dyn Output> = match wanted.format {
        Format::Xml => Box::new(xml::Xml::new()),
        Format::Sql(kind) => Box::new(sql::Sql::new(database.kind(), kind)),
        Format::Csv => Box::new(csv::Csv),
    };
    let all: Vec<_> = described.iter().map(|one| one.table.clone()).collect();
    output.begin(
        out,
        if wanted.structure { &all } else { &[] },
        &mut summary.warnings,
    )?;
    for one in &described {
        summary.tables += 1;
        if wanted.rows {
            summary.rows += rows::write(&mut tx, one, output.as_mut(), out).await?;
        }
    }
    output.end(out)?;
    out.flush()?;
    tx.rollback().await?;
    Ok(summary)
}
