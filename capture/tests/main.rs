//! Claims of this crate that need a database.

mod source;
mod triggers;
mod values;
