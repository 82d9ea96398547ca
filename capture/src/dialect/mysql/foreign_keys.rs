//! Which tables refer to which, on MySQL and MariaDB.

/// Schema and name of the table that refers, and of the one referred to.
pub(crate) const QUERY: &str = "select distinct table_schema, table_name, referenced_table_schema, \
    referenced_table_name from information_schema.key_column_usage where referenced_table_name is not null";
