//! Claims of this crate that need a database.

mod altered_tables;
mod captured_events;
mod common_triggers;
mod excluded_columns;
mod postgres_triggers;
mod shared_triggers;
mod source;
mod sync;
mod trigger_names;
mod values;
