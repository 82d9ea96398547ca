//! Reading the text of a `column` router's expression.

use super::column::{CompareWith, Comparison, Operator};
use super::{ColumnRef, ExpressionError};

/// What of an expression has not been read yet.
pub(super) struct Scanner<'a> {
    rest: &'a str,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            rest: text.trim_start(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn comparison(&mut self) -> Result<Comparison, ExpressionError> {
        let (column, operator) = self.column_and_operator()?;
        let value = self.value(&column)?;
        Ok(Comparison {
            column: ColumnRef::new(&column),
            operator,
            value,
        })
    }

    /// Reads what separates two comparisons: `or`, line ends, or both. False at the end.
    pub(super) fn separator(&mut self) -> Result<bool, ExpressionError> {
        let space = &self.rest[..self.rest.len() - self.rest.trim_start().len()];
        let on_new_line = space.contains(['\n', '\r']);
        self.rest = self.rest.trim_start();
        if self.rest.is_empty() {
            return Ok(false);
        }
        if let Some(after) = word(self.rest, "or") {
            self.rest = after.trim_start();
            return if self.rest.is_empty() {
                Err(wrong("nothing follows the last or"))
            } else {
                Ok(true)
            };
        }
        if on_new_line {
            return Ok(true);
        }
        Err(wrong(format!(
            "{:?} stands behind a closing quote; comparisons are separated by or",
            self.rest
        )))
    }

    fn column_and_operator(&mut self) -> Result<(String, Operator), ExpressionError> {
        if self.rest.starts_with('"') {
            let column = self.quoted('"')?;
            self.rest = self.rest.trim_start();
            let (operator, length) = operator_at(self.rest, true).ok_or_else(|| no_operator(&column))?;
            self.rest = &self.rest[length..];
            return Ok((column, operator));
        }
        let mut after_space = false;
        for (at, c) in self.rest.char_indices() {
            let here = &self.rest[at..];
            if c == '\n' || c == '\r' || (after_space && word(here, "or").is_some()) {
                return Err(no_operator(&self.rest[..at]));
            }
            if let Some((operator, length)) = operator_at(here, after_space) {
                let column = self.rest[..at].trim().to_owned();
                if column.is_empty() {
                    return Err(wrong(format!("the column is missing before {:?}", self.rest)));
                }
                if column.ends_with(['<', '>', '!', '~']) {
                    return Err(no_operator(self.rest));
                }
                self.rest = &here[length..];
                return Ok((column, operator));
            }
            after_space = c.is_whitespace();
        }
        Err(no_operator(self.rest))
    }

    fn value(&mut self, column: &str) -> Result<CompareWith, ExpressionError> {
        let is_blank = |c: char| c.is_whitespace() && c != '\n' && c != '\r';
        self.rest = self.rest.trim_start_matches(is_blank);
        if self.rest.starts_with('\'') {
            return self.quoted('\'').map(CompareWith::Literal);
        }
        let mut end = self.rest.len();
        let mut after_space = true;
        for (at, c) in self.rest.char_indices() {
            if c == '\n' || c == '\r' || (after_space && word(&self.rest[at..], "or").is_some()) {
                end = at;
                break;
            }
            after_space = c.is_whitespace();
        }
        let value = self.rest[..end].trim();
        self.rest = &self.rest[end..];
        if value.is_empty() {
            return Err(wrong(format!(
                "the value is missing behind {column}; NULL stands for null, '' for the empty text"
            )));
        }
        refuse_and(value)?;
        Ok(match value.strip_prefix(':') {
            Some("") => return Err(wrong(format!("the name behind : is missing behind {column}"))),
            Some(name) if name.eq_ignore_ascii_case("node_id") => CompareWith::NodeId,
            Some(name) if name.eq_ignore_ascii_case("external_id") => CompareWith::ExternalId,
            Some(name) if name.eq_ignore_ascii_case("node_group_id") => CompareWith::NodeGroupId,
            Some(name) => CompareWith::Column(ColumnRef::new(name)),
            None if value.eq_ignore_ascii_case("null") => CompareWith::Null,
            None => CompareWith::Literal(value.to_owned()),
        })
    }

    /// Reads what stands between two `quote`s; doubled ones inside stand for one.
    fn quoted(&mut self, quote: char) -> Result<String, ExpressionError> {
        let mut text = String::new();
        let mut rest = &self.rest[quote.len_utf8()..];
        loop {
            let Some(end) = rest.find(quote) else {
                return Err(wrong(format!("the quote is not closed in {:?}", self.rest)));
            };
            text.push_str(&rest[..end]);
            rest = &rest[end + quote.len_utf8()..];
            match rest.strip_prefix(quote) {
                Some(after) => {
                    text.push(quote);
                    rest = after;
                }
                None => {
                    self.rest = rest;
                    return Ok(text);
                }
            }
        }
    }
}

fn wrong(message: impl Into<String>) -> ExpressionError {
    ExpressionError(message.into())
}

fn no_operator(comparison: &str) -> ExpressionError {
    wrong(format!(
        "{:?} is no comparison: expected COLUMN=VALUE, with =, !=, contains or not contains",
        comparison.trim()
    ))
}

/// SymmetricDS has no `and` here and takes it for a part of the value, so that rows go to nobody.
fn refuse_and(value: &str) -> Result<(), ExpressionError> {
    let mut after_space = false;
    for (at, c) in value.char_indices() {
        let after = word(&value[at..], "and").filter(|_| after_space);
        if after.is_some_and(|after| Scanner::new(after).column_and_operator().is_ok()) {
            return Err(wrong(format!(
                "there is no and, comparisons are separated by or; if {value:?} is meant as a text, it needs single quotes"
            )));
        }
        after_space = c.is_whitespace();
    }
    Ok(())
}

/// What follows `expected` when the text begins with it, in whatever case, as a whole word.
fn word<'a>(text: &'a str, expected: &str) -> Option<&'a str> {
    let start = text.get(..expected.len())?;
    let after = &text[expected.len()..];
    let is_whole = after.chars().next().is_none_or(char::is_whitespace);
    (is_whole && start.eq_ignore_ascii_case(expected)).then_some(after)
}

/// The operator that the text begins with, and its length; those that are words only behind a blank, or they
/// could be the end of a name.
fn operator_at(text: &str, after_space: bool) -> Option<(Operator, usize)> {
    if text.starts_with("!=") {
        return Some((Operator::NotEquals, 2));
    }
    if text.starts_with('=') {
        return Some((Operator::Equals, 1));
    }
    if !after_space {
        return None;
    }
    if let Some(after) = word(text, "contains") {
        return Some((Operator::Contains, text.len() - after.len()));
    }
    let after = word(word(text, "not")?.trim_start(), "contains")?;
    Some((Operator::NotContains, text.len() - after.len()))
}
