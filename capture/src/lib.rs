//! skeleton

mod cutter;
mod data_runs;
pub mod decode;
mod dialect;
pub mod sync_triggers;
