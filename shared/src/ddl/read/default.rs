//! A column's default, as the catalogs write it.

use crate::ddl::column_type::ColumnType;
use crate::ddl::render::boolean;

/// What a column has where a row says nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Default {
    /// Null, said or not.
    Null,
    /// A value, without quotes.
    Value(String),
    /// Binary data.
    Bytes(Vec<u8>),
    /// The time of the insertion.
    Now,
    /// Another expression.
    Other(String),
}

/// How a catalog quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quoting {
    /// `''` is a quote, a backslash is one.
    Standard,
    /// `\` may stand before a quote and before special characters.
    Backslash,
}

impl Default {
    /// Reads a SQL expression. What is no literal and no time of now is [`Default::Other`].
    pub(super) fn parse(expression: &str, quoting: Quoting) -> Self {
        let text = without_parentheses(expression.trim());
        let other = || Self::Other(expression.trim().to_owned());
        if let Some(rest) = text.strip_prefix('\'') {
            return match literal(rest, quoting) {
                Some((value, after)) if is_cast(after) => match hexadecimal_cast(&value, after) {
                    Some(bytes) => Self::Bytes(bytes),
                    None => Self::Value(value),
                },
                _ => other(),
            };
        }
        let (bare, cast) = text.split_once("::").unwrap_or((text, ""));
        if !cast.is_empty() && !is_cast(&format!("::{cast}")) {
            return other();
        }
        let bare = without_parentheses(bare.trim());
        if bare.eq_ignore_ascii_case("null") {
            return Self::Null;
        }
        if bare.eq_ignore_ascii_case("true") || bare.eq_ignore_ascii_case("false") {
            return Self::Value(bare.to_lowercase());
        }
        if is_number(bare) {
            return Self::Value(bare.trim_start_matches('+').to_owned());
        }
        if let Some(digits) = bare.strip_prefix(['x', 'X']).and_then(quoted) {
            return hexadecimal(digits).map_or_else(other, Self::Bytes);
        }
        if let Some(bits) = bare.strip_prefix(['b', 'B']).and_then(quoted) {
            return Self::Value(bits.to_owned());
        }
        if is_now(bare) { Self::Now } else { other() }
    }

    /// The format's attribute; `Ok(None)` for null.
    ///
    /// # Errors
    /// The expression, when the format has nothing for it on a column of this type.
    pub(super) fn in_format(&self, column_type: ColumnType) -> Result<Option<String>, String> {
        let now = match column_type {
            ColumnType::Date => Some("CURRENT_DATE"),
            ColumnType::Time => Some("CURRENT_TIME"),
            ColumnType::Timestamp => Some("CURRENT_TIMESTAMP"),
            _ => None,
        };
        let is_binary = matches!(column_type, ColumnType::Binary(_) | ColumnType::LongBinary);
        match self {
            Self::Null => Ok(None),
            Self::Now => now
                .map(|now| Some(now.to_owned()))
                .ok_or_else(|| "of the time now".to_owned()),
            Self::Value(text) if column_type == ColumnType::Boolean => boolean(text)
                .map(|value| Some(i32::from(value).to_string()))
                .ok_or_else(|| text.clone()),
            Self::Value(text) if column_type.is_number() => match text.as_str() {
                "true" => Ok(Some("1".to_owned())),
                "false" => Ok(Some("0".to_owned())),
                text => Ok(Some(text.to_owned())),
            },
            // The format can not tell this text from the word.
            Self::Value(text) if now.is_some() && is_now(text) => Err(format!("{text:?}")),
            // A column of six digits says them all.
            Self::Value(text) if now.is_some() && text.contains('.') => {
                let short = text.trim_end_matches('0').trim_end_matches('.');
                Ok(Some(short.to_owned()))
            }
            Self::Value(text) => Ok(Some(text.clone())),
            Self::Bytes(bytes) if is_binary => match std::str::from_utf8(bytes) {
                Ok(text) => Ok(Some(text.to_owned())),
                Err(_) => Err("of binary data that is no text".to_owned()),
            },
            Self::Bytes(_) => Err("of binary data".to_owned()),
            Self::Other(expression) => Err(expression.clone()),
        }
    }
}

fn without_parentheses(text: &str) -> &str {
    match text.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
        Some(inner) if !inner.contains(['(', ')']) => inner.trim(),
        _ => text,
    }
}

