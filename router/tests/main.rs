//! The router with a real nats-server, and SQLite for the registration server's tables.

mod holding;
mod registrar;
mod routing;
mod takeover;
mod world;
