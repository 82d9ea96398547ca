//! Rows of results.

use super::error::DbError;
use crate::cell::Cell;

/// One row of a result.
#[derive(Debug, Clone, PartialEq)]
pub struct Row(pub Vec<Cell>);

impl Row {
    fn unexpected(&self, index: usize, wanted: &str) -> DbError {
        DbError::unexpected(format!(
            "column {} of the result is {}, not {wanted}",
            index + 1,
            self.0.get(index).map_or("missing", Cell::kind)
        ))
    }

    /// The column at `index` (from 0) as an integer; a text of digits is one too.
    ///
    /// # Errors
    /// [`DbError`] when the value is null or no integer.
    pub fn int(&self, index: usize) -> Result<i64, DbError> {
        self.opt_int(index)?
            .ok_or_else(|| self.unexpected(index, "an integer"))
    }

    /// The same; `None` for null.
    ///
    /// # Errors
    /// [`DbError`] when the value is no integer.
    pub fn opt_int(&self, index: usize) -> Result<Option<i64>, DbError> {
        match self.0.get(index) {
            Some(Cell::Null) => Ok(None),
            Some(Cell::Int(number)) => Ok(Some(*number)),
            Some(Cell::Text(text)) => text
                .trim()
                .parse()
                .map(Some)
                .map_err(|_| self.unexpected(index, "an integer")),
            _ => Err(self.unexpected(index, "an integer")),
        }
    }

    /// The column at `index` as text.
    ///
    /// # Errors
    /// [`DbError`] when the value is null or binary.
    pub fn text(&self, index: usize) -> Result<String, DbError> {
        self.opt_text(index)?
            .ok_or_else(|| self.unexpected(index, "text"))
    }

    /// The same; `None` for null.
    ///
    /// # Errors
    /// [`DbError`] when the value is binary and not UTF-8.
    pub fn opt_text(&self, index: usize) -> Result<Option<String>, DbError> {
        match self.0.get(index) {
            Some(Cell::Null) => Ok(None),
            Some(Cell::Bytes(bytes)) => String::from_utf8(bytes.clone())
                .map(Some)
                .map_err(|_| self.unexpected(index, "text")),
            Some(cell) => Ok(cell.to_text()),
            None => Err(self.unexpected(index, "text")),
        }
    }

    /// The column at `index` as bytes; the bytes of a text.
    ///
    /// # Errors
    /// [`DbError`] when the value is null or a number.
    pub fn bytes(&self, index: usize) -> Result<Vec<u8>, DbError> {
        match self.0.get(index) {
            Some(Cell::Bytes(bytes)) => Ok(bytes.clone()),
            Some(Cell::Text(text)) => Ok(text.clone().into_bytes()),
            _ => Err(self.unexpected(index, "binary data")),
        }
    }
}
