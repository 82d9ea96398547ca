//! `deploy/docs/tables.md` has every column, and names tests that there are.

use std::collections::BTreeSet;
use std::path::Path;
use symstream_shared::schema;

/// One line of a table of the page.
struct Line {
    table: String,
    column: String,
    /// Functions and the files that they are in.
    tests: Vec<(String, String)>,
}

/// The pieces of a cell that stand between backticks.
fn quoted(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn lines(page: &str) -> Vec<Line> {
    let mut table = String::new();
    let mut lines = Vec::new();
    for line in page.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            table = heading.trim_start_matches("sym_").to_owned();
        }
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, column, _, .., tests, _] = cells.as_slice() else {
            continue;
        };
        let [column] = quoted(column).try_into().unwrap_or_default();
        if column.is_empty() {
            continue;
        }
        let tests = quoted(tests);
        lines.push(Line {
            table: table.clone(),
            column,
            tests: tests
                .chunks(2)
                .map(|pair| (pair[0].clone(), pair.get(1).cloned().unwrap_or_default()))
                .collect(),
        });
    }
    lines
}

#[test]
fn each_column_is_described_and_shown_by_a_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let page = std::fs::read_to_string(root.join("deploy/docs/tables.md")).expect("read the page");
    let lines = lines(&page);

    let described: Vec<(&str, &str)> = lines
        .iter()
        .map(|line| (line.table.as_str(), line.column.as_str()))
        .collect();
    let there: BTreeSet<(&str, &str)> = schema::columns().collect();
    let times = |column: &(&str, &str)| described.iter().filter(|found| *found == column).count();
    let not_once: Vec<_> = there.iter().filter(|column| times(column) != 1).collect();
    assert!(not_once.is_empty(), "not described once: {not_once:?}");
    let unknown: Vec<_> = described
        .iter()
        .filter(|column| !there.contains(column))
        .collect();
    assert!(unknown.is_empty(), "described, but not there: {unknown:?}");

    for line in &lines {
        let place = format!("{}.{}", line.table, line.column);
        assert!(!line.tests.is_empty(), "{place}: no test");
        for (function, file) in &line.tests {
            let paths = [root.join("tests/tests").join(file), root.join(file)];
            let text = paths.iter().find_map(|path| std::fs::read_to_string(path).ok());
            let text = text.unwrap_or_else(|| panic!("{place}: there is no file {file:?}"));
            assert!(
                text.contains(&format!("fn {function}(")),
                "{place}: {file} has no {function}"
            );
        }
    }
}
