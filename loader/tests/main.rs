//! The loader against real databases.

mod agent;
mod ledger;
mod node;
mod rows;
mod values;
