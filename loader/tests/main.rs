//! The loader against real databases.

mod agent;
mod ledger;
mod node;
mod origin;
mod rows;
mod values;
