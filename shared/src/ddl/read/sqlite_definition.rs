//! What only the text of a SQLite table's definition tells: the names of constraints, numbering, checks.

use std::iter::Peekable;
use std::str::Chars;

/// A kind of constraint that may have a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Constraint {
    ForeignKey,
    Unique,
}

/// A definition, as far as it is needed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Definition {
    /// The constraints in the order of the text, with their names.
    constraints: Vec<(Constraint, Option<String>)>,
    /// The table numbers rows that bring no number: `autoincrement`, or `integer primary key` at the column, which
    /// people write for that.
    pub is_numbered: bool,
    pub has_checks: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    /// A word without quotes.
    Word(String),
    /// A name in quotes, or a text.
    Quoted(String),
    Symbol(char),
}

impl Token {
    fn is_word(&self, wanted: &str) -> bool {
        matches!(self, Self::Word(word) if word.eq_ignore_ascii_case(wanted))
    }
}

impl Definition {
    /// Reads `create table …`. A text that is not understood says less, never something wrong: names that do not come
    /// out are made anew.
    pub(super) fn parse(text: &str) -> Self {
        let mut definition = Self::default();
        let mut depth = 0;
        let mut name: Option<String> = None;
        // Whether the item before a constraint is a column's definition.
        let mut item: Vec<Token> = Vec::new();
        let mut tokens = Tokens(text.chars().peekable()).peekable();
        while let Some(token) = tokens.next() {
            match &token {
                Token::Symbol('(') => depth += 1,
                Token::Symbol(')') => depth -= 1,
                Token::Symbol(',') if depth == 1 => {
                    item.clear();
                    name = None;
                    continue;
                }
                Token::Word(word) if depth == 1 => match word.to_ascii_lowercase().as_str() {
                    "constraint" => {
                        name = match tokens.next() {
                            Some(Token::Word(name) | Token::Quoted(name)) => Some(name),
                            _ => None,
                        };
                        continue;
                    }
                    "unique" => definition.constraints.push((Constraint::Unique, name.take())),
                    // The words of a table's constraint are `foreign key … references`.
                    "references" => definition.constraints.push((Constraint::ForeignKey, name.take())),
                    "check" => definition.has_checks = true,
                    "primary" => {
                        definition.is_numbered |= item.get(1).is_some_and(|token| token.is_word("integer"));
                        name = None;
                    }
                    "autoincrement" => definition.is_numbered = true,
                    "not" | "null" | "default" | "collate" | "generated" => name = None,
                    _ => {}
                },
                // Also at a table's constraint, in parentheses.
                token if token.is_word("autoincrement") => definition.is_numbered = true,
                _ => {}
            }
            if depth == 1 && token != Token::Symbol('(') {
                item.push(token);
            }
        }
        definition
    }

    /// The names of the constraints of a kind, in the order of the text.
    pub(super) fn names(&self, kind: Constraint) -> Vec<Option<String>> {
        let of_kind = self
            .constraints
            .iter()
            .filter(|(constraint, _)| *constraint == kind);
        of_kind.map(|(_, name)| name.clone()).collect()
    }
}

struct Tokens<'t>(Peekable<Chars<'t>>);

impl Iterator for Tokens<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        loop {
            let c = self.0.next()?;
            match c {
                c if c.is_whitespace() => {}
                '-' if self.0.peek() == Some(&'-') => {
                    self.0.by_ref().find(|c| *c == '\n');
                }
                '/' if self.0.peek() == Some(&'*') => {
                    self.0.next();
                    let mut last = ' ';
                    for c in self.0.by_ref() {
                        if last == '*' && c == '/' {
                            break;
                        }
                        last = c;
                    }
                }
                '\'' | '"' | '`' => return Some(Token::Quoted(self.quoted(c))),
                '[' => return Some(Token::Quoted(self.0.by_ref().take_while(|c| *c != ']').collect())),
                c if c.is_alphanumeric() || c == '_' => {
                    let mut word = c.to_string();
                    while let Some(c) = self.0.next_if(|c| c.is_alphanumeric() || matches!(c, '_' | '$')) {
                        word.push(c);
                    }
                    return Some(Token::Word(word));
                }
                c => return Some(Token::Symbol(c)),
            }
        }
    }
}

impl Tokens<'_> {
    fn quoted(&mut self, quote: char) -> String {
        let mut text = String::new();
        while let Some(c) = self.0.next() {
            if c == quote && self.0.next_if_eq(&quote).is_none() {
                break;
            }
            text.push(c);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_constraints_come_in_their_order() {
        let definition = Definition::parse(
            "create table \"t (unique\" (id integer, -- unique, references\n \
             b text constraint u1 UNIQUE constraint Fk references p(id), c decimal(10,2) not null references q, \
             d text default 'unique' /* check ( */, \
             constraint [my unique] unique (b, c), foreign key (b) references p (id), unique (c))",
        );
        let name = |name: &str| Some(name.to_owned());
        assert_eq!(
            definition.names(Constraint::Unique),
            [name("u1"), name("my unique"), None]
        );
        assert_eq!(definition.names(Constraint::ForeignKey), [name("Fk"), None, None]);
        assert!(!definition.is_numbered && !definition.has_checks);
    }

    #[test]
    fn a_column_that_numbers_itself_is_told_from_a_plain_key() {
        assert!(Definition::parse("create table t (id integer primary key autoincrement)").is_numbered);
        assert!(Definition::parse("create table t (a text, \"id\" INTEGER PRIMARY KEY, b text)").is_numbered);
        assert!(!Definition::parse("create table t (id integer not null, primary key (id))").is_numbered);
        assert!(!Definition::parse("create table t (id int primary key)").is_numbered);
        assert!(Definition::parse("create table t (id int check (id > 0))").has_checks);
    }
}
