//! Capturing on PostgreSQL.

pub(super) mod foreign_keys;
pub(super) mod reader;
pub(super) mod row_set;
pub(super) mod statistics;
pub(super) mod survey;
pub(super) mod trigger;
