//! Parameters and results in the drivers' terms.

use super::error::DbError;
use super::kind::DatabaseKind;
use super::param::{Param, time_text};
use super::row::Row;
use crate::cell::Cell;
use sqlx::mysql::{MySqlArguments, MySqlRow};
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Column, MySql, Row as _, TypeInfo, ValueRef};

fn wrong(param: &Param) -> DbError {
    DbError::unexpected(format!(
        "a parameter of this kind fits PostgreSQL only: {param:?}"
    ))
}

fn bound<T>(result: Result<T, sqlx::error::BoxDynError>) -> Result<T, DbError> {
    result.map_err(|err| DbError::unexpected(format!("a parameter can not be sent: {err}")))
}

pub(super) fn pg_arguments(params: &[Param]) -> Result<PgArguments, DbError> {
    use sqlx::Arguments;
    let mut arguments = PgArguments::default();
    for param in params {
        bound(match param {
            Param::Null => Ok(()),
            Param::Int(number) => arguments.add(number),
            Param::Real(number) => arguments.add(number),
            Param::Text(text) => arguments.add(text),
            Param::Bytes(bytes) => arguments.add(bytes),
            Param::Time(ms) => arguments.add(time_text(*ms)),
            Param::TextArray(texts) => arguments.add(texts),
            Param::IntArray(numbers) => arguments.add(numbers),
            Param::BytesArray(values) => arguments.add(values),
        })?;
    }
    Ok(arguments)
}

pub(super) fn mysql_arguments(params: &[Param]) -> Result<MySqlArguments, DbError> {
    use sqlx::Arguments;
    let mut arguments = MySqlArguments::default();
    for param in params {
        bound(match param {
            Param::Null => arguments.add(None::<&str>),
            Param::Int(number) => arguments.add(*number),
            Param::Real(number) => arguments.add(*number),
            Param::Text(text) => arguments.add(text.as_str()),
            Param::Bytes(bytes) => arguments.add(bytes.as_slice()),
            Param::Time(ms) => arguments.add(time_text(*ms)),
            Param::TextArray(_) | Param::IntArray(_) | Param::BytesArray(_) => return Err(wrong(param)),
        })?;
    }
    Ok(arguments)
}

pub(super) fn sqlite_arguments(params: &[Param]) -> Result<SqliteArguments, DbError> {
    use sqlx::Arguments;
    let mut arguments = SqliteArguments::default();
    for param in params {
        bound(match param {
            Param::Null => arguments.add(None::<&str>),
            Param::Int(number) => arguments.add(*number),
            Param::Real(number) => arguments.add(*number),
            Param::Text(text) => arguments.add(text.clone()),
            Param::Bytes(bytes) => arguments.add(bytes.clone()),
            Param::Time(ms) => arguments.add(time_text(*ms)),
            Param::TextArray(_) | Param::IntArray(_) | Param::BytesArray(_) => return Err(wrong(param)),
        })?;
    }
    Ok(arguments)
}

fn unreadable(column: &str, what: &str) -> DbError {
    DbError::unexpected(format!(
        "result column {column} of type {what} is not read; cast it to text"
    ))
}

pub(super) fn pg_row(row: &PgRow) -> Result<Row, DbError> {
    let mut cells = Vec::with_capacity(row.len());
    for index in 0..row.len() {
        let value = row
            .try_get_raw(index)
            .map_err(|err| DbError::from_sqlx(DatabaseKind::Postgres, err))?;
        if value.is_null() {
            cells.push(Cell::Null);
            continue;
        }
        let type_info = value.type_info();
        let name = type_info.name();
        let get = |err: sqlx::Error| DbError::from_sqlx(DatabaseKind::Postgres, err);
        cells.push(match name {
            "INT8" => Cell::Int(row.try_get(index).map_err(get)?),
            "INT4" => Cell::Int(i64::from(row.try_get::<i32, _>(index).map_err(get)?)),
            "INT2" => Cell::Int(i64::from(row.try_get::<i16, _>(index).map_err(get)?)),
            "BOOL" => Cell::Int(i64::from(row.try_get::<bool, _>(index).map_err(get)?)),
            "FLOAT8" => Cell::Real(row.try_get(index).map_err(get)?),
            "TEXT" | "VARCHAR" | "CHAR" | "NAME" | "UNKNOWN" => {
                Cell::Text(row.try_get_unchecked(index).map_err(get)?)
            }
            "BYTEA" => Cell::Bytes(row.try_get(index).map_err(get)?),
            other => return Err(unreadable(row.column(index).name(), other)),
        });
    }
    Ok(Row(cells))
}

pub(super) fn mysql_row(row: &MySqlRow) -> Result<Row, DbError> {
    let mut cells = Vec::with_capacity(row.len());
    for index in 0..row.len() {
        let get = |err: sqlx::Error| DbError::from_sqlx(DatabaseKind::Mysql, err);
        let value = row.try_get_raw(index).map_err(get)?;
        if value.is_null() {
            cells.push(Cell::Null);
            continue;
        }
        let type_info = value.type_info().into_owned();
        let name = type_info.name();
        cells.push(match name {
            "BIGINT UNSIGNED" | "INT UNSIGNED" | "SMALLINT UNSIGNED" | "TINYINT UNSIGNED"
            | "MEDIUMINT UNSIGNED" => {
                let number: u64 = row.try_get_unchecked(index).map_err(get)?;
                Cell::Int(i64::try_from(number).map_err(|_| unreadable(row.column(index).name(), name))?)
            }
            "BIGINT" | "INT" | "SMALLINT" | "TINYINT" | "MEDIUMINT" | "BOOLEAN" => {
                Cell::Int(row.try_get_unchecked(index).map_err(get)?)
            }
            "DOUBLE" => Cell::Real(row.try_get(index).map_err(get)?),
            // By its collation, not by its name: a text with a `_bin` collation is called VARBINARY here.
            _ if <str as sqlx::Type<MySql>>::compatible(&type_info) => {
                Cell::Text(row.try_get_unchecked(index).map_err(get)?)
            }
            "BLOB" | "TINYBLOB" | "MEDIUMBLOB" | "LONGBLOB" | "VARBINARY" | "BINARY" => {
                Cell::Bytes(row.try_get_unchecked(index).map_err(get)?)
            }
            other => return Err(unreadable(row.column(index).name(), other)),
        });
    }
    Ok(Row(cells))
}

pub(super) fn sqlite_row(row: &SqliteRow) -> Result<Row, DbError> {
    let mut cells = Vec::with_capacity(row.len());
    for index in 0..row.len() {
        let get = |err: sqlx::Error| DbError::from_sqlx(DatabaseKind::Sqlite, err);
        let value = row.try_get_raw(index).map_err(get)?;
        if value.is_null() {
            cells.push(Cell::Null);
            continue;
        }
        let type_info = value.type_info().into_owned();
        // The declared type may be anything; decoding unchecked asks for the value's own storage class.
        cells.push(match type_info.name() {
            "INTEGER" | "BOOLEAN" => Cell::Int(row.try_get_unchecked(index).map_err(get)?),
            "REAL" => Cell::Real(row.try_get_unchecked(index).map_err(get)?),
            "BLOB" => Cell::Bytes(row.try_get_unchecked(index).map_err(get)?),
            _ => Cell::Text(row.try_get_unchecked(index).map_err(get)?),
        });
    }
    Ok(Row(cells))
}
