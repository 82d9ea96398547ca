//! `lookuptable` routers: a table of the source's database says who gets a row.

use super::ExpressionError;
use std::collections::HashMap;

/// `LOOKUP_TABLE=… KEY_COLUMN=… LOOKUP_KEY_COLUMN=… EXTERNAL_ID_COLUMN=… [ALL_NODES_VALUE=…]`. The names of
/// tables and columns match whatever their case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookupRule {
    /// `LOOKUP_TABLE`'s schema, where the table is written as `schema.table`.
    pub lookup_schema: Option<String>,
    /// `LOOKUP_TABLE`
    pub lookup_table: String,
    /// `KEY_COLUMN`: the changed row's column that is looked up.
    pub key_column: String,
    /// `LOOKUP_KEY_COLUMN`: the lookup table's column that it is looked up in.
    pub lookup_key_column: String,
    /// `EXTERNAL_ID_COLUMN`: the lookup table's column with the external ids of the nodes.
    pub external_id_column: String,
    /// `ALL_NODES_VALUE`: in place of an external id it stands for every node of the group.
    pub all_nodes_value: Option<String>,
}

const ALL_NODES_VALUE: &str = "ALL_NODES_VALUE";
const KEYS: [&str; 5] = [
    "LOOKUP_TABLE",
    "KEY_COLUMN",
    "LOOKUP_KEY_COLUMN",
    "EXTERNAL_ID_COLUMN",
    ALL_NODES_VALUE,
];

impl LookupRule {
    /// Reads an expression: `KEY=VALUE` with blanks or line ends between them; a value with blanks stands in
    /// single quotes.
    ///
    /// # Errors
    /// [`ExpressionError`] that says which key is missing, unknown or given twice.
    pub fn parse(text: &str) -> Result<Self, ExpressionError> {
        let mut values = HashMap::new();
        let mut rest = text.trim();
        while !rest.is_empty() {
            let (key, value, behind) = pair(rest)?;
            if values.insert(key, value).is_some() {
                return Err(ExpressionError(format!("{key} is given twice")));
            }
            rest = behind;
        }
        let missing: Vec<&str> = KEYS
            .into_iter()
            .filter(|key| *key != ALL_NODES_VALUE && !values.contains_key(key))
            .collect();
        if !missing.is_empty() {
            return Err(ExpressionError(format!("{} is missing", missing.join(", "))));
        }
        let mut take = |key: &str| values.remove(key).unwrap_or_default();
        let table = take(KEYS[0]);
        let (lookup_schema, lookup_table) = match table.split_once('.') {
            Some((schema, table)) => (Some(schema.to_owned()), table.to_owned()),
            None => (None, table),
        };
        Ok(Self {
            lookup_schema,
            lookup_table,
            key_column: take(KEYS[1]),
            lookup_key_column: take(KEYS[2]),
            external_id_column: take(KEYS[3]),
            all_nodes_value: values.remove(ALL_NODES_VALUE),
        })
    }
}

/// The first `KEY=VALUE`, and what stands behind it.
fn pair(text: &str) -> Result<(&'static str, String, &str), ExpressionError> {
    let (name, rest) = text.split_once('=').ok_or_else(|| {
        ExpressionError(format!(
            "{text:?} is not understood; expected {}=…",
            KEYS.join("=… ")
        ))
    })?;
    let name = name.trim();
    let key = KEYS
        .into_iter()
        .find(|key| key.eq_ignore_ascii_case(name))
        .ok_or_else(|| {
            ExpressionError(format!(
                "{name:?} is unknown; expected one of {}",
                KEYS.join(", ")
            ))
        })?;
    let rest = rest.trim_start();
    let (value, behind) = match rest.strip_prefix('\'') {
        Some(quoted) => quoted
            .split_once('\'')
            .ok_or_else(|| ExpressionError(format!("{key}: the quote is not closed")))?,
        None => rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len())),
    };
    if value.is_empty() || value.contains('=') {
        return Err(ExpressionError(format!("{key} has no value")));
    }
    Ok((key, value.to_owned(), behind.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_stand_on_one_line_or_on_several_and_in_any_case() {
        let expected = LookupRule {
            lookup_schema: None,
            lookup_table: "locations".to_owned(),
            key_column: "PATIENT_ID".to_owned(),
            lookup_key_column: "patient_id".to_owned(),
            external_id_column: "location_id".to_owned(),
            all_nodes_value: None,
        };
        for text in [
            "LOOKUP_TABLE=locations KEY_COLUMN=PATIENT_ID LOOKUP_KEY_COLUMN=patient_id EXTERNAL_ID_COLUMN=location_id",
            "\n  LOOKUP_TABLE = locations\r\n  key_column=PATIENT_ID\n  LOOKUP_KEY_COLUMN= patient_id\n EXTERNAL_ID_COLUMN=location_id\n",
        ] {
            assert_eq!(LookupRule::parse(text).expect(text), expected);
        }
    }

    #[test]
    fn a_schema_and_the_value_for_all_nodes_are_read() {
        let text = "LOOKUP_TABLE=clinic.links KEY_COLUMN=a LOOKUP_KEY_COLUMN=b EXTERNAL_ID_COLUMN=c ALL_NODES_VALUE='to all'";
        let rule = LookupRule::parse(text).expect("valid");
        assert_eq!(
            (rule.lookup_schema.as_deref(), rule.lookup_table.as_str()),
            (Some("clinic"), "links")
        );
        assert_eq!(rule.all_nodes_value.as_deref(), Some("to all"));
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for (text, why) in [
            (
                "",
                "LOOKUP_TABLE, KEY_COLUMN, LOOKUP_KEY_COLUMN, EXTERNAL_ID_COLUMN is missing",
            ),
            (
                "LOOKUP_TABLE=a KEY_COLUMN=b LOOKUP_KEY_COLUMN=c",
                "EXTERNAL_ID_COLUMN is missing",
            ),
            ("LOOKUP_TABLE=a LOOKUP_TABLE=b", "LOOKUP_TABLE is given twice"),
            ("LOOKUP_TABEL=a", "\"LOOKUP_TABEL\" is unknown"),
            ("LOOKUP_TABLE", "is not understood"),
            ("LOOKUP_TABLE= KEY_COLUMN=b", "LOOKUP_TABLE has no value"),
            ("LOOKUP_TABLE='a", "not closed"),
        ] {
            let message = LookupRule::parse(text).expect_err(text).to_string();
            assert!(message.contains(why), "{text}: {message}");
        }
    }
}
