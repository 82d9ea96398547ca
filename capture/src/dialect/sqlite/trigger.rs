//! Capturing with SQLite's row triggers.
//!
//! A value is written by its own type, whatever its column was declared as: text in quotes, numbers bare and with
//! all their digits, blobs as `X'…'`.
//!
//! A limit that is SQLite's own: `alter table … drop column` of a column that a trigger names is refused. Who wants to
//! drop a captured column names it in `excluded_column_names` first. A column that is renamed is renamed in the triggers
//! by SQLite itself, and captured under its old name until they are rebuilt.

use crate::dialect::trigger::{Capture, Event, RenderedTrigger, TriggerSpec};
use symstream_shared::catalog::ColumnDef;
use symstream_shared::db::DatabaseKind;

const KIND: DatabaseKind = DatabaseKind::Sqlite;

/// Triggers need nothing beside themselves here.
pub(crate) fn support(_spec: &TriggerSpec<'_>) -> Vec<String> {
    Vec::new()
}

/// The triggers that the specification asks for.
pub(crate) fn render(spec: &TriggerSpec<'_>) -> Vec<RenderedTrigger> {
    spec.events().map(|event| row(spec, event)).collect()
}

/// What removes a trigger of ours.
pub(crate) fn drop(name: &str) -> String {
    format!("drop trigger if exists {}", KIND.quote(name))
}

/// What a trigger of ours fires on, by its text. `None`: it is none of ours.
pub(super) fn event_of(name: &str, source: &str) -> Option<Event> {
    let head = format!("{} after ", KIND.quote(name));
    let (_, rest) = source.split_once(&head)?;
    Event::ALL
        .into_iter()
        .find(|event| rest.starts_with(&format!("{} on ", event.verb())))
}

fn row(spec: &TriggerSpec<'_>, event: Event) -> RenderedTrigger {
    let name = spec.names.get(event).map_or_else(
        || spec.generated_name(&event.letter().to_lowercase()),
        str::to_owned,
    );
    let captures: Vec<(&Capture<'_>, Option<String>)> = spec
        .captures_of(event)
        .map(|capture| (capture, guard(spec, capture, event)))
        .collect();
    // What is asked before the trigger's body costs less than what is asked in it.
    let (_, first) = &captures[0];
    let common = captures
        .iter()
        .all(|(_, guard)| guard == first)
        .then_some(first.as_deref())
        .flatten();
    let when = common.map(|guard| format!(" when {guard}")).unwrap_or_default();
    let inserts: String = captures
        .iter()
        .map(|(capture, guard)| {
            let guard = guard.as_deref().filter(|_| common.is_none());
            insert(spec, capture, event, guard)
        })
        .collect();
    let create = format!(
        "create trigger {name} after {verb} on {table} for each row{when}\nbegin\n  /* {mark} */\n{inserts}end",
        name = KIND.quote(&name),
        verb = event.verb(),
        table = spec.table_name(),
        mark = spec.mark().text(spec.tables),
    );
    RenderedTrigger {
        create: vec![drop(&name), create],
        name,
        event,
        is_truncate: false,
        for_each_row: true,
        attach: None,
    }
}

/// When a capture takes a row; `None`: always. The loader marks its transaction by a row, which nobody else sees.
fn guard(spec: &TriggerSpec<'_>, capture: &Capture<'_>, event: Event) -> Option<String> {
    let loader = (!capture.on_incoming_batch()).then(|| {
        let state = spec.home_table("state");
        format!("not exists (select 1 from {state} where state_key = 'loading')")
    });
    let condition = capture.condition(event).map(|sql| format!("({sql})"));
    let guards: Vec<String> = loader.into_iter().chain(condition).collect();
    (!guards.is_empty()).then(|| guards.join(" and "))
}

fn insert(spec: &TriggerSpec<'_>, capture: &Capture<'_>, event: Event, guard: Option<&str>) -> String {
    let image = |alias: &str, is_there: bool| match is_there {
        true => csv(alias, &capture.columns),
        false => "null".to_owned(),
    };
    let key = match event.has_old() {
        true => csv("old", &capture.key),
        false => "null".to_owned(),
    };
    let origin = match capture.on_incoming_batch() {
        true => format!(
            "(select state_value from {} where state_key = 'loading')",
            spec.home_table("state")
        ),
        false => "null".to_owned(),
    };
    let (transaction_column, transaction) = match capture.transaction() {
        Some(expression) => (", transaction_id", format!(", ({expression})")),
        None => ("", String::new()),
    };
    format!(
        "  insert into {data} (table_name, event_type, row_data, old_data, pk_data, trigger_hist_id, channel_id, \
         create_time, source_node_id{transaction_column})\n  select {table}, '{letter}', {new}, {old}, {key}, {hist_id}, \
         {channel}, {now}, {origin}{transaction}{filter};\n",
        data = spec.home_table("data"),
        table = KIND.literal(&spec.table.name),
        letter = event.letter(),
        new = image("new", event.has_new()),
        old = image("old", event.has_old()),
        hist_id = capture.mark.hist_id,
        channel = KIND.literal(capture.lead().channel.as_str()),
        now = KIND.now(),
        filter = guard.map(|guard| format!(" where {guard}")).unwrap_or_default(),
    )
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
