//! A field's text as a SQL literal of its column.

use super::encoding;
use super::sqlite_number::{keeps_decimal, number, real};
use symstream_shared::db::DatabaseKind;
use symstream_shared::ddl::{self, Dialect, FieldForm};
use symstream_shared::logical::LogicalType;

/// The literal that puts a field's text into a column of a type.
///
/// # Errors
/// Why the text is no value of the column.
pub(crate) fn literal(
    dialect: &dyn Dialect,
    logical: LogicalType,
    text: &str,
    form: FieldForm,
) -> Result<String, String> {
    use LogicalType as L;
    let is_sqlite = dialect.kind() == DatabaseKind::Sqlite;
    match form {
        FieldForm::Hexadecimal => {
            let bytes = encoding::hexadecimal(text.trim()).ok_or("the value is not hexadecimal")?;
            return of_bytes(dialect, is_sqlite || logical == L::Bytes, bytes);
        }
        FieldForm::EncodedText => {
            let bytes = encoding::base64(text).ok_or("the value is not base64")?;
            return of_bytes(dialect, !is_sqlite && logical == L::Bytes, bytes);
        }
        FieldForm::Text if is_sqlite || logical != L::Bytes => return Ok(of_text(dialect, text)),
        FieldForm::Text => return Ok(dialect.bytes(text.as_bytes())),
        FieldForm::Integer | FieldForm::Double if is_sqlite => {
            return number(text.trim(), form == FieldForm::Integer);
        }
        FieldForm::Plain | FieldForm::Integer | FieldForm::Double => {}
    }
    match logical {
        L::Text | L::Enum | L::Json | L::Any | L::Other | L::Array => Ok(of_text(dialect, text)),
        L::Bytes => encoding::base64(text)
            .map(|bytes| dialect.bytes(&bytes))
            .ok_or_else(|| "the value is not base64".into()),
        _ if text.trim().is_empty() => Err("the value is empty; null is written xsi:nil=\"true\"".into()),
        L::Bool => match ddl::boolean(text) {
            Some(value) => Ok(dialect.boolean(value).to_owned()),
            // SQLite's columns hold other numbers, too.
            None if is_sqlite && text.trim().parse::<f64>().is_ok() => Ok(of_text(dialect, text.trim())),
            None => Err(format!("{text:?} is neither true nor false")),
        },
        // MySQL's boolean is a small integer.
        L::Int if matches!(text.trim(), "true" | "false") => Ok(i32::from(text.trim() == "true").to_string()),
        L::Decimal if is_sqlite && !keeps_decimal(text.trim()) => {
            Err("the number has more digits than SQLite keeps".into())
        }
        L::Float32 | L::Float64 | L::Decimal if is_sqlite => {
            Ok(real(text.trim()).unwrap_or_else(|| of_text(dialect, text.trim())))
        }
        L::Bits if dialect.kind() == DatabaseKind::Mysql => match text.trim() {
            bits if bits.bytes().all(|bit| matches!(bit, b'0' | b'1')) => Ok(format!("b'{bits}'")),
            _ => Err("the value is no string of bits".into()),
        },
        // A moment is written in UTC, which is what a time without a zone means here.
        L::Timestamp | L::TimestampTz if logical == L::Timestamp || dialect.kind() == DatabaseKind::Mysql => {
            let text = text.trim();
            Ok(of_text(dialect, text.strip_suffix("+00").unwrap_or(text)))
        }
        _ => Ok(of_text(dialect, text.trim())),
    }
}

/// A text; one with a NUL would end SQLite's statement.
fn of_text(dialect: &dyn Dialect, text: &str) -> String {
    if dialect.kind() == DatabaseKind::Sqlite && text.contains('\0') {
        return format!("cast({} as text)", dialect.bytes(text.as_bytes()));
    }
    dialect.kind().literal(text)
}

