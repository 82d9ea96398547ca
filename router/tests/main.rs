//! The router with a real nats-server, and SQLite for the registration server's tables.

mod edits;
mod groups;
mod heartbeat;
mod holding;
mod loads;
mod registrar;
mod registration;
mod removed;
mod requests;
mod routing;
mod takeover;
mod targets;
mod world;
