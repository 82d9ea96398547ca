//! Sets of values as a table, on PostgreSQL: `unnest` of one array for each column.

use symstream_shared::catalog::ColumnDef;
use symstream_shared::cell::Cell;
use symstream_shared::db::{DbError, Param, Sql};
use symstream_shared::logical::LogicalType;

/// `rows` as a derived table `r` with the columns `i` (the row's number from 1), `c0`, `c1`… as text.
pub(crate) fn row_set(rows: &[Vec<Cell>], width: usize) -> (String, Vec<Param>) {
    let arrays = vec!["cast(? as text[])"; width].join(", ");
    let names: Vec<String> = (0..width).map(|column| format!("c{column}")).collect();
    let params = (0..width)
        .map(|column| Param::TextArray(rows.iter().map(|row| row[column].to_text()).collect()))
        .collect();
    (
        format!("unnest({arrays}) with ordinality as r({}, i)", names.join(", ")),
        params,
    )
}

/// The text `expression` as a value that compares with the table's column as the column's own values do, by its
/// index where it has one.
pub(crate) async fn typed(
    _sql: &mut dyn Sql,
    _table: (Option<&str>, &str),
    _column: &str,
    logical: LogicalType,
    expression: &str,
) -> Result<String, DbError> {
    let of_type = |name: &str| format!("cast({expression} as {name})");
    Ok(match logical {
        LogicalType::Bool => of_type("boolean"),
        LogicalType::Int => of_type("bigint"),
        LogicalType::Float32 => of_type("real"),
        LogicalType::Float64 => of_type("double precision"),
        LogicalType::Decimal => of_type("numeric"),
        LogicalType::Bytes => format!("decode({expression}, 'hex')"),
        LogicalType::Date => of_type("date"),
        LogicalType::Time => of_type("time"),
        LogicalType::TimeTz => of_type("timetz"),
        LogicalType::Timestamp => of_type("timestamp"),
        LogicalType::TimestampTz => of_type("timestamptz"),
        LogicalType::Interval => of_type("interval"),
        LogicalType::Uuid => of_type("uuid"),
        LogicalType::Json => of_type("jsonb"),
        LogicalType::Text
        | LogicalType::Enum
        | LogicalType::Bits
        | LogicalType::Array
        | LogicalType::Any
        | LogicalType::Other => expression.to_owned(),
    })
}

/// Whether a column's values are compared as what they are, rather than as text.
pub(crate) fn compares_typed(logical: LogicalType) -> bool {
    !matches!(
        logical,
        LogicalType::Enum | LogicalType::Bits | LogicalType::Array | LogicalType::Any | LogicalType::Other
    )
}

/// Any column as text, to compare with `r`'s columns.
pub(crate) fn comparable_text(expression: &str) -> String {
    format!("cast({expression} as text)")
}

/// A table's column as `r` would have it: the text that is captured of it.
pub(crate) fn captured(column: &ColumnDef, value: &str) -> String {
    match column.logical {
        LogicalType::Bool => format!("case when {value} then '1' when not {value} then '0' end"),
        LogicalType::Bytes => format!("encode({value}, 'hex')"),
        _ => format!("cast({value} as text)"),
    }
}

/// An expression as the bytes of its text, so that nothing but the same text equals it.
pub(crate) fn exact_text(expression: &str) -> String {
    format!("cast({expression} as text) collate \"C\"")
}

/// Whether the column, `own` as it stands and as captured, has the value `asked`.
pub(crate) async fn key_equals(
    sql: &mut dyn Sql,
    table: (Option<&str>, &str),
    column: &ColumnDef,
    own: (&str, &str),
    asked: &str,
) -> Result<Option<String>, DbError> {
    // JSON that is equal as such may be another text.
    Ok(Some(
        if compares_typed(column.logical) && column.logical != LogicalType::Json {
            format!(
                "{} = {}",
                own.0,
                typed(sql, table, &column.name, column.logical, asked).await?
            )
        } else {
            format!("{} = {asked}", own.1)
        },
    ))
}
