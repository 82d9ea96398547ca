//! The CSV of `sym_data.row_data`, `pk_data`, `old_data` and of the column lists in `sym_trigger_hist`.
//!
//! One record, RFC 4180 quoting: fields are separated by commas; a quoted field stands in double quotes with
//! quotes in it doubled and may hold line breaks. Nothing at all between two commas is null; `""` is the
//! empty string. Whether a field was quoted is kept, because SQLite's triggers tell text (quoted) from
//! numbers (bare) that way.

/// One field of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    /// Nothing between two commas.
    Null,
    /// A field without quotes.
    Bare(String),
    /// A field in quotes, unescaped.
    Quoted(String),
}

impl Field {
    /// The field's text; `None` for null.
    pub fn into_text(self) -> Option<String> {
        match self {
            Self::Null => None,
            Self::Bare(text) | Self::Quoted(text) => Some(text),
        }
    }
}

/// Why a text is no record.
#[derive(Debug, thiserror::Error, Clone, PartialEq, Eq)]
pub enum CsvError {
    /// A quoted field has no closing quote.
    #[error("a quoted field that starts at byte {0} has no end")]
    Unclosed(usize),
    /// Something stands between a closing quote and the next comma.
    #[error("byte {0} follows a closing quote but is no comma")]
    AfterQuote(usize),
}

/// Splits one record into its fields. The empty text is one null field.
///
/// # Errors
/// [`CsvError`] with the byte at which the text stops being CSV.
pub fn decode(text: &str) -> Result<Vec<Field>, CsvError> {
    let bytes = text.as_bytes();
    let mut fields = Vec::new();
    let mut at = 0;
    loop {
        if bytes.get(at) == Some(&b'"') {
            let (field, after) = quoted(text, at)?;
            fields.push(Field::Quoted(field));
            at = after;
            match bytes.get(at) {
                None => return Ok(fields),
                Some(b',') => at += 1,
                Some(_) => return Err(CsvError::AfterQuote(at)),
            }
        } else {
            let end = text[at..].find(',').map(|comma| at + comma);
            let field = &text[at..end.unwrap_or(text.len())];
            fields.push(if field.is_empty() {
                Field::Null
            } else {
                Field::Bare(field.to_owned())
            });
            match end {
                None => return Ok(fields),
                Some(comma) => at = comma + 1,
            }
        }
    }
}

fn quoted(text: &str, open: usize) -> Result<(String, usize), CsvError> {
    let mut field = String::new();
    let mut from = open + 1;
    loop {
        let quote = text[from..].find('"').ok_or(CsvError::Unclosed(open))? + from;
        field.push_str(&text[from..quote]);
        if text.as_bytes().get(quote + 1) == Some(&b'"') {
            field.push('"');
            from = quote + 2;
        } else {
            return Ok((field, quote + 1));
        }
    }
}

/// Writes one record; every value is quoted, `None` is null.
pub fn encode<'a>(values: impl IntoIterator<Item = Option<&'a str>>) -> String {
    let mut record = String::new();
    for (index, value) in values.into_iter().enumerate() {
        if index > 0 {
            record.push(',');
        }
        if let Some(value) = value {
            record.push('"');
            record.push_str(&value.replace('"', "\"\""));
            record.push('"');
        }
    }
    record
}

/// Splits a list of names as `sym_trigger_hist` keeps them.
///
/// # Errors
/// [`CsvError`] when the text is no record.
pub fn decode_names(text: &str) -> Result<Vec<String>, CsvError> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    Ok(decode(text)?
        .into_iter()
        .map(|field| field.into_text().unwrap_or_default())
        .collect())
}

/// Writes a list of names; only names that need quotes have them.
pub fn encode_names<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names
        .into_iter()
        .map(|name| {
            if name.is_empty() || name.contains(['"', ',', '\n', '\r']) {
                format!("\"{}\"", name.replace('"', "\"\""))
            } else {
                name.to_owned()
            }
        })
        .collect::<Vec<_>>()
        .join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn null_is_not_the_empty_string_and_a_number_is_not_text() {
        assert_eq!(
            decode("1,,\"\",\"a\"\"b,\nc\"").expect("csv"),
            vec![
                Field::Bare("1".into()),
                Field::Null,
                Field::Quoted(String::new()),
                Field::Quoted("a\"b,\nc".into())
            ]
        );
    }

    #[test]
    fn what_is_no_record_is_refused() {
        assert_eq!(decode("1,\"a"), Err(CsvError::Unclosed(2)));
        assert_eq!(decode("\"a\"b"), Err(CsvError::AfterQuote(3)));
    }

    proptest! {
        #[test]
        fn any_values_come_back(values in proptest::collection::vec(proptest::option::of(".*"), 1..8)) {
            let record = encode(values.iter().map(|value| value.as_deref()));
            let back: Vec<Option<String>> =
                decode(&record).expect("csv").into_iter().map(Field::into_text).collect();
            prop_assert_eq!(back, values);
        }

        #[test]
        fn decoding_never_panics(text in ".*") {
            let _ignored_here = decode(&text);
        }
    }
}