/// The bytes themselves, or the text that they are.
fn of_bytes(dialect: &dyn Dialect, as_bytes: bool, bytes: Vec<u8>) -> Result<String, String> {
    if as_bytes {
        return Ok(dialect.bytes(&bytes));
    }
    let text = String::from_utf8(bytes).map_err(|_| "the value is no UTF-8")?;
    Ok(of_text(dialect, &text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_their_columns_want_them() {
        let of = |kind, logical, text| literal(ddl::dialect(kind), logical, text, FieldForm::Plain);
        assert_eq!(
            of(DatabaseKind::Postgres, LogicalType::Text, " a'b ").as_deref(),
            Ok("' a''b '")
        );
        assert_eq!(
            of(DatabaseKind::Sqlite, LogicalType::Int, " 5\n").as_deref(),
            Ok("'5'")
        );
        assert_eq!(
            of(DatabaseKind::Postgres, LogicalType::Bool, "1").as_deref(),
            Ok("true")
        );
        assert_eq!(
            of(DatabaseKind::Mysql, LogicalType::Bool, "false").as_deref(),
            Ok("0")
        );
        assert_eq!(
            of(DatabaseKind::Postgres, LogicalType::Bytes, "AP8=").as_deref(),
            Ok("'\\x00ff'")
        );
        assert_eq!(
            of(DatabaseKind::Mysql, LogicalType::Bytes, "").as_deref(),
            Ok("x''")
        );
        assert_eq!(
            of(DatabaseKind::Mysql, LogicalType::Bits, "0101").as_deref(),
            Ok("b'0101'")
        );
        assert_eq!(
            of(
                DatabaseKind::Mysql,
                LogicalType::Timestamp,
                "2024-02-29 12:00:00+00"
            )
            .as_deref(),
            Ok("'2024-02-29 12:00:00'")
        );
        assert_eq!(
            of(DatabaseKind::Sqlite, LogicalType::Decimal, "-0.50").as_deref(),
            Ok("'-0.50'")
        );
        assert!(
            of(
                DatabaseKind::Sqlite,
                LogicalType::Decimal,
                "1234567890123456.7891"
            )
            .is_err()
        );
        assert!(of(DatabaseKind::Sqlite, LogicalType::Int, "").is_err());
        assert!(of(DatabaseKind::Sqlite, LogicalType::Bytes, "?").is_err());
        assert!(of(DatabaseKind::Mysql, LogicalType::Bits, "1' or").is_err());
    }

    #[test]
    fn a_form_goes_before_the_column() {
        let of = |kind, logical, text, form| literal(ddl::dialect(kind), logical, text, form);
        let sqlite = |logical, text, form| of(DatabaseKind::Sqlite, logical, text, form);
        for (logical, text, form, want) in [
            (LogicalType::Bytes, "00FF", FieldForm::Hexadecimal, "x'00ff'"),
            (LogicalType::Text, "6100", FieldForm::Hexadecimal, "x'6100'"),
            (
                LogicalType::Text,
                "YQA=",
                FieldForm::EncodedText,
                "cast(x'6100' as text)",
            ),
            (LogicalType::Bytes, "a", FieldForm::Text, "'a'"),
            (LogicalType::Int, "", FieldForm::Text, "''"),
            (LogicalType::Any, "5", FieldForm::Integer, "5"),
            (LogicalType::Any, "5", FieldForm::Double, "5.0"),
            (LogicalType::Any, "-Infinity", FieldForm::Double, "-9e999"),
        ] {
            assert_eq!(sqlite(logical, text, form).as_deref(), Ok(want), "{text}");
        }
        assert!(sqlite(LogicalType::Any, "5; drop", FieldForm::Integer).is_err());
        let postgres = |logical, text, form| of(DatabaseKind::Postgres, logical, text, form);
        assert_eq!(
            postgres(LogicalType::Int, "5", FieldForm::Integer).as_deref(),
            Ok("'5'")
        );
        assert_eq!(
            postgres(LogicalType::Bytes, "a", FieldForm::Text).as_deref(),
            Ok("'\\x61'")
        );
        assert_eq!(
            postgres(LogicalType::Text, "07", FieldForm::Hexadecimal).as_deref(),
            Ok("'\u{7}'")
        );
    }
}
