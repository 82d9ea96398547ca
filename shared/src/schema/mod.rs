//! The `sym_` tables: names, definitions, creation.
//!
//! Owns what the tables look like on each dialect (seed 002, `spec/design.md` and SymStream's own ones).
//! Refuses to know what is written into them, but for the registration server's own first rows.

mod create;
mod identity;
mod render;
mod spec;
mod tables;

pub use create::{create, drop_all};
pub use identity::ensure_identity;
pub use tables::{InvalidPrefix, Tables};
