//! Which tables refer to which, on PostgreSQL.

/// Schema and name of the table that refers, and of the one referred to.
pub(crate) const QUERY: &str = "select cast(cn.nspname as text), cast(c.relname as text), \
    cast(pn.nspname as text), cast(p.relname as text) from pg_constraint f \
    join pg_class c on c.oid = f.conrelid join pg_namespace cn on cn.oid = c.relnamespace \
    join pg_class p on p.oid = f.confrelid join pg_namespace pn on pn.oid = p.relnamespace \
    where f.contype = 'f'";
