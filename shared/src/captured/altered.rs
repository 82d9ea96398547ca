//! Rows that were captured after their table was altered and before its triggers were rebuilt.
//!
//! They name no history but a number below zero that says two things: the history that the trigger knew, and what was
//! different. On PostgreSQL that is the table's shape; the whole row was written, and the history that was made for
//! that shape later says what it means, or the row itself, where the table soon had another shape again. On MySQL it is a code of the columns that were gone; a sign stands in the row
//! for each of them.

use super::hist::{HistError, HistRow, column_type};
use super::shape;
use crate::catalog;
use crate::csv::{self, Field};
use crate::db::Sql;
use crate::schema::Tables;

/// What a trigger writes into `sym_data.trigger_hist_id` while its table is not as its history says: both, in one
/// negative number.
pub fn altered_hist_id(hist_id: i64, difference: i64) -> i64 {
    -(hist_id * DIFFERENCES + difference)
}

/// Shapes and codes are below this.
const DIFFERENCES: i64 = 1 << 31;

/// The history that the trigger knew, and what was different; `None` for a history's own id.
pub(super) fn difference(hist_id: i64) -> Option<(i64, i64)> {
    (hist_id < 0).then(|| (-hist_id / DIFFERENCES, -hist_id % DIFFERENCES))
}

/// What the rows under `hist_id`, written by a trigger that knew the history `known`, are: the table had this shape.
pub(super) async fn of_shape(
    sql: &mut dyn Sql,
    tables: &Tables,
    known: HistRow,
    hist_id: i64,
    shape: i64,
) -> Result<HistRow, HistError> {
    // The newest one: what a trigger captures of one shape only changes with the configuration. Not one from before
    // the known one, when the table had the same shape once already: what is left out may have grown since.
    let condition = "trigger_id = ? and source_table_name = ? and table_shape = ? and trigger_hist_id > ? \
                     order by trigger_hist_id desc limit 1";
    for trigger_id in &known.trigger_ids {
        let params = [
            trigger_id.as_str().into(),
            known.source_table.as_str().into(),
            shape.into(),
            known.hist_id.into(),
        ];
        if let Some(row) = HistRow::read(sql, tables, condition, &params).await? {
            // Whose the changes are was decided when they were captured.
            let trigger_ids = known.trigger_ids;
            return Ok(HistRow { trigger_ids, ..row });
        }
    }
    // As long as the trigger's own history is in force and the table has this shape, a history for it will come.
    let comes = !known.is_ended && {
        let (schema, table) = (known.source_schema.as_deref(), known.source_table.as_str());
        shape::now(sql, schema, table).await? == Some(shape)
    };
    let described = match comes {
        true => None,
        false => described(sql, tables, &known, hist_id).await?,
    };
    described.ok_or(HistError::Altered {
        table: known.source_table,
    })
}

/// What the rows say of themselves (`pk_data`): the table was altered again before its triggers were rebuilt.
async fn described(
    sql: &mut dyn Sql,
    tables: &Tables,
    known: &HistRow,
    hist_id: i64,
) -> Result<Option<HistRow>, HistError> {
    let select = format!(
        "select pk_data from {} where trigger_hist_id = ? limit 1",
        tables.name("data")
    );
    let row = sql.query_opt(&select, &[hist_id.into()]).await?;
    let Some(text) = row.map(|row| row.opt_text(0)).transpose()?.flatten() else {
        return Ok(None);
    };
    let unreadable = |why: String| HistError::Unreadable { hist_id, why };
    let fields = csv::decode(&text).map_err(|err| unreadable(err.to_string()))?;
    let (mut all, mut types, mut key) = (Vec::new(), Vec::new(), Vec::new());
    for column in fields.chunks(3) {
        let [Field::Quoted(name), Field::Bare(oid), place] = column else {
            return Err(unreadable("pk_data describes no columns".to_owned()));
        };
        let oid = oid
            .parse()
            .map_err(|_| unreadable("pk_data has no type".to_owned()))?;
        let column_of_type = catalog::postgres_column_of_type(sql, oid).await?;
        let column_of_type =
            column_of_type.ok_or_else(|| unreadable(format!("the type of column {name} is gone")))?;
        types.push(column_type(sql.kind(), &column_of_type).to_owned());
        all.push(name.clone());
        if let Field::Bare(place) = place {
            key.push((place.parse::<i64>().unwrap_or(i64::MAX), name.clone()));
        }
    }
    // A column that is excluded may have another name here. So where one is not found, those that are new are left out.
    let mut excluded = known.all.iter().filter(|name| !known.columns.contains(name));
    let is_complete = excluded.all(|name| all.contains(name));
    let is_key = |name: &String| key.iter().any(|(_, key)| key == name);
    let is_captured = |name: &String| match known.all.contains(name) {
        true => known.columns.contains(name),
        false => is_complete,
    };
    let columns: Vec<String> = all
        .iter()
        .filter(|name| is_captured(name) || is_key(name))
        .cloned()
        .collect();
    key.sort();
    let key: Vec<String> = key.into_iter().map(|(_, name)| name).collect();
    Ok(Some(HistRow {
        key: if key.is_empty() { columns.clone() } else { key },
        columns,
        types,
        all,
        ..known.clone()
    }))
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
