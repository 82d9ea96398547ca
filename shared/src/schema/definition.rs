//! How a table is described, once for all dialects.

use crate::db::DatabaseKind;

/// A table.
#[derive(Debug)]
pub(crate) struct TableSpec {
    /// The name without the prefix.
    pub name: &'static str,
    pub columns: &'static [ColumnSpec],
    /// The primary key's columns; empty where there is none.
    pub key: &'static [&'static str],
    pub indexes: &'static [IndexSpec],
}

/// An index that is no constraint.
#[derive(Debug)]
pub(crate) struct IndexSpec {
    pub columns: &'static [&'static str],
    /// The one dialect that has it; `None`: all.
    pub only: Option<DatabaseKind>,
    /// The rows that are in it, where the dialect has partial indexes; a dialect without them has no such index.
    pub filter: Option<&'static str>,
}

/// A column. Built as nullable and without a default, as most of the seed's are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ColumnSpec {
    pub name: &'static str,
    pub column_type: ColumnType,
    pub nullable: bool,
    pub default: Default,
    /// The one dialect that has it; `None`: all.
    pub only: Option<DatabaseKind>,
}

/// The seed's types, and what SymStream's own columns need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ColumnType {
    Varchar(u16),
    Char(u8),
    /// `longvarchar`: text without a limit.
    LongVarchar,
    /// An integer that counts or orders.
    Int,
    /// An integer that identifies or measures, and may outgrow 32 bits.
    BigInt,
    /// `booleanint`: 0 or 1.
    BooleanInt,
    /// A big integer that the database counts up by itself; never given twice.
    Identity,
    Timestamp,
    Bytes,
    /// PostgreSQL's transaction id.
    TransactionId,
}

/// What a column holds when an insert leaves it out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Default {
    None,
    Int(i64),
    Text(&'static str),
    /// The time of the insert.
    Now,
    /// The transaction of the insert, where the dialect can say it cheaply; else none.
    CurrentTransaction,
}

impl ColumnSpec {
    const fn new(name: &'static str, column_type: ColumnType) -> Self {
        Self {
            name,
            column_type,
            nullable: true,
            default: Default::None,
            only: None,
        }
    }

    pub const fn varchar(name: &'static str, width: u16) -> Self {
        Self::new(name, ColumnType::Varchar(width))
    }

    pub const fn char(name: &'static str, width: u8) -> Self {
        Self::new(name, ColumnType::Char(width))
    }

    pub const fn long_varchar(name: &'static str) -> Self {
        Self::new(name, ColumnType::LongVarchar)
    }

    pub const fn int(name: &'static str) -> Self {
        Self::new(name, ColumnType::Int)
    }

    pub const fn big_int(name: &'static str) -> Self {
        Self::new(name, ColumnType::BigInt)
    }

    pub const fn boolean_int(name: &'static str) -> Self {
        Self::new(name, ColumnType::BooleanInt)
    }

    pub const fn identity(name: &'static str) -> Self {
        Self::new(name, ColumnType::Identity).required()
    }

    pub const fn timestamp(name: &'static str) -> Self {
        Self::new(name, ColumnType::Timestamp)
    }

    pub const fn bytes(name: &'static str) -> Self {
        Self::new(name, ColumnType::Bytes)
    }

    pub const fn transaction_id(name: &'static str) -> Self {
        Self::new(name, ColumnType::TransactionId)
    }

    /// The column refuses nulls.
    pub const fn required(mut self) -> Self {
        self.nullable = false;
        self
    }

    pub const fn default(mut self, default: Default) -> Self {
        self.default = default;
        self
    }

    pub const fn only(mut self, kind: DatabaseKind) -> Self {
        self.only = Some(kind);
        self
    }
}

impl TableSpec {
    /// The columns that the table has on a dialect.
    pub fn columns(&self, kind: DatabaseKind) -> impl Iterator<Item = &ColumnSpec> {
        self.columns
            .iter()
            .filter(move |column| column.only.is_none_or(|only| only == kind))
    }

    /// The indexes that the table has on a dialect.
    pub fn indexes(&self, kind: DatabaseKind) -> impl Iterator<Item = &IndexSpec> {
        self.indexes
            .iter()
            .filter(move |index| index.only.is_none_or(|only| only == kind))
            .filter(move |index| index.filter.is_none() || kind.capabilities().partial_indexes)
    }
}
