//! The loader against real databases.

mod agent;
mod fixture;
mod following;
mod ledger;
mod node;
mod origin;
mod rows;
mod statement;
mod values;
