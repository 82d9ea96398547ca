//! One column's value in a file: what it looks like there, and as SQL.

pub(crate) mod encoding;
mod literal;
mod of_cell;
mod sqlite_number;

pub(crate) use literal::literal;
pub(crate) use of_cell::{field, real, single};
