//! The loader: applies the batches of one node's lanes to its database, and acknowledges them.
//!
//! Owns `sym_incoming_batch`, its history, the lanes' positions and the spool. Refuses to know how batches
//! came about and what subjects they came on.
//!
//! **Invariant:** a batch's rows, its record and its lane's new position are committed in one transaction,
//! over the position that the batch's chain names; only then is its message acknowledged.

mod agent;
mod apply;
mod attempt;
mod batch;
mod channel;
mod contact;
mod dialect;
mod error;
mod freshness;
mod group;
mod holds;
mod hole;
mod initial_load;
mod intake;
mod lane;
mod lasting;
mod ledger;
mod own_changes;
mod patience;
mod policy;
mod purge;
mod round;
mod runs;
mod spool;
mod statement;
mod status;
mod target;
mod term;
mod turns;
mod values;
mod wait;

pub use agent::Agent;
pub use batch::{BatchKey, BatchLoader, Content, LoadError};
pub use error::Error;
