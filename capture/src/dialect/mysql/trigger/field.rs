//! How the triggers of MySQL and MariaDB write a row.

use super::KIND;
use symstream_shared::catalog::ColumnDef;
use symstream_shared::logical::LogicalType;

/// Above this length a text with quotes in it is written as hexadecimal digits: MariaDB moves the rest of the text
/// at each replacement, which takes minutes for some megabytes.
const REPLACE_CHARACTERS_MAX: i64 = 4096;

/// A row of the table aliased `row` as the triggers write it.
pub(crate) fn selected_row(row: &str, columns: &[&ColumnDef]) -> String {
    csv(row, columns)
}

pub(super) fn csv(row: &str, columns: &[&ColumnDef]) -> String {
    let fields: Vec<String> = columns.iter().map(|column| field(row, column)).collect();
    format!("concat({})", fields.join(", ',', "))
}

/// One value as a CSV field; nothing for null.
pub(super) fn field(row: &str, column: &ColumnDef) -> String {
    let value = format!("{row}.{}", KIND.quote(&column.name));
    match column.logical {
        LogicalType::Int | LogicalType::Decimal => format!("ifnull({value}, '')"),
        // A float is written with six digits, a double with all of them; without a scale, in both cases.
        LogicalType::Float32 | LogicalType::Float64 => format!("ifnull({value} + 0e0, '')"),
        // The moment itself: the text would be in the session's time zone, and ambiguous in autumn. The zero date is
        // none, which MariaDB calls null and MySQL 0.
        LogicalType::TimestampTz => format!("if({value} is null, '', ifnull(unix_timestamp({value}), 0))"),
        LogicalType::Bits => {
            format!(
                "ifnull(lpad(bin({value} + 0), {}, '0'), '')",
                column.length.unwrap_or(1)
            )
        }
        LogicalType::Bytes => format!("ifnull(concat('\"', lower(hex({value})), '\"'), '')"),
        _ => {
            let text = format!("convert({value} using utf8mb4)");
            let quoted = format!("ifnull(concat('\"', replace({text}, '\"', '\"\"'), '\"'), '')");
            if column.length.is_none_or(|length| length > REPLACE_CHARACTERS_MAX) {
                let (length, quote) = (format!("length({value})"), format!("instr({value}, '\"')"));
                format!(
                    "if({length} > {REPLACE_CHARACTERS_MAX} and {quote} > 0, lower(hex({text})), {quoted})"
                )
            } else {
                quoted
            }
        }
    }
}
