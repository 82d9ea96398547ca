//! The real binaries on SQLite databases.

mod clinic;
mod commands;
mod serve;
mod site;
mod sql_import;
mod xml_import;
