//! Tables as such: their columns, keys, references and indexes, apart from any dialect.
//!
//! Owns the model, its XML (the DdlUtils/Torque database format), the SQL that makes the tables in each dialect, and
//! the reading of all that from a live database. Refuses to know rows and who wants the tables.

mod column_type;
mod create;
mod dialect;
mod existing;
mod export;
mod model;
mod native;
mod read;
mod render;
mod xml;

pub use column_type::ColumnType;
pub use create::{Creation, create, create_missing, described};
pub use dialect::{Dialect, of as dialect};
pub use export::{ExportTable, export};
pub use model::{Column, ForeignKey, Index, ReferenceAction, Table};
pub use native::NativeType;
pub use read::{Described, read};
pub use render::{Statements, boolean, statements};
pub use xml::{
    DataRow, DatabaseReader, Field, FieldForm, Item, XmlError, document_end, document_start, escape,
    is_xml_text, write_table,
};

use crate::db::DbError;

/// Why tables can not be described or made.
#[derive(Debug, thiserror::Error)]
pub enum DdlError {
    /// The text is no database description.
    #[error(transparent)]
    Xml(#[from] XmlError),
    /// A table can not be made, is there and different, or is not there.
    #[error("table {table}: {why}")]
    Table {
        /// The table.
        table: String,
        /// Why not.
        why: String,
    },
    /// A database has no equivalent for what is described.
    #[error("{0}")]
    Unsupported(String),
    /// The database can not be reached.
    #[error(transparent)]
    Database(#[from] DbError),
}
