//! A value as a field's text.

use super::encoding;
use symstream_shared::catalog::ColumnDef;
use symstream_shared::cell::Cell;
use symstream_shared::ddl::{Field, FieldForm};
use symstream_shared::logical::LogicalType;

/// The field of a column's value. Its form is [`FieldForm::Plain`] unless the database's column would make something
/// else of the plain text: SQLite's columns hold values of any type.
pub(crate) fn field(column: &ColumnDef, cell: &Cell) -> Field {
    let (text, form) = match cell {
        Cell::Null => (None, FieldForm::Plain),
        Cell::Text(text) => text_field(column.logical, text),
        Cell::Bytes(bytes) if column.logical == LogicalType::Bytes => {
            (Some(encoding::to_base64(bytes)), FieldForm::Plain)
        }
        Cell::Bytes(bytes) => (Some(encoding::to_hexadecimal(bytes)), FieldForm::Hexadecimal),
        Cell::Int(number) => (Some(number.to_string()), integer_form(column.logical)),
        Cell::Real(number) => (Some(real(*number)), real_form(column.logical)),
    };
    Field {
        name: column.name.clone(),
        text,
        form,
    }
}

fn text_field(logical: LogicalType, text: &str) -> (Option<String>, FieldForm) {
    use LogicalType as L;
    let is_plain = match logical {
        L::Text | L::Enum | L::Json | L::Any | L::Other | L::Array => true,
        L::Bytes => false,
        L::Bool => matches!(text, "0" | "1"),
        // SQLite has no word for it, so that it would become the number.
        L::Float32 | L::Float64 if text.ends_with("Infinity") => false,
        // White space around these means nothing in a file.
        _ => !text.is_empty() && text.trim() == text,
    };
    let form = if is_plain {
        FieldForm::Plain
    } else {
        FieldForm::Text
    };
    (Some(text.to_owned()), form)
}

/// An integer in a column that would take its text for a text, or for binary data, says what it is.
fn integer_form(logical: LogicalType) -> FieldForm {
    match logical {
        LogicalType::Any | LogicalType::Bytes | LogicalType::Text => FieldForm::Integer,
        _ => FieldForm::Plain,
    }
}

/// A number of floating point says so where the column is not for such.
fn real_form(logical: LogicalType) -> FieldForm {
    match logical {
        LogicalType::Float32 | LogicalType::Float64 | LogicalType::Decimal => FieldForm::Plain,
        _ => FieldForm::Double,
    }
}

/// The shortest text that is read as the same number.
pub(crate) fn real(number: f64) -> String {
    if number.is_nan() {
        "NaN".to_owned()
    } else if number.is_infinite() {
        if number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned()
    } else if number == 0.0 || (1e-5..1e15).contains(&number.abs()) {
        number.to_string()
    } else {
        format!("{number:e}")
    }
}

/// The same for a number of 32 bits.
pub(crate) fn single(number: f32) -> String {
    if number.is_finite() && number != 0.0 && !(1e-5..1e15).contains(&number.abs()) {
        format!("{number:e}")
    } else if number.is_finite() {
        number.to_string()
    } else {
        real(f64::from(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_as_short_as_it_can_be() {
        for (number, text) in [
            (0.1, "0.1"),
            (5.0, "5"),
            (-0.0, "-0"),
            (1e300, "1e300"),
            (5e-324, "5e-324"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(real(number), text);
        }
    }

    #[test]
    fn what_sqlite_would_not_give_back_says_what_it_is() {
        let form = |logical, text: &str| text_field(logical, text).1;
        assert_eq!(form(LogicalType::Text, " "), FieldForm::Plain);
        assert_eq!(form(LogicalType::Bytes, "a"), FieldForm::Text);
        assert_eq!(form(LogicalType::Int, ""), FieldForm::Text);
        assert_eq!(form(LogicalType::Date, "2024-02-29"), FieldForm::Plain);
        assert_eq!(form(LogicalType::Bool, "true"), FieldForm::Text);
        assert_eq!(integer_form(LogicalType::Any), FieldForm::Integer);
        assert_eq!(integer_form(LogicalType::Date), FieldForm::Plain);
        assert_eq!(real_form(LogicalType::Date), FieldForm::Double);
        assert_eq!(real_form(LogicalType::Decimal), FieldForm::Plain);
    }
}
