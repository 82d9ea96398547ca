//! `column` routers: comparisons of columns.

use super::{ColumnRef, ExpressionError};

/// Comparisons; a node is selected when any of them holds for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnExpression {
    /// At least one.
    pub any_of: Vec<Comparison>,
}

/// One comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// The left side.
    pub column: ColumnRef,
    /// What has to hold.
    pub operator: Operator,
    /// The right side.
    pub value: CompareWith,
}

/// How the two sides are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `=`
    Equals,
    /// `!=`
    NotEquals,
    /// `contains`: the column's text has the value among its comma-separated parts.
    Contains,
    /// `not contains`
    NotContains,
}

/// What a column is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CompareWith {
    /// `:NODE_ID`: the target node's id.
    NodeId,
    /// `:EXTERNAL_ID`: the target node's external id.
    ExternalId,
    /// `:NODE_GROUP_ID`: the target node's group.
    NodeGroupId,
    /// `:COL`, `:OLD_COL`: another column of the row.
    Column(ColumnRef),
    /// `NULL`
    Null,
    /// Any other text, in single quotes or bare.
    Literal(String),
}

impl ColumnExpression {
    /// Reads comparisons that stand on lines of their own or with `or` between them.
    ///
    /// # Errors
    /// [`ExpressionError`] that says which piece is not understood.
    pub fn parse(text: &str) -> Result<Self, ExpressionError> {
        let any_of = split_at_or(text)
            .into_iter()
            .filter(|piece| !piece.trim().is_empty())
            .map(|piece| comparison(piece.trim()))
            .collect::<Result<Vec<_>, _>>()?;
        if any_of.is_empty() {
            return Err(ExpressionError(
                "it is empty; expected COLUMN=:EXTERNAL_ID or the like".to_owned(),
            ));
        }
        Ok(Self { any_of })
    }
}

/// Cuts at line ends and at the word `or`, outside single quotes.
fn split_at_or(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut start = 0;
    let mut quoted = false;
    let bytes = text.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        let space = |index: usize| bytes.get(index).is_none_or(u8::is_ascii_whitespace);
        match byte {
            b'\'' => quoted = !quoted,
            b'\n' | b'\r' if !quoted => {
                pieces.push(&text[start..at]);
                start = at + 1;
            }
            b'o' | b'O' if !quoted && at >= start => {
                let is_or = bytes
                    .get(at + 1)
                    .is_some_and(|next| next.eq_ignore_ascii_case(&b'r'));
                if is_or && (at == 0 || space(at - 1)) && space(at + 2) {
                    pieces.push(&text[start..at]);
                    start = at + 2;
                }
            }
            _ => {}
        }
    }
    pieces.push(&text[start..]);
    pieces
}

fn comparison(piece: &str) -> Result<Comparison, ExpressionError> {
    let wrong = |why: &str| ExpressionError(format!("{piece:?} is no comparison: {why}"));
    let end = piece
        .find(|c: char| c.is_whitespace() || c == '=' || c == '!')
        .unwrap_or(piece.len());
    let (column, rest) = piece.split_at(end);
    let rest = rest.trim_start();
    let (operator, value) = [
        ("!=", Operator::NotEquals),
        ("=", Operator::Equals),
        ("not contains ", Operator::NotContains),
        ("contains ", Operator::Contains),
    ]
    .into_iter()
    .find(|(word, _)| {
        rest.get(..word.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(word))
    })
    .map(|(word, operator)| (operator, rest[word.len()..].trim()))
    .ok_or_else(|| wrong("expected COLUMN=VALUE, with =, !=, contains or not contains"))?;
    let column = column.trim_matches('"');
    if column.is_empty() {
        return Err(wrong("the column is missing"));
    }
    Ok(Comparison {
        column: ColumnRef::new(column),
        operator,
        value: compare_with(value).map_err(wrong)?,
    })
}

