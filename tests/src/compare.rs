//! Comparing what databases hold.

use crate::database::TestDatabase;
use crate::eventually::eventually;
use crate::network::PATIENCE;

/// What to compare: a table, its columns, and which of its rows.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    /// The table.
    pub table: &'a str,
    /// Its columns.
    pub columns: &'a [&'a str],
    /// An SQL condition; empty for all rows.
    pub condition: &'a str,
}

/// The rows, each value as the database's own text, sorted.
///
/// # Errors
/// What the database says.
pub async fn content(database: &TestDatabase, part: Part<'_>) -> Result<Vec<Vec<String>>, String> {
    let kind = database.kind();
    let columns: Vec<String> = part
        .columns
        .iter()
        .map(|column| kind.as_text(&kind.quote(column)))
        .collect();
    let mut sql = format!("select {} from {}", columns.join(", "), kind.quote(part.table));
    if !part.condition.is_empty() {
        sql.push_str(&format!(" where {}", part.condition));
    }
    let mut rows = database.try_rows(&sql).await.map_err(|err| err.to_string())?;
    rows.sort();
    Ok(rows)
}

/// The first difference between two databases' parts, in words.
///
/// # Errors
/// That difference, or what a database says.
pub async fn check_equal(a: &TestDatabase, b: &TestDatabase, part: Part<'_>) -> Result<usize, String> {
    let (left, right) = (content(a, part).await?, content(b, part).await?);
    if left == right {
        return Ok(left.len());
    }
    let only = |some: &[Vec<String>], other: &[Vec<String>]| {
        let row = some
            .iter()
            .find(|row| !other.contains(row))
            .map(|row| row.join(", "));
        row.map_or_else(
            || "nothing more".to_owned(),
            |row| row.chars().take(200).collect(),
        )
    };
    Err(format!(
        "{}: {} rows in {:?}, {} in {:?}; only in the first: {}; only in the second: {}",
        part.table,
        left.len(),
        a.kind(),
        right.len(),
        b.kind(),
        only(&left, &right),
        only(&right, &left),
    ))
}

/// Waits until two databases hold the same; returns how many rows that is.
///
/// # Panics
/// With the first difference when it takes too long.
pub async fn become_equal(a: &TestDatabase, b: &TestDatabase, part: Part<'_>) -> usize {
    eventually(PATIENCE, format!("equal {}", part.table), || {
        check_equal(a, b, part)
    })
    .await
}