/// The literal up to its closing quote, and what follows.
fn literal(rest: &str, quoting: Quoting) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = rest.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '\'' if chars.peek().is_some_and(|(_, next)| *next == '\'') => {
                chars.next();
                value.push('\'');
            }
            '\'' => return Some((value, &rest[at + 1..])),
            '\\' if quoting == Quoting::Backslash => value.push(match chars.next()?.1 {
                '0' => '\0',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'b' => '\u{8}',
                'Z' => '\u{1a}',
                other => other,
            }),
            c => value.push(c),
        }
    }
    None
}

/// Nothing, or a PostgreSQL cast.
fn is_cast(text: &str) -> bool {
    let text = text.trim();
    text.is_empty()
        || text.strip_prefix("::").is_some_and(|name| {
            name.chars().all(|c| {
                c.is_alphanumeric() || matches!(c, '_' | ' ' | '"' | '.' | '(' | ')' | ',' | '[' | ']')
            })
        })
}

/// `'\x…'::bytea`.
fn hexadecimal_cast(value: &str, cast: &str) -> Option<Vec<u8>> {
    if cast.trim() != "::bytea" {
        return None;
    }
    match value.strip_prefix("\\x") {
        Some(digits) => hexadecimal(digits),
        None => Some(value.as_bytes().to_vec()),
    }
}

fn hexadecimal(digits: &str) -> Option<Vec<u8>> {
    let pairs = digits.as_bytes().chunks(2);
    pairs
        .map(|pair| match pair {
            [high, low] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                u8::from_str_radix(&format!("{}{}", char::from(*high), char::from(*low)), 16).ok()
            }
            _ => None,
        })
        .collect()
}

fn quoted(text: &str) -> Option<&str> {
    text.strip_prefix('\'')?.strip_suffix('\'')
}

fn is_number(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'))
        && text.parse::<f64>().is_ok_and(f64::is_finite)
}

/// The words of the three databases for the time of now, whatever precision they are called with.
fn is_now(text: &str) -> bool {
    let lower = text.trim().to_ascii_lowercase();
    let word = match lower.split_once('(') {
        Some((word, argument)) => {
            let Some(digits) = argument.strip_suffix(')') else {
                return false;
            };
            if !digits.trim().bytes().all(|digit| digit.is_ascii_digit()) {
                return false;
            }
            word.trim_end()
        }
        None => &lower,
    };
    matches!(
        word,
        "current_timestamp"
            | "current_date"
            | "current_time"
            | "localtimestamp"
            | "localtime"
            | "now"
            | "curdate"
            | "curtime"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_of_the_three_catalogs_are_read() {
        let value = |text: &str| Default::Value(text.to_owned());
        for (expression, want) in [
            ("'it''s'::character varying", value("it's")),
            ("'a\\b'::text", value("a\\b")),
            ("''::text", value("")),
            ("'-1'::integer", value("-1")),
            ("(-1)", value("-1")),
            ("1.50", value("1.50")),
            ("true", value("true")),
            ("NULL::character varying", Default::Null),
            ("'\\x00ff'::bytea", Default::Bytes(vec![0, 255])),
            ("x'4142'", Default::Bytes(b"AB".to_vec())),
            ("CURRENT_TIMESTAMP", Default::Now),
            ("current_timestamp(6)", Default::Now),
            ("now()", Default::Now),
            ("curtime(6)", Default::Now),
            (
                "nextval('s'::regclass)",
                Default::Other("nextval('s'::regclass)".into()),
            ),
            (
                "('a'::text || 'b'::text)",
                Default::Other("('a'::text || 'b'::text)".into()),
            ),
            ("1 + 1", Default::Other("1 + 1".into())),
        ] {
            assert_eq!(
                Default::parse(expression, Quoting::Standard),
                want,
                "{expression}"
            );
        }
        assert_eq!(
            Default::parse("'it\\'s\\\\'", Quoting::Backslash),
            value("it's\\")
        );
    }

    #[test]
    fn what_the_format_can_not_say_is_an_error() {
        let other = Default::Other("f()".into());
        assert_eq!(other.in_format(ColumnType::Integer), Err("f()".into()));
        assert!(Default::Now.in_format(ColumnType::LongText).is_err());
        assert!(
            Default::Bytes(vec![255])
                .in_format(ColumnType::LongBinary)
                .is_err()
        );
        assert_eq!(
            Default::Now.in_format(ColumnType::Date),
            Ok(Some("CURRENT_DATE".into()))
        );
        let noon = Default::Value("12:00:00.000000".into());
        assert_eq!(noon.in_format(ColumnType::Time), Ok(Some("12:00:00".into())));
        let yes = Default::Value("true".into());
        assert_eq!(yes.in_format(ColumnType::Boolean), Ok(Some("1".into())));
        assert_eq!(yes.in_format(ColumnType::Smallint), Ok(Some("1".into())));
    }
}
