//! Which tables refer to which, on SQLite.

/// Schema (none) and name of the table that refers, and of the one referred to.
pub(crate) const QUERY: &str = "select distinct null, m.name, null, f.\"table\" \
    from sqlite_master m join pragma_foreign_key_list(m.name) f where m.type = 'table'";
