//! Which tables refer to which, on MySQL and MariaDB.

/// For each column of a foreign key, in its order: the key, schema, table and column that refer, and those referred to.
pub(crate) const QUERY: &str = "select concat(constraint_schema, '.', table_name, '.', constraint_name), table_schema, \
    table_name, column_name, referenced_table_schema, referenced_table_name, referenced_column_name \
    from information_schema.key_column_usage where referenced_table_name is not null \
    order by constraint_schema, table_name, constraint_name, ordinal_position";
