//! Which tables refer to which, on SQLite.

/// For each column of a foreign key, in its order: the key, schema (none), table and column that refer, and those
/// referred to. Names are spelled as the reference spells them; where it names no column, the primary key's are meant.
pub(crate) const QUERY: &str = "select m.name || '.' || f.id, null, m.name, f.\"from\", null, coalesce(p.name, f.\"table\"), \
    f.\"to\" from sqlite_master m join pragma_foreign_key_list(m.name) f \
    left join sqlite_master p on p.type = 'table' and p.name = f.\"table\" collate nocase \
    where m.type = 'table' order by m.name, f.id, f.seq";
