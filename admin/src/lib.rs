//! The operator's commands.

pub mod import;
