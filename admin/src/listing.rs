//! Lists on stdout: aligned columns for people, JSON for programs.

use serde_json::{Map, Value};
use std::io::Write;

/// Rows of named values.
#[derive(Debug, Clone)]
pub struct Listing {
    columns: &'static [&'static str],
    rows: Vec<Vec<Value>>,
}

impl Listing {
    /// An empty list with these columns.
    pub fn new(columns: &'static [&'static str]) -> Self {
        Self {
            columns,
            rows: Vec::new(),
        }
    }

    /// Adds a row: one value for each column.
    pub fn push(&mut self, row: Vec<Value>) {
        debug_assert_eq!(row.len(), self.columns.len());
        self.rows.push(row);
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The rows as an array of objects.
    pub fn json(&self) -> Value {
        let object = |row: &Vec<Value>| {
            let pairs = self
                .columns
                .iter()
                .zip(row)
                .map(|(name, value)| ((*name).to_owned(), value.clone()));
            Value::Object(pairs.collect::<Map<_, _>>())
        };
        Value::Array(self.rows.iter().map(object).collect())
    }

    /// The rows as aligned columns under a line of headings; a null is `-`.
    pub fn text(&self) -> String {
        let heading = self
            .columns
            .iter()
            .map(|name| name.replace('_', " ").to_uppercase())
            .collect();
        let lines: Vec<Vec<String>> = std::iter::once(heading)
            .chain(self.rows.iter().map(|row| row.iter().map(cell).collect()))
            .collect();
        let widths: Vec<usize> = (0..self.columns.len())
            .map(|column| {
                lines
                    .iter()
                    .map(|line| line[column].chars().count())
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        let mut text = String::new();
        for line in &lines {
            let padded = line
                .iter()
                .zip(&widths)
                .map(|(cell, width)| format!("{cell:width$}"));
            text.push_str(padded.collect::<Vec<_>>().join("  ").trim_end());
            text.push('\n');
        }
        text
    }

    /// Prints the list in either form.
    pub fn print(&self, json: bool) {
        if json {
            print_json(&self.json())
        } else {
            print_text(&self.text())
        }
    }
}

/// Prints indented JSON.
pub fn print_json(value: &Value) {
    print_text(&format!("{value:#}\n"));
}

/// Prints text. A reader that has gone (`| head`) ends the process: nobody is left to tell.
pub fn print_text(text: &str) {
    let mut stdout = std::io::stdout().lock();
    if stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
        .is_err()
    {
        std::process::exit(1);
    }
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.replace(['\n', '\r', '\t'], " "),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_nulls_are_dashes() {
        let mut listing = Listing::new(&["node_id", "n"]);
        listing.push(vec!["ü".into(), Value::Null]);
        listing.push(vec!["longer\nid".into(), 7.into()]);
        assert_eq!(listing.text(), "NODE ID    N\nü          -\nlonger id  7\n");
        assert_eq!(
            listing.json().to_string(),
            r#"[{"n":null,"node_id":"ü"},{"n":7,"node_id":"longer\nid"}]"#
        );
    }
}
