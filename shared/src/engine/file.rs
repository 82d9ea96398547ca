//! Engine files on disk.

use super::layers::Values;
use super::{Engine, EngineError, build};
use std::path::Path;

/// Reads one engine. `environment` gives the value of a variable.
pub(super) fn load(
    dir: &Path,
    name: &str,
    environment: &dyn Fn(&str) -> Option<String>,
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
    let values = Values::read(&text, environment);
    values
        .and_then(|values| build::engine(name, values))
        .map_err(|problems| EngineError::Invalid { path, problems })
}

/// The names of the engines that a folder has, sorted.
pub(super) fn names(dir: &Path) -> Result<Vec<String>, EngineError> {
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
