//! Each column of the configuration tables by its effect in the databases, on each dialect.
