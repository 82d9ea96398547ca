//! An application whose tables refer to each other, to themselves and in a circle, and that writes them at random.
//!
//! Rows belong to pools: one writer writes a pool's rows, and they refer to rows of the same pool only. So several
//! nodes may write at once, each its own pools, and everything has to be equal in the end.

mod fill;
mod tables;
mod writes;

pub use fill::{Sizes, fill};
pub use tables::{CHANNELS, PARTS, become_equal, configuration, ddl, equal};
pub use writes::Writes;

/// Rows of each table that a pool may have.
pub const POOL: u32 = 10_000;
