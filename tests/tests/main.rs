//! Scenarios: real databases, a real nats-server, the real binaries.

mod harness;
