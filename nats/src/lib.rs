//! Subjects, streams, consumers and headers on NATS JetStream.
//!
//! Owns everything that is spelled in NATS's terms; no other crate names a subject, a stream or a JetStream
//! type. Refuses to know databases and what the bodies mean.
//!
//! **Invariant:** every publish that matters is either fenced by the expected last sequence of its subject
//! (captured batches, tails) or harmless when repeated (lanes, reports, statuses), because a publish that
//! failed may still be stored later (`spec/messaging.md`, fact 2).

mod bus;
mod captured;
mod control;
mod delivery;
mod error;
mod forget;
mod free;
mod given_out;
mod group;
mod header;
mod hold;
mod lane;
mod report;
mod streams;
mod subject;
mod uninstall;

pub use bus::Bus;
pub use captured::{CapturedPublisher, PublishedPart};
pub use control::{ConfigurationChanges, HeartbeatCall, Heartbeats, RegistrationCall, Registrations};
pub use delivery::{Deliveries, Delivery};
pub use error::BusError;
pub use free::{FreeCall, Frees};
pub use group::GroupConsumer;
pub use header::{BatchType, PartHeader};
pub use hold::{CaptureStream, CapturedMessage, Hold};
pub use lane::{LaneId, Tail};
pub use report::Report;
pub use streams::{LaneConsumer, PARTITION_COUNT};

/// The most that one message's body may be: half of what a broker takes by default, so that headers fit too.
pub const BODY_BYTES_MAX: usize = 512 * 1024;
