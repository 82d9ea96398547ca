//! Scenarios: real databases, a real nats-server, the real binaries.

mod bookkeeping;
mod clear_errors;
mod clinic;
mod columns;
mod faults;
mod following;
mod hard_cases;
mod harness;
mod loads;
mod random_configuration;
mod refused_row;
mod runtime_columns;
mod tables;
mod tiers;
mod transactions;
mod values;
