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
                  dbimport --engine cloud-1 initial.sql"
)]
struct Cli {
    #[command(flatten)]
    engine: EngineArgs,
    /// What the file holds: SQL runs as one transaction; XML is the DdlUtils/Torque database format
    #[arg(long, value_enum, ignore_case = true, default_value_t = Format::Sql)]
    format: Format,
    /// Write the names of tables and columns in lower case (XML only)
    #[arg(long)]
    alter_case: bool,
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
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let cli: Cli = failure::parse();
    failure::exit(run(&cli).await)
}

async fn run(cli: &Cli) -> Result<(), Failure> {
    if cli.alter_case && cli.format != Format::Xml {
        return Err(Failure::Usage("--alter-case goes with --format XML".to_owned()));
    }
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
            eprintln!(
                "{file}: {} tables created, {} were there; {} rows inserted, {} were there",
                done.tables_created, done.tables_present, done.rows_inserted, done.rows_present
            );
        }
    }
    Ok(())
}
