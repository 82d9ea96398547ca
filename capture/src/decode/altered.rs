//! Rows that were captured after their table was altered and before its triggers were rebuilt.
//!
//! They name no history but a number below zero that says two things: the history that the trigger knew, and what was
//! different. On PostgreSQL that is the table's shape; the whole row was written, and the history that was made for
//! that shape later says what it means. On MySQL it is a code of the columns that were gone; a sign stands in the row
//! for each of them.

use super::hist::{HistError, HistRow};
use symstream_shared::csv::{self, Field};
use symstream_shared::db::Sql;
use symstream_shared::schema::Tables;

/// What a trigger writes into `sym_data.trigger_hist_id` while its table is not as its history says: both, in one
/// negative number.
pub(crate) fn altered_hist_id(hist_id: i64, difference: i64) -> i64 {
    -(hist_id * DIFFERENCES + difference)
}

/// Shapes and codes are below this.
const DIFFERENCES: i64 = 1 << 31;

/// The history that the trigger knew, and what was different; `None` for a history's own id.
pub(super) fn difference(hist_id: i64) -> Option<(i64, i64)> {
    (hist_id < 0).then(|| (-hist_id / DIFFERENCES, -hist_id % DIFFERENCES))
}

/// The history of one of the triggers that share `known`'s rows, made for a table of this shape.
pub(super) async fn of_shape(
    sql: &mut dyn Sql,
    tables: &Tables,
    known: &HistRow,
    shape: i64,
) -> Result<HistRow, HistError> {
    // The newest one: what a trigger captures of one shape only changes with the configuration.
    let condition = "trigger_id = ? and source_table_name = ? and table_shape = ? \
                     order by trigger_hist_id desc limit 1";
    for trigger_id in &known.trigger_ids {
        let params = [
            trigger_id.as_str().into(),
            known.source_table.as_str().into(),
            shape.into(),
        ];
        if let Some(row) = HistRow::read(sql, tables, condition, &params).await? {
            return Ok(row);
        }
    }
    Err(HistError::Altered {
        table: known.source_table.clone(),
    })
}

/// Which fields of the rows under this `trigger_hist_id` are `lost`, as one of these rows shows.
pub(super) async fn lost_fields(
    sql: &mut dyn Sql,
    tables: &Tables,
    hist_id: i64,
    code: i64,
    lost: &str,
) -> Result<Vec<bool>, HistError> {
    let select = format!(
        "select coalesce(row_data, old_data) from {} where trigger_hist_id = ? limit 1",
        tables.name("data")
    );
    let row = sql.query_opt(&select, &[hist_id.into()]).await?;
    let text = row.ok_or(HistError::Missing(hist_id))?.text(0)?;
    let unreadable = |why: String| HistError::Unreadable { hist_id, why };
    let fields = csv::decode(&text).map_err(|err| unreadable(err.to_string()))?;
    let fields: Vec<bool> = fields.iter().map(|field| is_lost(field, lost)).collect();
    if code_of(&fields) != code {
        return Err(unreadable("its rows lack other columns than it says".to_owned()));
    }
    Ok(fields)
}

/// Whether a field is the sign for a column that is gone.
pub(super) fn is_lost(field: &Field, lost: &str) -> bool {
    matches!(field, Field::Bare(text) if text == lost)
}

/// The code of lost fields, as the triggers reckon it: the checksum of a `0` for each field that is there and `10` for
/// each that is not, less its last bit.
fn code_of(lost: &[bool]) -> i64 {
    let text: String = lost.iter().map(|lost| if *lost { "10" } else { "0" }).collect();
    i64::from(crc32fast::hash(text.as_bytes()) >> 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_below_zero_has_a_history_and_a_difference() {
        for (hist_id, what) in [(1, 0), (17, 1), (1 << 31, (1 << 31) - 1)] {
            assert_eq!(difference(altered_hist_id(hist_id, what)), Some((hist_id, what)));
        }
        assert_eq!(difference(17), None);
    }

    #[test]
    fn codes_of_lost_fields_differ() {
        let codes = [
            code_of(&[false, false, true]),
            code_of(&[false, true, false]),
            code_of(&[true, false, false]),
            code_of(&[false, false, true, false]),
        ];
        for (index, code) in codes.iter().enumerate() {
            assert!((0..1 << 31).contains(code) && !codes[..index].contains(code));
        }
    }
}
