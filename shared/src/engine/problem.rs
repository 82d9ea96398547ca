//! What can be wrong with engine files.

use std::path::PathBuf;

/// Why an engine can not be read. Each message is one line.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// There is no such engine.
    #[error(
        "engine {name:?} does not exist: there is no file {}; {}",
        path.display(),
        if known.is_empty() { "its folder has no engines".to_owned() } else { format!("its folder has {}", known.join(", ")) }
    )]
    Unknown {
        /// The engine asked for.
        name: String,
        /// Where its file would be.
        path: PathBuf,
        /// The engines that the folder has.
        known: Vec<String>,
    },
    /// The folder has no engine files.
    #[error("the engines folder {} has no *.toml file; name another with --engines-dir or SYM_ENGINES_DIR", dir.display())]
    NoEngines {
        /// The folder.
        dir: PathBuf,
    },
    /// A file or folder can not be read.
    #[error("{} can not be read: {source}", path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The file's settings are wrong.
    #[error("{}: {}", path.display(), problems.join("; "))]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Every problem, each with its key.
        problems: Vec<String>,
    },
}
