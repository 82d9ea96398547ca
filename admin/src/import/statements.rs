//! Splits a SQL script into its statements.

use super::lexis::Lexis;
use std::io::{self, BufRead};

/// What some editors write at the beginning of a file.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// One statement of a script.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Statement {
    /// Which one it is, from 1.
    pub number: usize,
    /// The line on which it begins, from 1.
    pub line: usize,
    /// The text, without the semicolon.
    pub text: String,
    /// Its first two words, in upper case.
    pub words: [String; 2],
}

/// Why a script can not be split.
#[derive(Debug, thiserror::Error)]
pub(super) enum SplitError {
    #[error("line {line}: {what} that begins here has no end")]
    Unterminated { line: usize, what: &'static str },
    #[error("the file can not be read")]
    Read(#[source] io::Error),
}

enum State {
    Plain,
    Quoted { end: char, backslash: bool },
    LineComment,
    BlockComment { depth: usize },
    Dollar { tag: String },
}

/// Reads statement by statement, so a script may be larger than memory.
pub(super) struct Splitter<R> {
    input: R,
    lexis: Lexis,
    line: String,
    position: usize,
    line_number: usize,
    state: State,
    state_line: usize,
    text: String,
    text_line: usize,
    has_content: bool,
    count: usize,
    body: Body,
}

impl<R: BufRead> Splitter<R> {
    pub(super) fn new(input: R, lexis: Lexis) -> Self {
        Self {
            input,
            lexis,
            line: String::new(),
            position: 0,
            line_number: 0,
            state: State::Plain,
            state_line: 0,
            text: String::new(),
            text_line: 0,
            has_content: false,
            count: 0,
            body: Body::default(),
        }
    }

    /// The next statement; `None` at the end. What is only comments is no statement.
    pub(super) fn next(&mut self) -> Result<Option<Statement>, SplitError> {
        loop {
            if self.position >= self.line.len() {
                self.line.clear();
                self.position = 0;
                self.line_number += 1;
                if self.input.read_line(&mut self.line).map_err(SplitError::Read)? == 0 {
                    return self.end();
                }
                if self.line_number == 1 && self.line.starts_with(BYTE_ORDER_MARK) {
                    self.position = BYTE_ORDER_MARK.len_utf8();
                }
            }
            if self.step() {
                let statement = self.take();
                if statement.is_some() {
                    return Ok(statement);
                }
            }
        }
    }

    /// Takes one token; whether a statement ended with it.
    fn step(&mut self) -> bool {
        let rest = &self.line[self.position..];
        let Some(c) = rest.chars().next() else {
            return false;
        };
        let mut length = c.len_utf8();
        match &mut self.state {
            State::Plain => return self.plain(c),
            State::Quoted { end, backslash } => {
                if c == '\\' && *backslash {
                    length += rest[1..].chars().next().map_or(0, char::len_utf8);
                } else if c == *end {
                    // Doubled, it stands for itself.
                    if rest[length..].starts_with(c) {
                        length *= 2;
                    } else {
                        self.state = State::Plain;
                    }
                }
            }
            State::LineComment => {
                length = rest.len();
                self.state = State::Plain;
            }
            State::BlockComment { depth } => {
                if rest.starts_with("*/") {
                    length = 2;
                    *depth -= 1;
                    if *depth == 0 {
                        self.state = State::Plain;
                    }
                } else if rest.starts_with("/*") && self.lexis.nested_comments {
                    length = 2;
                    *depth += 1;
                }
            }
            State::Dollar { tag } => {
                if rest.starts_with(tag.as_str()) {
                    length = tag.len();
                    self.state = State::Plain;
                }
            }
        }
        self.push(length);
        false
    }

    fn plain(&mut self, c: char) -> bool {
        let lexis = self.lexis;
        let rest = &self.line[self.position..];
        let mut length = c.len_utf8();
        let before = self.line[..self.position].chars().next_back();
        let mut content = true;
        let mut next = State::Plain;
        match c {
            ';' => {
                self.body.end_of_part();
                if !self.body.is_open() {
                    self.position += 1;
                    return true;
                }
            }
            '\'' => {
                let escape = lexis.escape_strings && is_escape_prefix(&self.line[..self.position]);
                next = State::Quoted {
                    end: c,
                    backslash: lexis.backslash_escapes || escape,
                };
            }
            '"' => {
                next = State::Quoted {
                    end: c,
                    backslash: lexis.backslash_escapes,
                }
            }
            '`' if lexis.backticks => {
                next = State::Quoted {
                    end: c,
                    backslash: false,
                }
            }
            '[' if lexis.brackets => {
                next = State::Quoted {
                    end: ']',
                    backslash: false,
                }
            }
            '#' if lexis.hash_comments => (next, content) = (State::LineComment, false),
            '-' if rest.starts_with("--")
                && (!lexis.hash_comments || rest[2..].chars().next().is_none_or(char::is_whitespace)) =>
            {
                (next, content) = (State::LineComment, false);
            }
            '/' if rest.starts_with("/*") => {
                // MySQL runs what stands in `/*! … */`.
                content = rest.starts_with("/*!") && lexis.hash_comments;
                length = 2;
                next = State::BlockComment { depth: 1 };
            }
            '$' if lexis.dollar_quotes && !before.is_some_and(is_word) => {
                if let Some(tag) = dollar_tag(rest) {
                    length = tag.len();
                    next = State::Dollar { tag: tag.to_owned() };
                }
            }
            _ if is_word(c) => {
                length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
                self.body.word(&rest[..length]);
            }
            _ => content = !c.is_whitespace(),
        }
        if content && !self.has_content {
            self.has_content = true;
            self.text.clear();
            self.text_line = self.line_number;
        }
        if !matches!(next, State::Plain) {
            self.state = next;
            self.state_line = self.line_number;
        }
        self.push(length);
        false
    }

    fn push(&mut self, length: usize) {
        let end = self.position + length;
        self.text.push_str(&self.line[self.position..end]);
        self.position = end;
    }

    fn take(&mut self) -> Option<Statement> {
        let text = std::mem::take(&mut self.text);
        let words = std::mem::take(&mut self.body).words;
        if !std::mem::take(&mut self.has_content) {
            return None;
        }
        self.count += 1;
        Some(Statement {
            number: self.count,
            line: self.text_line,
            text: text.trim_end().to_owned(),
            words,
        })
    }

    fn end(&mut self) -> Result<Option<Statement>, SplitError> {
        let what = match self.state {
            State::Plain | State::LineComment => return Ok(self.take()),
            State::Quoted { end: '\'', .. } => "a text",
            State::Quoted { .. } => "a quoted name",
            State::BlockComment { .. } => "a comment",
            State::Dollar { .. } => "a dollar-quoted text",
        };
        Err(SplitError::Unterminated {
            line: self.state_line,
            what,
        })
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn is_escape_prefix(before: &str) -> bool {
    let mut backwards = before.chars().rev();
    matches!(backwards.next(), Some('e' | 'E')) && !backwards.next().is_some_and(is_word)
}

/// `$tag$` or `$$` at the beginning of `rest`.
fn dollar_tag(rest: &str) -> Option<&str> {
    let name = rest[1..].find('$')?;
    let tag = &rest[..name + 2];
    let inner = &tag[1..=name];
    (inner.chars().all(is_word) && !inner.starts_with(|c: char| c.is_ascii_digit())).then_some(tag)
}

/// Follows the words of a statement, as far as they tell where it ends: `create trigger … begin …; …; end` is
/// one statement.
#[derive(Default)]
struct Body {
    words: [String; 2],
    count: usize,
    routine: bool,
    depth: usize,
    after_end: bool,
}

impl Body {
    fn word(&mut self, word: &str) {
        let word = word.to_ascii_uppercase();
        let word_as_str = word.as_str();
        if self.words[0] == "CREATE" && self.depth == 0 {
            self.routine |= matches!(word_as_str, "TRIGGER" | "PROCEDURE" | "FUNCTION" | "EVENT");
        }
        if self.routine {
            let after_end = std::mem::take(&mut self.after_end);
            match word_as_str {
                // `end if` closes no `begin`; `end case` closes the `case`.
                "IF" | "LOOP" | "WHILE" | "REPEAT" if after_end => {}
                _ => {
                    if after_end {
                        self.depth = self.depth.saturating_sub(1);
                    }
                    match word_as_str {
                        "BEGIN" => self.depth += 1,
                        "CASE" if !after_end => self.depth += 1,
                        "END" => self.after_end = true,
                        _ => {}
                    }
                }
            }
        }
        if self.count < 2 {
            self.words[self.count] = word;
        }
        self.count += 1;
    }

    /// At a semicolon.
    fn end_of_part(&mut self) {
        if std::mem::take(&mut self.after_end) {
            self.depth = self.depth.saturating_sub(1);
        }
    }

    fn is_open(&self) -> bool {
        self.depth > 0
    }
}

#[cfg(test)]
mod tests {
    use super::super::lexis;
    use super::*;
    use symstream_shared::db::DatabaseKind::{self, Mysql, Postgres, Sqlite};

    fn split(kind: DatabaseKind, script: &str) -> Result<Vec<(usize, String)>, SplitError> {
        let mut splitter = Splitter::new(script.as_bytes(), lexis::of(kind));
        let mut statements = Vec::new();
        while let Some(statement) = splitter.next()? {
            assert_eq!(statement.number, statements.len() + 1);
            statements.push((statement.line, statement.text));
        }
        Ok(statements)
    }

    fn texts(kind: DatabaseKind, script: &str) -> Vec<String> {
        split(kind, script)
            .expect("valid")
            .into_iter()
            .map(|(_, text)| text)
            .collect()
    }

    #[test]
    fn semicolons_in_quotes_and_comments_end_nothing() {
        for kind in [Postgres, Mysql, Sqlite] {
            let script = "-- a; b\nselect ';''; --', \";\" /* ; */ ;\n\n/* ; */\n;;\nselect 2 -- ;\n";
            assert_eq!(
                split(kind, script).expect("valid"),
                [
                    (2, "select ';''; --', \";\" /* ; */".to_owned()),
                    (6, "select 2 -- ;".to_owned())
                ]
            );
        }
    }

    #[test]
    fn each_database_has_its_own_quotes() {
        assert_eq!(
            texts(
                Postgres,
                r"select '\'; select E'\';', $$;$$, $a$ $$; $a$; select 'a$b$;'"
            ),
            [
                r"select '\'",
                r"select E'\';', $$;$$, $a$ $$; $a$",
                "select 'a$b$;'"
            ]
        );
        assert_eq!(
            texts(Postgres, "/* /* ; */ ; */ select a$b; select 1"),
            ["select a$b", "select 1"]
        );
        assert_eq!(
            texts(
                Mysql,
                "select '\\';', `;` # ;\n; select 1--1; /*!40101 set a=1 */;"
            ),
            ["select '\\';', `;` # ;", "select 1--1", "/*!40101 set a=1 */"]
        );
        assert_eq!(
            texts(Sqlite, "select [;], '\\'; select 1"),
            ["select [;], '\\'", "select 1"]
        );
    }

    #[test]
    fn the_body_of_a_trigger_belongs_to_it() {
        let trigger = "create temp trigger t after insert on a begin \
                       update a set b = case when 1 then 2 end; delete from c; end";
        assert_eq!(
            texts(Sqlite, &format!("{trigger}; select 1")),
            [trigger, "select 1"]
        );
        let procedure = "create procedure p() begin if 1 then select 1; end if; case 1 when 1 then select 2; end case; \
                         begin select 3; end; end";
        assert_eq!(
            texts(Mysql, &format!("{procedure}; select 1;")),
            [procedure, "select 1"]
        );
        let function = "create function f() returns int as $$ begin return 1; end $$ language plpgsql";
        assert_eq!(
            texts(Postgres, &format!("{function}; select 1;")),
            [function, "select 1"]
        );
    }

    #[test]
    fn a_byte_order_mark_and_windows_line_ends_are_no_statement() {
        assert_eq!(texts(Sqlite, "\u{feff}select 1;\r\n-- x\r\n\r\n"), ["select 1"]);
        assert_eq!(texts(Sqlite, "\u{feff}"), [""; 0]);
    }

    #[test]
    fn a_quote_without_an_end_is_an_error_at_its_line() {
        let err = split(Postgres, "select 1;\nselect 'a;\n\n").expect_err("unterminated");
        assert_eq!(err.to_string(), "line 2: a text that begins here has no end");
        let err = split(Postgres, "select $x$ ;").expect_err("unterminated");
        assert_eq!(
            err.to_string(),
            "line 1: a dollar-quoted text that begins here has no end"
        );
    }
}
