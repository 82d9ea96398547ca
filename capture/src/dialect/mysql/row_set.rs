//! Sets of values as a table, on MySQL and MariaDB: `json_table`.

use symstream_shared::catalog::ColumnDef;
use symstream_shared::cell::Cell;
use symstream_shared::db::{DbError, Param, Sql};
use symstream_shared::logical::LogicalType;

/// `rows` as a derived table `r` with the columns `i` (the row's number from 1), `c0`, `c1`… as text.
pub(crate) fn row_set(rows: &[Vec<Cell>], width: usize) -> (String, Vec<Param>) {
    let columns: String = (0..width)
        .map(|column| format!(", c{column} longtext character set utf8mb4 path '$.c{column}'"))
        .collect();
    // A null is a member that is missing: a JSON null would come out as the text `null` on MariaDB.
    let json: Vec<serde_json::Map<String, serde_json::Value>> = rows
        .iter()
        .map(|row| {
            row.iter()
                .enumerate()
                .filter_map(|(column, cell)| Some((format!("c{column}"), cell.to_text()?.into())))
                .collect()
        })
        .collect();
    let json = serde_json::Value::from(
        json.into_iter()
            .map(serde_json::Value::Object)
            .collect::<Vec<_>>(),
    );
    (
        format!("json_table(?, '$[*]' columns (i for ordinality{columns})) as r"),
        vec![Param::Text(json.to_string())],
    )
}

/// The text `expression` as a value that compares with the table's column as the column's own values do, by its
/// index where it has one. Two columns of different collations do not compare at all, so texts get the column's.
pub(crate) async fn typed(
    sql: &mut dyn Sql,
    table: (Option<&str>, &str),
    column: &str,
    logical: LogicalType,
    expression: &str,
) -> Result<String, DbError> {
    let of_type = |name: &str| format!("cast({expression} as {name})");
    Ok(match logical {
        LogicalType::Bool | LogicalType::Int => of_type("signed"),
        LogicalType::Decimal => of_type("decimal(65, 30)"),
        LogicalType::Float32 | LogicalType::Float64 => format!("({expression} + 0e0)"),
        LogicalType::Date => of_type("date"),
        LogicalType::Time => of_type("time(6)"),
        LogicalType::Timestamp => of_type("datetime(6)"),
        LogicalType::Bytes => format!("unhex({expression})"),
        LogicalType::TimestampTz => format!("cast(replace({expression}, '+00', '') as datetime(6))"),
        _ => match collation(sql, table, column).await? {
            Some((charset, collation)) => {
                format!("convert({expression} using {charset}) collate {collation}")
            }
            None => expression.to_owned(),
        },
    })
}

/// Whether a column's values are compared as what they are, rather than as text.
pub(crate) fn compares_typed(logical: LogicalType) -> bool {
    !matches!(
        logical,
        LogicalType::Json | LogicalType::Bits | LogicalType::Any | LogicalType::Other
    )
}

/// Any column as text, to compare with `r`'s columns.
pub(crate) fn comparable_text(expression: &str) -> String {
    format!("convert({expression} using utf8mb4) collate utf8mb4_bin")
}

/// A table's column as `r` would have it: the text that is captured of it.
pub(crate) fn captured(column: &ColumnDef, value: &str) -> String {
    match column.logical {
        // Without the zeros of `zerofill`.
        LogicalType::Bool | LogicalType::Int => format!("cast({value} + 0 as char)"),
        LogicalType::Decimal => format!("cast({value} as char)"),
        LogicalType::Float32 | LogicalType::Float64 => format!("cast({value} + 0e0 as char)"),
        // The session's time zone is UTC.
        LogicalType::TimestampTz => format!("concat({value}, '+00')"),
        LogicalType::Bits => format!("lpad(bin({value} + 0), {}, '0')", column.length.unwrap_or(1)),
        LogicalType::Bytes => format!("lower(hex({value}))"),
        _ => format!("convert({value} using utf8mb4)"),
    }
}

/// An expression as the bytes of its text, so that nothing but the same text equals it.
pub(crate) fn exact_text(expression: &str) -> String {
    format!("cast(convert({expression} using utf8mb4) as binary)")
}

/// Whether the column, `own` as it stands and as captured, has the value `asked`.
pub(crate) async fn key_equals(
    sql: &mut dyn Sql,
    table: (Option<&str>, &str),
    column: &ColumnDef,
    own: (&str, &str),
    asked: &str,
) -> Result<Option<String>, DbError> {
    Ok(match column.logical {
        // Its text has fewer digits than it has.
        LogicalType::Float32 => None,
        LogicalType::Int if column.unsigned => Some(format!("{} = cast({asked} as unsigned)", own.0)),
        logical if compares_typed(logical) => Some(format!(
            "{} = {}",
            own.0,
            typed(sql, table, &column.name, logical, asked).await?
        )),
        _ => Some(format!("{} = {}", exact_text(own.1), exact_text(asked))),
    })
}

async fn collation(
    sql: &mut dyn Sql,
    (schema, table): (Option<&str>, &str),
    column: &str,
) -> Result<Option<(String, String)>, DbError> {
    let statement = "select character_set_name, collation_name from information_schema.columns \
                     where table_schema = coalesce(?, database()) and table_name = ? and column_name = ? \
                     and collation_name is not null";
    let row = sql
        .query_opt(statement, &[schema.into(), table.into(), column.into()])
        .await?;
    let names = row
        .map(|row| Ok::<_, DbError>((row.text(0)?, row.text(1)?)))
        .transpose()?;
    Ok(names.filter(|(charset, collation)| {
        let plain = |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        plain(charset) && plain(collation)
    }))
}
