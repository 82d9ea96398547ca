//! How PostgreSQL's triggers write a row, and which history they say it has.

use super::KIND;
use crate::dialect::trigger::{Capture, Event, TriggerSpec};
use symstream_shared::captured::altered_hist_id;
use symstream_shared::catalog::ColumnDef;

/// A row of the table aliased `row` as the triggers write it.
pub(crate) fn selected_row(row: &str, columns: &[&ColumnDef]) -> String {
    let fields: Vec<String> = columns
        .iter()
        .map(|column| format!("{row}.{}", KIND.quote(&column.name)))
        .collect();
    csv(&format!("row({})", fields.join(", ")))
}

/// The record text of `row` as CSV: without its parentheses, and with backslashes as they are (the record text
/// doubles them).
pub(super) fn csv(row: &str) -> String {
    format!(r"replace(left(substr({row}::text, 2), -1), E'\\\\', E'\\')")
}

/// The shape that the table has now. Folded into a constant when a statement that reads the table is planned.
pub(super) fn shape(spec: &TriggerSpec<'_>) -> String {
    format!("{}({}::oid)", spec.home_table("table_shape"), spec.survey.oid)
}

/// The history's id, where the table has the shape that it had when the trigger was made; else what is written instead
/// (see [`symstream_shared::captured::altered_hist_id`]).
pub(super) fn history(spec: &TriggerSpec<'_>, capture: &Capture<'_>, shape: &str) -> String {
    let hist_id = capture.mark.hist_id;
    format!(
        "case when {shape} = {} then {hist_id} else {} - {shape} end",
        spec.survey.shape,
        altered_hist_id(hist_id, 0)
    )
}

/// What is written instead of the key: rows that no history fits say themselves what they are (see
/// [`symstream_shared::captured::altered_hist_id`]).
pub(super) fn columns_now(spec: &TriggerSpec<'_>) -> String {
    format!("{}({}::oid)", spec.home_table("table_columns"), spec.survey.oid)
}

/// What stands in `sym_data.transaction_id` where no expression says otherwise.
pub(super) const TRANSACTION: &str = "pg_current_xact_id()::text";

/// The beginning of each insert, whose values are those of [`values`].
pub(super) fn insert_into(spec: &TriggerSpec<'_>) -> String {
    format!(
        "insert into {} (table_name, event_type, row_data, old_data, pk_data, trigger_hist_id, channel_id, \
         create_time, source_node_id, transaction_id)",
        spec.home_table("data"),
    )
}

/// What differs between the inserts, as SQL.
pub(super) struct Values<'a> {
    pub new: &'a str,
    pub old: &'a str,
    pub key: &'a str,
    pub history: &'a str,
    pub transaction: &'a str,
}

/// The values of [`insert_into`].
pub(super) fn values(
    spec: &TriggerSpec<'_>,
    capture: &Capture<'_>,
    event: Event,
    values: &Values<'_>,
) -> String {
    let Values {
        new,
        old,
        key,
        history,
        transaction,
    } = values;
    format!(
        "{table}, '{letter}', {new}, {old}, {key}, {history}, {channel}, clock_timestamp(), capture.origin, \
         {transaction}",
        table = KIND.literal(&spec.table.name),
        letter = event.letter(),
        channel = KIND.literal(capture.lead().channel.as_str()),
    )
}
