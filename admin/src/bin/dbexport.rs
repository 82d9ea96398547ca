//! `dbexport`: writes tables and rows of an engine's database.

use clap::{Parser, ValueEnum};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use symstream_admin::engine_args::EngineArgs;
use symstream_admin::export::{self, Wanted};
use symstream_admin::failure::{self, Failure};
use symstream_shared::db::DatabaseKind;

/// Exports tables of an engine's database: all of the application's, in one snapshot.
#[derive(Debug, Parser)]
#[command(
    name = "dbexport",
    version,
    after_help = "Examples:\n  dbexport --engine cloud-1 --format XML > everything.xml\n  \
                  dbexport --engine cloud-1 --format XML --no-data --output schema.xml patients codes\n  \
                  dbexport --engine cloud-1 --compatible sqlite > for-sqlite.sql\n  \
                  dbexport --engine cloud-1 --format CSV codes > codes.csv"
)]
struct Cli {
    #[command(flatten)]
    engine: EngineArgs,
    /// How: a SQL script; the DdlUtils/Torque database format; one table with a line of column names
    #[arg(long, value_enum, ignore_case = true, default_value_t = Format::Sql)]
    format: Format,
    /// The database that the SQL is for [default: the engine's own]
    #[arg(long, value_enum, ignore_case = true, value_name = "DIALECT")]
    compatible: Option<Dialect>,
    /// Leave out the rows
    #[arg(long)]
    no_data: bool,
    /// Leave out the tables' structure
    #[arg(long, conflicts_with = "no_data")]
    no_create_info: bool,
    /// The file to write [default: stdout]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The tables [default: all but those of engines]
    #[arg(value_name = "TABLE")]
    tables: Vec<String>,
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

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Dialect {
    #[value(name = "postgres", alias = "postgresql")]
    Postgres,
    #[value(name = "mysql", alias = "mariadb")]
    Mysql,
    #[value(name = "sqlite")]
    Sqlite,
}

impl Dialect {
    fn kind(self) -> DatabaseKind {
        match self {
            Self::Postgres => DatabaseKind::Postgres,
            Self::Mysql => DatabaseKind::Mysql,
            Self::Sqlite => DatabaseKind::Sqlite,
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let cli: Cli = failure::parse();
    failure::exit(run(&cli).await)
}

async fn run(cli: &Cli) -> Result<(), Failure> {
    check(cli).map_err(|why| Failure::Usage(why.to_owned()))?;
    let context = cli.engine.open().await?;
    let compatible = cli.compatible.map_or(context.database.kind(), Dialect::kind);
    let wanted = Wanted {
        format: match cli.format {
            Format::Sql => export::Format::Sql(compatible),
            Format::Xml => export::Format::Xml,
            Format::Csv => export::Format::Csv,
        },
        tables: cli.tables.clone(),
        structure: !cli.no_create_info && cli.format != Format::Csv,
        rows: !cli.no_data,
    };
    let mut out: Box<dyn Write + Send> = match &cli.output {
        None => Box::new(BufWriter::new(io::stdout())),
        Some(file) => {
            Box::new(BufWriter::new(File::create(file).map_err(|err| {
                Failure::Failed(format!("{}: {err}", file.display()))
            })?))
        }
    };
    let summary = export::export(&context.database, &context.tables, &wanted, out.as_mut()).await?;
    for warning in &summary.warnings {
        eprintln!("warning: {warning}");
    }
    eprintln!("{} tables, {} rows", summary.tables, summary.rows);
    Ok(())
}

fn check(cli: &Cli) -> Result<(), &'static str> {
    match cli.format {
        Format::Csv if cli.tables.len() != 1 => {
            Err("--format CSV takes one table: name it behind the options")
        }
        Format::Csv if cli.no_data => Err("--no-data leaves nothing of --format CSV; take it away"),
        Format::Xml | Format::Csv if cli.compatible.is_some() => Err("--compatible goes with --format SQL"),
        _ => Ok(()),
    }
}
