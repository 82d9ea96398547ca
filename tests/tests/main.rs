//! Scenarios: real databases, a real nats-server, the real binaries.

mod bookkeeping;
mod clear_errors;
mod clinic;
mod faults;
mod following;
mod harness;
mod refused_row;
mod tables;
mod transactions;
mod values;
