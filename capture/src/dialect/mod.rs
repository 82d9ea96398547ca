//! What differs from database to database when changes come out of it.

pub(crate) mod capturing;
mod mysql;
mod postgres;
pub(crate) mod reading;
mod sqlite;
pub(crate) mod trigger;
