//! Initial loads of other nodes while this one goes on being written, and tables that are sent again (`R` events).
//!
//! A load reads one snapshot, and its number is a batch id given out with it: batches with lower ids hold what the snapshot
//! holds too, those with higher ids what came later (`symstream_shared::wire`, `load.rs`). [`life`] has the steps.

mod audience;
mod book;
mod cancel;
mod extract;
mod finish;
mod life;
mod opening;
mod order;
mod plan;
mod plan_api;
mod progress;
mod reload;
mod requests;
mod rows;
mod sender;

#[cfg(test)]
mod tests;

pub(crate) use audience::{Reservations, reserve};
pub(crate) use book::interrupt_above;
pub(crate) use life::run;
pub(crate) use opening::{Opened, Opening, Openings, channel, make_patient};
pub(crate) use reload::{Reload, ReloadError};
