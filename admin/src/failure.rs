//! How a command ends when it can not do what it was asked to.

use crate::export::ExportError;
use crate::import::ImportError;
use std::process::ExitCode;
use symstream_shared::db::DbError;
use symstream_shared::engine::EngineError;

/// Why a command ended: one line that says what is wrong and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The command line, an engine file or an environment variable is wrong: exit status 2.
    #[error("{0}")]
    Usage(String),
    /// Everything else: exit status 1.
    #[error("{0}")]
    Failed(String),
}

impl Failure {
    /// The process's exit status.
    pub fn exit_status(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Failed(_) => 1,
        }
    }
}

impl From<DbError> for Failure {
    fn from(err: DbError) -> Self {
        Self::Failed(err.to_string())
    }
}

impl From<ExportError> for Failure {
    fn from(err: ExportError) -> Self {
        Self::Failed(err.to_string())
    }
}

impl From<ImportError> for Failure {
    fn from(err: ImportError) -> Self {
        Self::Failed(err.to_string())
    }
}

impl From<EngineError> for Failure {
    fn from(err: EngineError) -> Self {
        Self::Usage(err.to_string())
    }
}

/// Ends a process: reports a failure on stderr, in one line.
pub fn exit(result: Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {}", one_line(&failure.to_string()));
            ExitCode::from(failure.exit_status())
        }
    }
}

/// Messages of databases and parsers may have several lines.
fn one_line(text: &str) -> String {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Reads the command line. Help goes to stdout and ends the process with 0; a wrong command line is told in one
/// line and ends it with 2.
pub fn parse<C: clap::Parser>() -> C {
    let err = match C::try_parse() {
        Ok(command) => return command,
        Err(err) => err,
    };
    use clap::error::ErrorKind as K;
    if matches!(
        err.kind(),
        K::DisplayHelp | K::DisplayVersion | K::DisplayHelpOnMissingArgumentOrSubcommand
    ) {
        err.exit();
    }
    let text = err.render().to_string();
    let message = text.split("\nUsage:").next().unwrap_or(&text);
    let message = message.split("\nFor more information").next().unwrap_or(message);
    eprintln!("{}; see {} --help", one_line(message), C::command().get_name());
    std::process::exit(2);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_several_lines_becomes_one() {
        assert_eq!(one_line("a\n  b\n\nc\n"), "a b c");
    }
}
