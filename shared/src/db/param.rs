//! Parameters of statements.

use super::kind::DatabaseKind;

/// One parameter.
#[derive(Debug, Clone, PartialEq)]
pub enum Param {
    /// SQL null, for a column of any type.
    Null,
    /// An integer.
    Int(i64),
    /// A floating-point number.
    Real(f64),
    /// Text.
    Text(String),
    /// Binary data.
    Bytes(Vec<u8>),
    /// A moment, in milliseconds since 1970, for a time column of a `sym_` table.
    Time(i64),
    /// PostgreSQL only: an array of texts.
    TextArray(Vec<Option<String>>),
    /// PostgreSQL only: an array of integers.
    IntArray(Vec<i64>),
    /// PostgreSQL only: an array of binary values.
    BytesArray(Vec<Option<Vec<u8>>>),
}

impl From<i64> for Param {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<&str> for Param {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Param {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl<T: Into<Param>> From<Option<T>> for Param {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// Milliseconds since 1970 as the text of a `sym_` table's time column, in UTC.
pub fn time_text(ms: i64) -> String {
    let at = time::OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000)
        .unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02}.{:03}",
        at.year(),
        u8::from(at.month()),
        at.day(),
        at.hour(),
        at.minute(),
        at.second(),
        at.millisecond()
    )
}

/// Reads what [`time_text`] wrote (also with a `T` and a `Z`, and with up to six fraction digits), in
/// milliseconds since 1970; `None` for any other text.
pub fn time_ms(text: &str) -> Option<i64> {
    let text = text.trim_end_matches('Z');
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let format = time::macros::format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
    let at = time::PrimitiveDateTime::parse(&whole.replace('T', " "), format)
        .ok()?
        .assume_utc();
    let millis: i64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    Some(at.unix_timestamp() * 1000 + millis)
}

/// The statement with its `?` as the dialect writes parameters. A `?` in a literal, a quoted name or a
/// comment stays. On PostgreSQL, where a parameter has a type, nulls are written out, so that they fit a column of
/// any type; elsewhere they are parameters like others, so that a statement's text stays the same.
pub(super) fn prepare(kind: DatabaseKind, sql: &str, params: &[Param]) -> String {
    let mut out = String::with_capacity(sql.len() + params.len() * 4);
    let mut chars = sql.chars().peekable();
    let mut next = 0;
    let mut number = 0;
    while let Some(c) = chars.next() {
        match c {
            '\'' | '"' | '`' => {
                out.push(c);
                for inner in chars.by_ref() {
                    out.push(inner);
                    if inner == c {
                        break;
                    }
                }
            }
            '-' if chars.peek() == Some(&'-') => {
                out.push(c);
                for inner in chars.by_ref() {
                    out.push(inner);
                    if inner == '\n' {
                        break;
                    }
                }
            }
            '?' => {
                match (kind, params.get(next)) {
                    (DatabaseKind::Mysql | DatabaseKind::Sqlite, _) => out.push('?'),
                    (DatabaseKind::Postgres, Some(Param::Null)) => out.push_str("null"),
                    (DatabaseKind::Postgres, param) => {
                        number += 1;
                        match param {
                            Some(Param::Time(_)) => {
                                out.push_str(&format!("cast(${number}::text || '+00' as timestamptz)"));
                            }
                            _ => out.push_str(&format!("${number}")),
                        }
                    }
                }
                next += 1;
            }
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn question_marks_in_quotes_are_no_parameters() {
        let sql = "select '?', \"?\", ? from t -- ?\nwhere a = ? and b = ?";
        let params = [Param::Int(1), Param::Null, Param::Text("x".into())];
        assert_eq!(
            prepare(DatabaseKind::Postgres, sql, &params),
            "select '?', \"?\", $1 from t -- ?\nwhere a = null and b = $2"
        );
        assert_eq!(
            prepare(DatabaseKind::Sqlite, sql, &params),
            "select '?', \"?\", ? from t -- ?\nwhere a = ? and b = ?"
        );
    }

    #[test]
    fn times_are_written_in_utc() {
        assert_eq!(time_text(1_732_237_261_007), "2024-11-22 01:01:01.007");
        assert_eq!(time_ms("2024-11-22 01:01:01.007000"), Some(1_732_237_261_007));
        assert_eq!(time_ms("2024-11-22T01:01:01.007Z"), Some(1_732_237_261_007));
        assert_eq!(time_ms("yesterday"), None);
    }
}
