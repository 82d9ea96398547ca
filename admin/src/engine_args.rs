//! `--engine` and `--engines-dir`: which engine a command is for.

use crate::failure::Failure;
use std::path::PathBuf;
use symstream_shared::catalog;
use symstream_shared::db::Database;
use symstream_shared::engine::{Engine, EngineFolder, Override};
use symstream_shared::schema::Tables;

/// Which engine a command is for.
#[derive(Debug, Clone, clap::Args)]
pub struct EngineArgs {
    /// The engine [default: the only one in the engines folder]
    #[arg(long, global = true, value_name = "NAME")]
    pub engine: Option<String>,
    /// The folder with the engines' files [default: $SYM_ENGINES_DIR, else ./engines]
    #[arg(long, global = true, value_name = "DIR")]
    pub engines_dir: Option<PathBuf>,
    /// An engine key or a parameter; goes before the file, sym_parameter and the environment; may be given several
    /// times
    #[arg(long = "set", global = true, value_name = "KEY=VALUE")]
    pub overrides: Vec<Override>,
}

/// An engine with the way to its database.
#[derive(Debug)]
pub struct EngineContext {
    /// The engine.
    pub engine: Engine,
    /// Its database.
    pub database: Database,
    /// Its `sym_` tables.
    pub tables: Tables,
}

impl EngineArgs {
    /// The engines folder.
    pub fn folder(&self) -> EngineFolder {
        EngineFolder::new(self.engines_dir.clone(), self.overrides.clone())
    }

    /// Reads the engine's file and reaches its database.
    ///
    /// # Errors
    /// [`Failure::Usage`] when the engine does not exist or its file is wrong, or when none was named and the
    /// folder has more than one; [`Failure::Failed`] when the database can not be reached.
    pub async fn open(&self) -> Result<EngineContext, Failure> {
        let folder = self.folder();
        let engine = match &self.engine {
            Some(name) => folder.engine(name)?,
            None => only_engine(&folder)?,
        };
        let context = EngineContext::new(engine)?;
        context.database.reach().await?;
        Ok(context)
    }
}

fn only_engine(folder: &EngineFolder) -> Result<Engine, Failure> {
    let mut engines = folder.engines(&[])?;
    match (engines.pop(), engines.is_empty()) {
        (Some(engine), true) => Ok(engine),
        (last, _) => {
            let names: Vec<_> = engines
                .iter()
                .chain(&last)
                .map(|engine| engine.name.as_str())
                .collect();
            Err(Failure::Usage(format!(
                "the folder {} has several engines; name one with --engine: {}",
                folder.dir().display(),
                names.join(", ")
            )))
        }
    }
}

impl EngineContext {
    /// The engine with its pool and its tables' names; nothing is connected yet.
    ///
    /// # Errors
    /// [`Failure::Usage`] when the database's address or the table prefix is not valid.
    pub fn new(engine: Engine) -> Result<Self, Failure> {
        let usage = |err: String| Failure::Usage(err);
        let database = engine.database().map_err(|err| usage(err.to_string()))?;
        let tables = Tables::new(&engine.table_prefix)
            .map_err(|err| usage(format!("engine {}: sync.table.prefix: {err}", engine.name)))?;
        Ok(Self {
            engine,
            database,
            tables,
        })
    }

    /// Makes sure that the `sym_` tables are there.
    ///
    /// # Errors
    /// [`Failure::Failed`] when they are not, with the command that creates them.
    pub async fn require_tables(&self) -> Result<(), Failure> {
        let mut conn = self.database.conn().await?;
        match catalog::read_table(&mut conn, None, &self.tables.name("node_security")).await? {
            Some(_) => Ok(()),
            None => Err(Failure::Failed(format!(
                "the database of engine {0} has no {1} tables; create them with: symadmin --engine {0} create-sym-tables",
                self.engine.name, self.tables
            ))),
        }
    }
}
