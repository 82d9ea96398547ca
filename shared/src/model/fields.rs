//! The fields of one row of a configuration table, read with the row's place in every error.

use super::error::ModelError;
use super::expression::ExpressionError;
use crate::db::time_ms;
use crate::id::InvalidId;
use crate::schema::ColumnType;
use crate::wire::ConfigurationTable;

use super::travel::TravelTable;

/// One row. A column that an older sender does not know reads as null.
pub(super) struct Fields<'a> {
    table: &'a ConfigurationTable,
    row: &'a [Option<String>],
    key: String,
}

impl<'a> Fields<'a> {
    /// The rows of a table.
    pub fn rows(table: &'a ConfigurationTable, key: &'a [&'a str]) -> impl Iterator<Item = Fields<'a>> {
        table.rows.iter().map(move |row| {
            let mut fields = Self {
                table,
                row,
                key: String::new(),
            };
            let name = |column: &&str| format!("{column}={}", fields.raw(column).unwrap_or("null"));
            fields.key = key.iter().map(name).collect::<Vec<_>>().join(" ");
            fields
        })
    }

    fn raw(&self, column: &str) -> Option<&'a str> {
        let index = self.table.columns.iter().position(|name| name == column)?;
        self.row.get(index)?.as_deref()
    }

    /// The error that `column` is wrong.
    pub fn wrong(&self, column: &str, why: impl Into<String>) -> ModelError {
        ModelError::Value {
            table: self.table.name.clone(),
            key: self.key.clone(),
            column: column.to_owned(),
            why: why.into(),
        }
    }

    /// The error that an expression is not understood.
    pub fn not_understood(&self, column: &'static str, source: ExpressionError) -> ModelError {
        ModelError::Expression {
            table: self.table.name.clone(),
            key: self.key.clone(),
            column,
            source,
        }
    }

    /// The text; `None` where it is null or blank.
    pub fn opt_text(&self, column: &str) -> Option<String> {
        self.raw(column)
            .filter(|text| !text.trim().is_empty())
            .map(str::to_owned)
    }

    /// The text, which has to be there.
    pub fn text(&self, column: &str) -> Result<String, ModelError> {
        self.opt_text(column)
            .ok_or_else(|| self.wrong(column, "it is empty"))
    }

    /// The id; `None` where it is null or blank.
    pub fn opt_id<T: TryFrom<String, Error = InvalidId>>(
        &self,
        column: &str,
    ) -> Result<Option<T>, ModelError> {
        self.opt_text(column)
            .map(T::try_from)
            .transpose()
            .map_err(|err| self.wrong(column, err.why))
    }

    /// The id, which has to be there.
    pub fn id<T: TryFrom<String, Error = InvalidId>>(&self, column: &str) -> Result<T, ModelError> {
        T::try_from(self.text(column)?).map_err(|err| self.wrong(column, err.why))
    }

    /// The number, or `default` where it is null.
    pub fn number(&self, column: &str, default: i64) -> Result<i64, ModelError> {
        self.raw(column).map_or(Ok(default), |text| {
            text.trim()
                .parse()
                .map_err(|_| self.wrong(column, format!("{text:?} is no integer")))
        })
    }

    /// The number, which has to be at least 1, or `default` where it is null.
    pub fn count(&self, column: &str, default: i64) -> Result<u64, ModelError> {
        let number = self.number(column, default)?;
        u64::try_from(number)
            .ok()
            .filter(|count| *count > 0)
            .ok_or_else(|| self.wrong(column, format!("{number} is not at least 1")))
    }

    /// The boolean, or `default` where it is null.
    pub fn flag(&self, column: &str, default: bool) -> Result<bool, ModelError> {
        Ok(self.number(column, i64::from(default))? != 0)
    }

    /// The time in milliseconds since 1970.
    pub fn opt_time(&self, column: &str) -> Result<Option<i64>, ModelError> {
        self.opt_text(column)
            .map(|text| {
                time_ms(&text).ok_or_else(|| {
                    self.wrong(column, format!("{text:?} is no time like 2026-01-31 12:00:00"))
                })
            })
            .transpose()
    }

    /// Checks every value against its column's type, so that any node's database will take the row.
    pub fn check(&self, travel: &TravelTable) -> Result<(), ModelError> {
        for column in &travel.columns {
            let value = self.raw(column.name);
            if value.is_none()
                && !column.nullable
                && self.table.columns.iter().any(|name| name == column.name)
            {
                return Err(self.wrong(column.name, "it is null"));
            }
            match column.column_type {
                ColumnType::Int | ColumnType::BigInt | ColumnType::BooleanInt => {
                    self.number(column.name, 0)?;
                }
                ColumnType::Timestamp => {
                    self.opt_time(column.name)?;
                }
                ColumnType::Varchar(width)
                    if value.is_some_and(|text| text.chars().count() > usize::from(width)) =>
                {
                    return Err(self.wrong(column.name, format!("it is longer than {width} characters")));
                }
                _ => {}
            }
        }
        Ok(())
    }
}
