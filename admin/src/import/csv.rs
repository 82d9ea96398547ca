//! Reads a CSV file record by record.

use super::ImportError;
use std::io::BufRead;
use symstream_shared::csv;
use symstream_shared::ddl::{DataRow, Field, FieldForm};

/// The records of a table, whose first line names the columns.
pub(super) struct CsvReader<R> {
    input: R,
    table: String,
    columns: Vec<String>,
    /// Lines taken so far.
    lines: usize,
}

impl<R: BufRead> CsvReader<R> {
    /// Reads the names. With `lower_case`, they come in lower case.
    pub(super) fn new(input: R, table: &str, lower_case: bool) -> Result<Self, ImportError> {
        let mut reader = Self {
            input,
            table: table.to_owned(),
            columns: Vec::new(),
            lines: 0,
        };
        let Some((line, header)) = reader.record()? else {
            return Err(ImportError::Syntax(
                "the file is empty; its first line has to name the columns".to_owned(),
            ));
        };
        let header = header.strip_prefix('\u{feff}').unwrap_or(&header);
        let names = csv::decode(header).map_err(|err| syntax(line, &err.to_string()))?;
        for name in names {
            let name = name
                .into_text()
                .ok_or_else(|| syntax(line, "a column has no name"))?;
            let name = if lower_case { name.to_lowercase() } else { name };
            if reader.columns.contains(&name) {
                return Err(syntax(line, &format!("the column {name} is named twice")));
            }
            reader.columns.push(name);
        }
        Ok(reader)
    }

    /// The columns that the first line names.
    pub(super) fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The next row; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<DataRow>, ImportError> {
        let Some((line, record)) = self.record()? else {
            return Ok(None);
        };
        let values = csv::decode(&record).map_err(|err| syntax(line, &err.to_string()))?;
        if values.len() != self.columns.len() {
            let why = format!(
                "{} values, but the first line names {} columns",
                values.len(),
                self.columns.len()
            );
            return Err(syntax(line, &why));
        }
        let fields = self.columns.iter().zip(values).map(|(name, value)| Field {
            name: name.clone(),
            text: value.into_text(),
            form: FieldForm::Plain,
        });
        Ok(Some(DataRow {
            table: self.table.clone(),
            fields: fields.collect(),
            line,
        }))
    }

    /// The next record, which ends at a line's end outside of quotes, and the line that it begins on.
    fn record(&mut self) -> Result<Option<(usize, String)>, ImportError> {
        let begins = self.lines + 1;
        let mut record = String::new();
        loop {
            let taken = self.input.read_line(&mut record).map_err(ImportError::Read)?;
            self.lines += usize::from(taken > 0);
            if taken == 0 && record.is_empty() {
                return Ok(None);
            }
            // Quotes in a quoted field are doubled, so they are even in number wherever a record may end.
            if record
                .bytes()
                .filter(|byte| *byte == b'"')
                .count()
                .is_multiple_of(2)
            {
                break;
            }
            if taken == 0 {
                return Err(syntax(begins, "a quoted value that begins here has no end"));
            }
        }
        if record.ends_with('\n') {
            record.pop();
            if record.ends_with('\r') {
                record.pop();
            }
        }
        Ok(Some((begins, record)))
    }
}

fn syntax(line: usize, why: &str) -> ImportError {
    ImportError::Syntax(format!("line {line}: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record's first line, and its fields.
    type Record = (usize, Vec<Option<String>>);

    fn rows(text: &str) -> Result<Vec<Record>, String> {
        let mut reader = CsvReader::new(text.as_bytes(), "t", false).map_err(|err| err.to_string())?;
        let mut rows = Vec::new();
        while let Some(row) = reader.next().map_err(|err| err.to_string())? {
            rows.push((row.line, row.fields.into_iter().map(|field| field.text).collect()));
        }
        Ok(rows)
    }

    #[test]
    fn records_may_have_line_breaks_and_tell_null_from_empty() {
        let text = "a,b\r\n1,\"x\r\n\"\"y\"\"\"\r\n,\"\"\n2,z";
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            rows(text),
            Ok(vec![
                (2, vec![some("1"), some("x\r\n\"y\"")]),
                (4, vec![None, some("")]),
                (5, vec![some("2"), some("z")]),
            ])
        );
    }

    #[test]
    fn what_is_no_record_is_said_with_its_line() {
        for (text, want) in [
            ("", "the file is empty"),
            ("a,a\n", "line 1: the column a is named twice"),
            ("a,\n", "line 1: a column has no name"),
            ("a,b\n1\n", "line 2: 1 values, but the first line names 2 columns"),
            (
                "a\n1\n\"x\ny",
                "line 3: a quoted value that begins here has no end",
            ),
            ("a\n\"x\"y\n", "line 2: byte 3 follows a closing quote"),
        ] {
            let why = rows(text).expect_err(text);
            assert!(why.starts_with(want), "{why}");
        }
    }
}
