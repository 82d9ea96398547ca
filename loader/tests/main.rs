//! The loader against real databases.

mod agent;
mod contact;
mod fixture;
mod following;
mod group;
mod ledger;
mod load_rows;
mod loads;
mod local_changes;
mod node;
mod origin;
mod own_tables;
mod purge;
mod rows;
mod statement;
mod values;