fn compare_with(value: &str) -> Result<CompareWith, &'static str> {
    if let Some(inner) = value.strip_prefix('\'') {
        let inner = inner.strip_suffix('\'').ok_or("the quote is not closed")?;
        if inner.replace("''", "").contains('\'') {
            return Err("something stands behind the closing quote; comparisons are separated by or");
        }
        return Ok(CompareWith::Literal(inner.replace("''", "'")));
    }
    if value.is_empty() {
        return Err("the value is missing");
    }
    if value.contains(char::is_whitespace) || value.contains(['=', '\'']) {
        return Err("a value with blanks needs single quotes; comparisons are separated by or");
    }
    Ok(match value.strip_prefix(':') {
        Some("") => return Err("the name behind : is missing"),
        Some(name) if name.eq_ignore_ascii_case("node_id") => CompareWith::NodeId,
        Some(name) if name.eq_ignore_ascii_case("external_id") => CompareWith::ExternalId,
        Some(name) if name.eq_ignore_ascii_case("node_group_id") => CompareWith::NodeGroupId,
        Some(name) => CompareWith::Column(ColumnRef::new(name)),
        None if value.eq_ignore_ascii_case("null") => CompareWith::Null,
        None => CompareWith::Literal(value.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Vec<(String, bool, Operator, CompareWith)> {
        let expression = ColumnExpression::parse(text).expect(text);
        expression
            .any_of
            .into_iter()
            .map(|c| (c.column.name, c.column.old, c.operator, c.value))
            .collect()
    }

    #[test]
    fn comparisons_are_separated_by_or_and_by_lines() {
        let expected = vec![
            (
                "STORE".to_owned(),
                false,
                Operator::Equals,
                CompareWith::ExternalId,
            ),
            (
                "STORE".to_owned(),
                true,
                Operator::Equals,
                CompareWith::ExternalId,
            ),
            (
                "kind".to_owned(),
                false,
                Operator::NotEquals,
                CompareWith::Literal("a or b's".to_owned()),
            ),
        ];
        for text in [
            "STORE=:EXTERNAL_ID or OLD_STORE=:EXTERNAL_ID or kind!='a or b''s'",
            "STORE = :external_id OR OLD_STORE=:EXTERNAL_ID\nkind != 'a or b''s'\n",
            "STORE=:EXTERNAL_ID\r\nor old_STORE=:EXTERNAL_ID or\r\n kind!='a or b''s'",
        ] {
            assert_eq!(parsed(text), expected, "{text}");
        }
    }

    #[test]
    fn every_operator_and_value_is_read() {
        assert_eq!(
            parsed(
                "order contains :NODE_ID or \"b\" not contains :c or d=NULL or e=7 or old_=:OLD_f or g=:node_group_id"
            ),
            [
                ("order".to_owned(), false, Operator::Contains, CompareWith::NodeId),
                (
                    "b".to_owned(),
                    false,
                    Operator::NotContains,
                    CompareWith::Column(ColumnRef {
                        name: "c".to_owned(),
                        old: false
                    })
                ),
                ("d".to_owned(), false, Operator::Equals, CompareWith::Null),
                (
                    "e".to_owned(),
                    false,
                    Operator::Equals,
                    CompareWith::Literal("7".to_owned())
                ),
                (
                    "old_".to_owned(),
                    false,
                    Operator::Equals,
                    CompareWith::Column(ColumnRef {
                        name: "f".to_owned(),
                        old: true
                    })
                ),
                ("g".to_owned(), false, Operator::Equals, CompareWith::NodeGroupId),
            ]
        );
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for (text, why) in [
            ("", "empty"),
            ("STORE", "expected COLUMN=VALUE"),
            ("STORE=", "the value is missing"),
            ("=1", "the column is missing"),
            ("a=1 and b=2", "separated by or"),
            ("a='x", "not closed"),
            ("a='x' and b='y'", "behind the closing quote"),
            ("a=:", "behind : is missing"),
        ] {
            let message = ColumnExpression::parse(text).expect_err(text).to_string();
            assert!(message.contains(why), "{text}: {message}");
        }
    }
}
