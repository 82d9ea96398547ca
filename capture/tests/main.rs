//! Claims of this crate that need a database.

mod common_triggers;
mod postgres_triggers;
mod source;
mod sync;
mod values;
