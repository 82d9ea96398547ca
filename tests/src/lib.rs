//! The harness: real servers, the real binaries, the clinic.
//!
//! Every test starts what it needs on free ports of the loopback interface, in a temporary folder of its own, and
//! ends it when it is dropped, also when it panics. `SYM_TEST_KEEP=1` keeps the folder; a failed test keeps it
//! always and says where it is.

pub mod binaries;
pub mod clinic;
pub mod compare;
pub mod configuration;
pub mod database;
pub mod engine;
pub mod eventually;
pub mod family;
pub mod firings;
pub mod folder;
pub mod measure;
pub mod network;
pub mod pair;
pub mod port;
pub mod process;
pub mod ring;
pub mod seeds;
pub mod server;
pub mod stored;
pub mod usage;
pub mod writer;
