//! The folder with the engines' files.

use super::layers::Values;
use super::overrides::Override;
use super::{Engine, EngineError, build};
use std::path::{Path, PathBuf};

/// A folder with engine files, and what a command line sets for all of its engines.
#[derive(Debug, Clone)]
pub struct EngineFolder {
    dir: PathBuf,
    overrides: Vec<Override>,
}

impl EngineFolder {
    /// The folder given on the command line, else `SYM_ENGINES_DIR`, else `./engines`. `overrides` go before the
    /// files and the environment.
    pub fn new(given: Option<PathBuf>, overrides: Vec<Override>) -> Self {
        let dir = given
            .or_else(|| std::env::var_os("SYM_ENGINES_DIR").map(PathBuf::from))
            .unwrap_or_else(|| PathBuf::from("engines"));
        Self { dir, overrides }
    }

    /// Where it is.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Reads the engine `name`.
    ///
    /// # Errors
    /// [`EngineError`], with every problem of the file.
    pub fn engine(&self, name: &str) -> Result<Engine, EngineError> {
        load(
            &self.dir,
            name,
            &|variable| std::env::var(variable).ok(),
            &self.overrides,
        )
    }

    /// Reads the engines of these names, each once, or all of the folder where none is named; in the order of
    /// their names.
    ///
    /// # Errors
    /// [`EngineError`] of the first file that has any, and when there is no file at all.
    pub fn engines(&self, named: &[String]) -> Result<Vec<Engine>, EngineError> {
        let mut names = match named {
            [] => names(&self.dir)?,
            named => named.to_vec(),
        };
        if names.is_empty() {
            return Err(EngineError::NoEngines {
                dir: self.dir.clone(),
            });
        }
        names.sort();
        names.dedup();
        names.iter().map(|name| self.engine(name)).collect()
    }
}

/// Reads one engine. `environment` gives the value of a variable.
pub(super) fn load(
    dir: &Path,
    name: &str,
    environment: &dyn Fn(&str) -> Option<String>,
    overrides: &[Override],
) -> Result<Engine, EngineError> {
    let path = dir.join(format!("{name}.toml"));
    let known = names(dir);
    if name.contains(['/', '\\']) || !path.is_file() {
        return Err(EngineError::Unknown {
            name: name.to_owned(),
            path,
            known: known.unwrap_or_default(),
        });
    }
    let text = std::fs::read_to_string(&path).map_err(|source| EngineError::Unreadable {
        path: path.clone(),
        source,
    })?;
    let values = Values::read(&text, environment, overrides);
    values
        .and_then(|values| build::engine(name, values))
        .map_err(|problems| EngineError::Invalid { path, problems })
}

/// The names of the engines that a folder has, sorted.
fn names(dir: &Path) -> Result<Vec<String>, EngineError> {
    let unreadable = |source| EngineError::Unreadable {
        path: dir.to_owned(),
        source,
    };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "toml")
            && let Some(name) = path.file_stem().and_then(|stem| stem.to_str())
        {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}
