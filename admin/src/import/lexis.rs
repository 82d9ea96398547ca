//! How each database's scripts are told apart into statements.

use symstream_shared::db::DatabaseKind;

/// What quotes and comments look like in a database's SQL.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Lexis {
    /// A backslash in a text escapes the next character.
    pub backslash_escapes: bool,
    /// `E'…'` is a text with backslash escapes.
    pub escape_strings: bool,
    /// `$tag$ … $tag$` is a text.
    pub dollar_quotes: bool,
    /// `` `x` `` is a name.
    pub backticks: bool,
    /// `[x]` is a name.
    pub brackets: bool,
    /// `#` begins a comment, and `--` does only with a blank behind it.
    pub hash_comments: bool,
    /// `/* /* */ */` is one comment.
    pub nested_comments: bool,
}

/// What the database's own client would see in a script.
pub(super) fn of(kind: DatabaseKind) -> Lexis {
    match kind {
        DatabaseKind::Postgres => Lexis {
            escape_strings: true,
            dollar_quotes: true,
            nested_comments: true,
            ..Lexis::default()
        },
        DatabaseKind::Mysql => Lexis {
            backslash_escapes: true,
            backticks: true,
            hash_comments: true,
            ..Lexis::default()
        },
        DatabaseKind::Sqlite => Lexis {
            backticks: true,
            brackets: true,
            ..Lexis::default()
        },
    }
}
