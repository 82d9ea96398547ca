//! Claims of this crate that need a database; SQLite's needs no server.

mod schema;
