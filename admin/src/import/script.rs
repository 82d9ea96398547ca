//! Runs a SQL script as one transaction.

use super::ImportError;
use super::lexis;
use super::statements::{SplitError, Splitter, Statement};
use std::io::BufRead;
use symstream_shared::db::{Database, Sql, TxKind};

/// Runs all statements of a script, and returns how many there were.
///
/// # Errors
/// [`ImportError`] with the statement's number and line. Nothing is changed then, unless the database has
/// committed for a statement that it can not take back (DDL on MySQL): the error says so.
pub(super) async fn run(database: &Database, script: impl BufRead) -> Result<usize, ImportError> {
    let mut splitter = Splitter::new(script, lexis::of(database.kind()));
    let mut tx = database
        .begin(TxKind::Write)
        .await
        .map_err(ImportError::Database)?;
    let mut count = 0;
    let mut committed = None;
    loop {
        let statement = match splitter.next() {
            Ok(Some(statement)) => statement,
            Ok(None) => break,
            Err(err @ SplitError::Unterminated { .. }) => return Err(ImportError::Syntax(err.to_string())),
            Err(SplitError::Read(err)) => return Err(ImportError::Read(err)),
        };
        let failed = |why: String| ImportError::Statement {
            number: statement.number,
            line: statement.line,
            why,
            committed,
        };
        if statement.text.starts_with('<') {
            return Err(failed("it looks like XML; give --format XML".to_owned()));
        }
        if let Some(word) = transaction_control(&statement) {
            return Err(failed(format!(
                "the file runs as one transaction; take {word} out of it"
            )));
        }
        tx.execute_script(&statement.text)
            .await
            .map_err(|err| failed(err.to_string()))?;
        count = statement.number;
        if commits_by_itself(&statement) && !database.kind().capabilities().transactional_ddl {
            committed = Some(statement.number);
        }
    }
    tx.commit().await.map_err(ImportError::Database)?;
    Ok(count)
}

/// The statement's first word, when it would end the transaction.
fn transaction_control(statement: &Statement) -> Option<&str> {
    match [&*statement.words[0], &*statement.words[1]] {
        ["ROLLBACK", "TO"] => None,
        [
            word @ ("BEGIN" | "START" | "COMMIT" | "ROLLBACK" | "END" | "ABORT"),
            _,
        ] => Some(word),
        _ => None,
    }
}

/// https://dev.mysql.com/doc/refman/8.4/en/implicit-commit.html
fn commits_by_itself(statement: &Statement) -> bool {
    matches!(
        &*statement.words[0],
        "ALTER" | "CREATE" | "DROP" | "GRANT" | "LOCK" | "RENAME" | "REVOKE" | "TRUNCATE" | "UNLOCK"
    )
}
