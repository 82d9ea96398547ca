//! The loader against real databases.

mod ledger;
mod node;
mod rows;
mod values;
