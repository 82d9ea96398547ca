//! `column` routers: comparisons of columns.

use super::scanner::Scanner;
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
    /// Reads comparisons that stand on lines of their own or with `or` between them:
    ///
    /// ```text
    /// COLUMN = value    COLUMN != value    COLUMN contains value    COLUMN not contains value
    /// ```
    ///
    /// A value ends at the line's end or at `or`; one that has these, or blanks at its ends, stands in single
    /// quotes, doubled inside. A column whose name has an operator in it stands in double quotes.
    ///
    /// # Errors
    /// [`ExpressionError`] that says which piece is not understood.
    pub fn parse(text: &str) -> Result<Self, ExpressionError> {
        let mut scanner = Scanner::new(text);
        if scanner.is_empty() {
            return Err(ExpressionError(
                "it is empty; expected COLUMN=:EXTERNAL_ID or the like".to_owned(),
            ));
        }
        let mut any_of = Vec::new();
        loop {
            any_of.push(scanner.comparison()?);
            if !scanner.separator()? {
                return Ok(Self { any_of });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
            ("a", "expected COLUMN=VALUE"),
            ("a or b=1", "expected COLUMN=VALUE"),
            ("a>=1", "expected COLUMN=VALUE"),
            ("a= or b=1", "the value is missing"),
            ("a=1 or ", "nothing follows"),
            ("\"a=1", "not closed"),
            ("a='x", "not closed"),
            ("a='x' and b='y'", "behind a closing quote"),
            ("a=:", "behind : is missing"),
        ] {
            let message = ColumnExpression::parse(text).expect_err(text).to_string();
            assert!(message.contains(why), "{text}: {message}");
        }
    }

    #[test]
    fn values_may_have_blanks_operators_and_quotes() {
        for (text, value) in [
            ("a=in progress", "in progress"),
            ("a=b=c", "b=c"),
            ("a=O'Brien or b=1", "O'Brien"),
            ("a=black and white", "black and white"),
            ("a='x or y = ''z''' or b=1", "x or y = 'z'"),
            ("a='two\nlines'\nb=1", "two\nlines"),
            ("a=normal", "normal"),
            ("a='NULL'", "NULL"),
            ("a=''", ""),
        ] {
            assert_eq!(
                parsed(text)[0].3,
                CompareWith::Literal(value.to_owned()),
                "{text}"
            );
        }
        assert_eq!(parsed("two words=1")[0].0, "two words");
        assert_eq!(parsed("\"a=\"\"b\" contains 1")[0].0, "a=\"b");
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in "[A-Za-z0-9=!'\"\\n :,ü]{0,40}") {
            if let Ok(expression) = ColumnExpression::parse(&text) {
                prop_assert!(!expression.any_of.is_empty());
            }
        }

        #[test]
        fn any_text_can_stand_in_quotes(value in any::<String>()) {
            let text = format!("a='{}' or b=1", value.replace('\'', "''"));
            let expression = ColumnExpression::parse(&text).expect("expression");
            prop_assert_eq!(&expression.any_of[0].value, &CompareWith::Literal(value));
        }
    }
}
