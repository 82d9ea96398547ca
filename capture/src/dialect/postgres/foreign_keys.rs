//! Which tables refer to which, on PostgreSQL.

/// For each column of a foreign key, in its order: the key, schema, table and column that refer, and those referred to.
pub(crate) const QUERY: &str = "select cast(f.oid as text), cast(cn.nspname as text), cast(c.relname as text), \
    cast(ca.attname as text), cast(pn.nspname as text), cast(p.relname as text), cast(pa.attname as text) \
    from pg_constraint f cross join lateral unnest(f.conkey, f.confkey) with ordinality as k(child, parent, place) \
    join pg_class c on c.oid = f.conrelid join pg_namespace cn on cn.oid = c.relnamespace \
    join pg_attribute ca on ca.attrelid = c.oid and ca.attnum = k.child \
    join pg_class p on p.oid = f.confrelid join pg_namespace pn on pn.oid = p.relnamespace \
    join pg_attribute pa on pa.attrelid = p.oid and pa.attnum = k.parent \
    where f.contype = 'f' order by f.oid, k.place";
