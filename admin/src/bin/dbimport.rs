//! `dbimport`: brings tables, rows and SQL scripts into an engine's database.

use clap::{Parser, ValueEnum};
use std::path::PathBuf;
use std::process::ExitCode;
use symstream_admin::engine_args::EngineArgs;
use symstream_admin::failure::{self, Failure};
use symstream_admin::import;

/// Imports a file into an engine's database.
#[derive(Debug, Parser)]
#[command(
    name = "dbimport",
    version,
    after_help = "Examples:\n  dbimport --engine cloud-1 --format XML --alter-case schema.xml\n  \
                  dbimport --engine cloud-1 initial.sql\n  \
                  dbimport --engine cloud-1 --format CSV --table codes codes.csv"
)]
struct Cli {
    #[command(flatten)]
    engine: EngineArgs,
    /// What the file holds: SQL runs as one transaction; XML is the DdlUtils/Torque database format; CSV is one table's
    /// rows behind a line with its columns
    #[arg(long, value_enum, ignore_case = true, default_value_t = Format::Sql)]
    format: Format,
    /// Write the names of tables and columns in lower case (XML and CSV)
    #[arg(long)]
    alter_case: bool,
    /// The table that a CSV file is for
    #[arg(long, value_name = "TABLE")]
    table: Option<String>,
    /// The file
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    #[value(name = "SQL")]
    Sql,
    #[value(name = "XML")]
    Xml,
    #[value(name = "CSV")]
    Csv,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let cli: Cli = failure::parse();
    failure::exit(run(&cli).await)
}

async fn run(cli: &Cli) -> Result<(), Failure> {
    if cli.alter_case && cli.format == Format::Sql {
        return Err(Failure::Usage(
            "--alter-case goes with --format XML or CSV".to_owned(),
        ));
    }
    let table = match (&cli.table, cli.format) {
        (None, Format::Csv) => {
            return Err(Failure::Usage(
                "--format CSV needs the table: give --table NAME".to_owned(),
            ));
        }
        (Some(_), Format::Sql | Format::Xml) => {
            return Err(Failure::Usage("--table goes with --format CSV".to_owned()));
        }
        (table, _) => table.as_deref().unwrap_or_default(),
    };
    let table = if cli.alter_case {
        table.to_lowercase()
    } else {
        table.to_owned()
    };
    let context = cli.engine.open().await?;
    let file = cli.file.display();
    let failed = |err: import::ImportError| Failure::Failed(format!("{file}: {err}"));
    match cli.format {
        Format::Sql => {
            let count = import::import_sql(&context.database, &cli.file)
                .await
                .map_err(failed)?;
            eprintln!("{file}: {count} statements run");
        }
        Format::Xml => {
            let done = import::import_xml(&context.database, &cli.file, cli.alter_case)
                .await
                .map_err(failed)?;
            for warning in &done.warnings {
                eprintln!("warning: {warning}");
            }
            eprintln!(
                "{file}: {} tables created, {} were there; {} rows inserted, {} were there",
                done.tables_created, done.tables_present, done.rows_inserted, done.rows_present
            );
        }
        Format::Csv => {
            let done = import::import_csv(&context.database, &cli.file, &table, cli.alter_case)
                .await
                .map_err(failed)?;
            eprintln!(
                "{file}: {} rows inserted, {} were there",
                done.rows_inserted, done.rows_present
            );
        }
    }
    Ok(())
}
