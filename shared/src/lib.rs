//! The vocabulary that every part of SymStream shares.
//!
//! Owns: ids, the engine configuration, the data model of the `sym_` tables, what the agents need to know of
//! the three database dialects, values and their encodings, the bodies that travel over NATS. Refuses to know:
//! NATS itself, loops, tasks.

pub mod batch_status;
pub mod captured;
pub mod catalog;
pub mod cell;
pub mod csv;
pub mod db;
pub mod ddl;
pub mod engine;
pub mod hostname;
pub mod id;
pub mod logical;
pub mod model;
pub mod parameter;
pub mod registration;
pub mod restored;
pub mod retry;
pub mod schema;
pub mod telemetry;
pub mod wire;
