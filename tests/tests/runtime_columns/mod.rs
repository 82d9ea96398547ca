//! Each column of the runtime tables (seed 002, 3.2) by what stands in it after real work, on each dialect.

mod batches;
mod claims;
mod failures;
mod histories;
mod requests;
