//! `subselect` routers and `node_select`: a condition over the node table.

use super::{ColumnRef, ExpressionError};

/// A condition over `sym_node`, aliased `c`, that may name columns of the changed row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subselect {
    /// The condition in pieces: SQL as it stands, and values that belong in between.
    pub pieces: Vec<SubselectPiece>,
}

/// One piece of a [`Subselect`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubselectPiece {
    /// SQL text.
    Sql(String),
    /// `:COL`, `:OLD_COL`: the value of a column of the changed row.
    Column(ColumnRef),
    /// `:NODE_GROUP_ID`: the rule's target group.
    TargetGroup,
}

impl Subselect {
    /// Reads a condition; a leading `where` is left out.
    ///
    /// # Errors
    /// [`ExpressionError`] when it is empty, could end the parentheses that it will stand in, or has quotes that
    /// are not closed.
    pub fn parse(text: &str) -> Result<Self, ExpressionError> {
        let text = without_where(text.trim());
        if text.is_empty() {
            return Err(ExpressionError(
                "it is empty; expected a condition over the node table c".to_owned(),
            ));
        }
        let mut pieces = Vec::new();
        let mut sql = String::new();
        let mut depth = 0_u32;
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let length = match c {
                '\'' | '"' | '`' => quoted_length(rest, c)?,
                '(' => {
                    depth += 1;
                    1
                }
                ')' => {
                    depth = depth.checked_sub(1).ok_or_else(|| unbalanced(text))?;
                    1
                }
                ';' => {
                    return Err(ExpressionError(
                        "it has a ;, but a condition is no statement".to_owned(),
                    ));
                }
                '-' if rest.starts_with("--") => return Err(comment()),
                '/' if rest.starts_with("/*") => return Err(comment()),
                ':' if rest.starts_with("::") => 2,
                ':' => match name_length(&rest[1..]) {
                    0 => 1,
                    length => {
                        if !sql.is_empty() {
                            pieces.push(SubselectPiece::Sql(std::mem::take(&mut sql)));
                        }
                        pieces.push(value(&rest[1..=length]));
                        rest = &rest[1 + length..];
                        continue;
                    }
                },
                other => other.len_utf8(),
            };
            sql.push_str(&rest[..length]);
            rest = &rest[length..];
        }
        if depth != 0 {
            return Err(unbalanced(text));
        }
        if !sql.is_empty() {
            pieces.push(SubselectPiece::Sql(sql));
        }
        Ok(Self { pieces })
    }

    /// The columns of the changed row that the condition names, each once.
    pub fn columns(&self) -> Vec<&ColumnRef> {
        let mut columns = Vec::new();
        for piece in &self.pieces {
            if let SubselectPiece::Column(column) = piece
                && !columns.contains(&column)
            {
                columns.push(column);
            }
        }
        columns
    }
}

fn without_where(text: &str) -> &str {
    match text.get(..5) {
        Some(word) if word.eq_ignore_ascii_case("where") => match text[5..].chars().next() {
            Some(next) if next.is_whitespace() || next == '(' => text[5..].trim_start(),
            None => "",
            Some(_) => text,
        },
        _ => text,
    }
}

/// How long a quoted piece at the start of `text` is; a doubled quote begins another one, which is as good.
fn quoted_length(text: &str, quote: char) -> Result<usize, ExpressionError> {
    text[1..]
        .find(quote)
        .map(|end| end + 2)
        .ok_or_else(|| ExpressionError(format!("a {quote} is not closed")))
}

fn name_length(text: &str) -> usize {
    if !text.starts_with(|c: char| c.is_alphabetic() || c == '_') {
        return 0;
    }
    text.find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(text.len())
}

fn value(name: &str) -> SubselectPiece {
    if name.eq_ignore_ascii_case("node_group_id") {
        SubselectPiece::TargetGroup
    } else {
        SubselectPiece::Column(ColumnRef::new(name))
    }
}

fn unbalanced(text: &str) -> ExpressionError {
    ExpressionError(format!("the parentheses of {text:?} are not balanced"))
}

fn comment() -> ExpressionError {
    ExpressionError("it has a comment, which a condition can not have".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sql(text: &str) -> SubselectPiece {
        SubselectPiece::Sql(text.to_owned())
    }

    fn column(name: &str, old: bool) -> SubselectPiece {
        SubselectPiece::Column(ColumnRef {
            name: name.to_owned(),
            old,
        })
    }

    #[test]
    fn columns_are_cut_out_and_the_rest_stays() {
        let text = "where c.external_id in (select l.x from \"a:b\" l where l.id = :ID::text and l.y <> ':no' and z=:OLD_Z) \
                    and c.node_group_id = :NODE_GROUP_ID";
        assert_eq!(
            Subselect::parse(text).expect("valid").pieces,
            [
                sql("c.external_id in (select l.x from \"a:b\" l where l.id = "),
                column("ID", false),
                sql("::text and l.y <> ':no' and z="),
                column("Z", true),
                sql(") and c.node_group_id = "),
                SubselectPiece::TargetGroup,
            ]
        );
        assert_eq!(
            Subselect::parse("WHERE(1=1)").expect("valid").pieces,
            [sql("(1=1)")]
        );
        assert_eq!(
            Subselect::parse("whereabouts = 'it''s'").expect("valid").pieces,
            [sql("whereabouts = 'it''s'")]
        );
    }

    #[test]
    fn a_column_is_named_once() {
        let condition =
            Subselect::parse("c.external_id = :A or c.node_id = :A or 'x' = :OLD_A").expect("valid");
        assert_eq!(condition.columns().len(), 2);
    }

    #[test]
    fn what_could_not_stand_in_parentheses_is_refused() {
        for (text, why) in [
            ("", "empty"),
            ("where ", "empty"),
            ("1=1) or (1=1", "not balanced"),
            ("(1=1", "not balanced"),
            ("c.node_id = 'x", "' is not closed"),
            ("1=1 -- all", "comment"),
            ("1=1 /* all */", "comment"),
            ("1=1; delete from t", ";"),
        ] {
            let message = Subselect::parse(text).expect_err(text).to_string();
            assert!(message.contains(why), "{text}: {message}");
        }
    }
}
