//! Comparing what a table holds with what it has to hold.

use super::oracle::TextRow;
use super::table::Table;
use std::collections::BTreeMap;
use symstream_tests::database::TestDatabase;

/// Rows that a complaint names at most.
const NAMED_MAX: usize = 5;

/// All rows of a table, as text.
///
/// # Errors
/// What the database says.
pub async fn content(database: &TestDatabase, table: &Table, copy: bool) -> Result<Vec<TextRow>, String> {
    let kind = database.kind();
    let columns: Vec<String> = table
        .columns()
        .iter()
        .map(|column| kind.as_text(column.name))
        .collect();
    let name = if copy { table.copy() } else { table.name.clone() };
    let sql = format!("select {} from {}", columns.join(", "), kind.quote(&name));
    database.try_rows(&sql).await.map_err(|err| err.to_string())
}

/// Whether the rows are the same; the first columns are the key. Returns how many there are.
///
/// # Errors
/// Each kind of difference with some of its rows.
pub fn compare(key_columns: usize, expected: &[TextRow], found: &[TextRow]) -> Result<usize, String> {
    let by_key = |rows: &[TextRow]| -> BTreeMap<TextRow, Vec<TextRow>> {
        let mut map: BTreeMap<TextRow, Vec<TextRow>> = BTreeMap::new();
        for row in rows {
            map.entry(row[..key_columns].to_vec())
                .or_default()
                .push(row.clone());
        }
        map
    };
    let (wanted, there) = (by_key(expected), by_key(found));
    let (mut lost, mut extra, mut changed) = (Vec::new(), Vec::new(), Vec::new());
    for (key, rows) in &wanted {
        match there.get(key) {
            None => lost.push(format!("{rows:?}")),
            Some(other) if other != rows => changed.push(format!("{other:?} instead of {rows:?}")),
            Some(_) => {}
        }
    }
    for (key, rows) in &there {
        if !wanted.contains_key(key) {
            extra.push(format!("{rows:?}"));
        }
    }
    let complaints: Vec<String> = [("lost", lost), ("extra", extra), ("changed", changed)]
        .into_iter()
        .filter(|(_, rows)| !rows.is_empty())
        .map(|(what, rows)| {
            let some = rows
                .iter()
                .take(NAMED_MAX)
                .cloned()
                .collect::<Vec<_>>()
                .join("\n    ");
            format!("  {} {what}:\n    {some}", rows.len())
        })
        .collect();
    if complaints.is_empty() {
        Ok(found.len())
    } else {
        Err(complaints.join("\n"))
    }
}
