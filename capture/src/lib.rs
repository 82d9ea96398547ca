//! The capture agent: everything that happens at a source.
//!
//! Owns the triggers and `sym_trigger_hist`, reading `sym_data`, cutting and publishing batches, recording what became
//! of them, initial loads, heartbeat and purge. Refuses to decide which node gets a row: that is the router's, by the
//! answers that travel with a batch.

mod agent;
mod answers;
mod backlog;
mod batch_rows;
mod batch_store;
mod configuration;
mod cutter;
mod data_runs;
pub mod decode;
mod dialect;
mod error;
mod heartbeat;
mod links;
mod load;
mod local_time;
mod loops;
mod parameters;
mod part_encoder;
mod publisher;
mod purge;
mod reader;
mod recorder;
mod registration;
mod reload_need;
mod request;
mod restored;
mod source;
mod spool;
mod state;
mod supervision;
pub mod sync_triggers;
#[cfg(test)]
mod testing;
mod triggers;

pub use agent::Agent;
pub use error::Error;
