//! Capturing with SQLite's row triggers.
//!
//! A value is written by its own type, whatever its column was declared as: text in quotes, numbers bare and with
//! all their digits, blobs as `X'…'`.

use crate::dialect::trigger::{Event, RenderedTrigger, TriggerSpec};
use symstream_shared::catalog::ColumnDef;
use symstream_shared::db::DatabaseKind;

const KIND: DatabaseKind = DatabaseKind::Sqlite;

/// Triggers need nothing beside themselves here.
pub(crate) fn support(_spec: &TriggerSpec<'_>) -> Vec<String> {
    Vec::new()
}

/// The triggers that the specification asks for.
pub(crate) fn render(spec: &TriggerSpec<'_>) -> Vec<RenderedTrigger> {
    Event::ALL
        .into_iter()
        .filter(|event| event.is_captured(spec.trigger))
        .map(|event| row(spec, event))
        .collect()
}

/// What removes a trigger of ours.
pub(crate) fn drop(name: &str) -> String {
    format!("drop trigger if exists {}", KIND.quote(name))
}

fn row(spec: &TriggerSpec<'_>, event: Event) -> RenderedTrigger {
    let generated = || spec.generated_name(&event.letter().to_lowercase());
    let name = event
        .given_name(spec.trigger)
        .map_or_else(generated, str::to_owned);
    let new = if event == Event::Delete {
        "null".to_owned()
    } else {
        csv("new", &spec.columns)
    };
    let (old, key) = match event {
        Event::Insert => ("null".to_owned(), "null".to_owned()),
        Event::Update | Event::Delete => (csv("old", &spec.columns), csv("old", &spec.key)),
    };
    let (transaction_column, transaction) = match spec.transaction() {
        Some(expression) => (", transaction_id", format!(", ({expression})")),
        None => ("", String::new()),
    };
    // The loader marks its transaction by a row, which nobody else sees.
    let state = spec.home_table("state");
    let (guard, origin) = if spec.trigger.on_incoming_batch {
        (
            None,
            format!("(select state_value from {state} where state_key = 'loading')"),
        )
    } else {
        (
            Some(format!(
                "not exists (select 1 from {state} where state_key = 'loading')"
            )),
            "null".to_owned(),
        )
    };
    let condition = event.condition(spec.trigger).map(|sql| format!("({sql})"));
    let conditions: Vec<String> = guard.into_iter().chain(condition).collect();
    let when = if conditions.is_empty() {
        String::new()
    } else {
        format!(" when {}", conditions.join(" and "))
    };
    let create = format!(
        "create trigger {name} after {verb} on {table} for each row{when}\nbegin\n  /* {mark} */\n  \
         insert into {data} (table_name, event_type, row_data, old_data, pk_data, trigger_hist_id, channel_id, \
         create_time, source_node_id{transaction_column})\n  values ({table_text}, '{letter}', {new}, {old}, {key}, \
         {hist_id}, {channel}, {now}, {origin}{transaction});\nend",
        name = KIND.quote(&name),
        verb = event.verb(),
        table = spec.table_name(),
        mark = spec.mark.text(spec.tables),
        data = spec.home_table("data"),
        table_text = KIND.literal(&spec.table.name),
        letter = event.letter(),
        hist_id = spec.mark.hist_id,
        channel = KIND.literal(spec.trigger.channel.as_str()),
        now = KIND.now(),
    );
    RenderedTrigger {
        create: vec![drop(&name), create],
        name,
        event: Some(event),
        for_each_row: true,
        function: None,
        attach: None,
    }
}

/// A row of the table aliased `row` as the triggers write it.
pub(crate) fn selected_row(row: &str, columns: &[&ColumnDef]) -> String {
    csv(row, columns)
}

fn csv(row: &str, columns: &[&ColumnDef]) -> String {
    columns
        .iter()
        .map(|column| field(row, &column.name))
        .collect::<Vec<_>>()
        .join(" || ',' || ")
}

fn field(row: &str, column: &str) -> String {
    let value = format!("{row}.{}", KIND.quote(column));
    format!(
        "case typeof({value}) when 'text' then '\"' || replace({value}, '\"', '\"\"') || '\"' \
         when 'null' then '' when 'real' then {} else quote({value}) end",
        real(&value)
    )
}

/// A floating-point number, exactly.
///
/// SQLite from 3.42 on writes the last digits of numbers beyond 1e±50 wrong. So those are brought near 1 by a power
/// of two, which changes no digit of theirs, and that power is written behind a `p`.
fn real(value: &str) -> String {
    /// 2 to the power of 256, as a product of literals that are read exactly.
    const SCALE: &str =
        "(18446744073709552000.0*18446744073709552000.0*18446744073709552000.0*18446744073709552000.0)";
    let size = format!("abs({value})");
    let mut text = format!("case when {value} = 0.0 or {size} between 1e-38 and 1e38 then quote({value})");
    for (steps, bound) in [(4, "1e269"), (3, "1e192"), (2, "1e115"), (1, "1e38")] {
        let divided = format!(" / {SCALE}").repeat(steps);
        text.push_str(&format!(
            " when {size} > {bound} then quote({value}{divided}) || 'p{}'",
            steps * 256
        ));
    }
    for (steps, bound) in [(1, "1e-115"), (2, "1e-192"), (3, "1e-269"), (4, "0.0")] {
        let multiplied = format!(" * {SCALE}").repeat(steps);
        text.push_str(&format!(
            " when {size} > {bound} then quote({value}{multiplied}) || 'p-{}'",
            steps * 256
        ));
    }
    text + " end"
}
