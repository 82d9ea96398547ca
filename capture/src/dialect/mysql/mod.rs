//! Capturing on MySQL and MariaDB.

pub(super) mod foreign_keys;
mod gaps;
pub(super) mod reader;
pub(super) mod row_set;
mod settling;
pub(super) mod statistics;
pub(super) mod survey;
pub(super) mod trigger;
