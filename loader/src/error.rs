//! What a loader gives up for.

use symstream_nats::BusError;
use symstream_shared::db::DbError;
use symstream_shared::schema::InvalidPrefix;

/// What a loader gives up for: only what a person has to change. Everything else is waited out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database's settings can not work.
    #[error("database: {0}")]
    Database(DbError),
    /// NATS's settings can not work.
    #[error("nats: {0}")]
    Bus(BusError),
    /// The prefix of the `sym_` tables is not valid.
    #[error(transparent)]
    Prefix(#[from] InvalidPrefix),
}
