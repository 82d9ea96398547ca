//! The operator's commands: `sym`, `symadmin`, `dbimport`, `dbexport`.
//!
//! Owns command lines, their output and their exit status, and the import and export of schemas, rows and scripts. Refuses to
//! know how changes are captured, routed and loaded: that is the agents' affair.

pub mod commands;
mod confirm;
pub mod engine_args;
pub mod export;
pub mod failure;
mod field;
pub mod import;
mod listing;
pub mod serve;
