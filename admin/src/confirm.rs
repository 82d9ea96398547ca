//! Asks before something is destroyed.

use crate::failure::Failure;
use std::io::{BufRead, IsTerminal, Write};

/// Asks `question` on the terminal.
///
/// # Errors
/// [`Failure::Usage`] where nobody can answer, [`Failure::Failed`] when the answer is not `yes`.
pub fn confirm(question: &str) -> Result<(), Failure> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Err(Failure::Usage(
            "nobody can be asked here: confirm with --yes".to_owned(),
        ));
    }
    let unanswered = |err: std::io::Error| Failure::Failed(format!("no answer: {err}"));
    eprint!("{question} [yes/no] ");
    std::io::stderr().flush().map_err(unanswered)?;
    let mut answer = String::new();
    stdin.lock().read_line(&mut answer).map_err(unanswered)?;
    match answer.trim().to_ascii_lowercase().as_str() {
        "yes" | "y" => Ok(()),
        _ => Err(Failure::Failed("nothing was done".to_owned())),
    }
}
