//! The real binaries on databases.

mod clinic;
mod commands;
mod controls;
mod dialects;
mod exchange;
mod parameters;
mod registration;
mod reloads;
mod requests;
mod serve;
mod site;
mod sql_import;
mod uninstall;
mod xml_import;
