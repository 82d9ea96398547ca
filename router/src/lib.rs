//! The router: captured changes in, each node's lanes out. On the registration server's side also the
//! registrar: the configuration's versions, and who may take part.
//!
//! **Invariant:** nothing here opens a node's database to decide where a change goes; the decision depends on
//! the message, the configuration that it names and the lanes' tails alone, so any router may make it again. Only
//! whether the source is still registered is asked of the newest configuration (`removed.rs` says why that is right).

mod broadcast;
mod configuration_cache;
mod decide;
mod error;
mod forgotten;
mod group_ends;
mod held;
mod lane_output;
mod lanes;
mod outputs;
mod part_reader;
mod partition;
mod put_out;
mod registrar;
mod removed;
mod report;
mod route;
mod selector;
mod service;
mod target_tables;

pub use error::Error;
pub use service::{RelayService, Service};
