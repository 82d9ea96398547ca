//! Capturing with the row triggers of MySQL and MariaDB.
//!
//! Each value is written so that nothing of the application's session changes it; how is decided by its type. A
//! trigger keeps the `sql_mode` and character set of the connection that created it, which is ours.

mod altered;
mod field;

pub(crate) use field::selected_row;

use crate::dialect::trigger::{Capture, Event, RenderedTrigger, TriggerSpec};
use field::csv;
use symstream_shared::db::DatabaseKind;

const KIND: DatabaseKind = DatabaseKind::Mysql;

/// Triggers need nothing beside themselves here.
pub(crate) fn support(_spec: &TriggerSpec<'_>) -> Vec<String> {
    Vec::new()
}

/// The triggers that the specification asks for.
pub(crate) fn render(spec: &TriggerSpec<'_>) -> Vec<RenderedTrigger> {
    spec.events().map(|event| row(spec, event)).collect()
}

/// What removes a trigger of ours.
pub(crate) fn drop(schema: Option<&str>, name: &str) -> String {
    format!("drop trigger if exists {}", KIND.quote_table(schema, name))
}

/// `create or replace` is one step, unless the trigger it takes the place of has another name.
pub(crate) fn in_one_step(
    spec: &TriggerSpec<'_>,
    statements: Vec<String>,
    replaces_others: bool,
) -> Vec<String> {
    let replaces_nothing = spec.captures.is_empty();
    if replaces_nothing || (spec.survey.can_replace && !replaces_others) {
        return statements;
    }
    let lock = format!("lock tables {} write", spec.table_name());
    std::iter::once(lock)
        .chain(statements)
        .chain(["unlock tables".to_owned()])
        .collect()
}

fn row(spec: &TriggerSpec<'_>, event: Event) -> RenderedTrigger {
    let name = spec.names.get(event).map_or_else(
        || spec.generated_name(&event.letter().to_lowercase()),
        str::to_owned,
    );
    let captures: String = spec
        .captures_of(event)
        .map(|capture| block(spec, capture, event))
        .collect();
    // Before the application's own triggers, so that a row that they write is captured after this one.
    let first = spec.survey.others.iter().find(|other| other.event == event);
    let order = first
        .map(|other| format!(" precedes {}", KIND.quote(&other.name)))
        .unwrap_or_default();
    let create = |or_replace: &str| {
        format!(
            "create {or_replace}trigger {name} after {event} on {table} for each row{order}\nbegin\n  /* {mark} */\n\
             {captures}end",
            name = KIND.quote_table(spec.table.schema.as_deref(), &name),
            event = event.verb(),
            table = spec.table_name(),
            mark = spec.mark().text(spec.tables),
        )
    };
    let create = if spec.survey.can_replace {
        vec![create("or replace ")]
    } else {
        vec![drop(spec.table.schema.as_deref(), &name), create("")]
    };
    RenderedTrigger {
        name,
        event,
        is_truncate: false,
        for_each_row: true,
        create,
        attach: None,
    }
}

/// One capture. Where a column is gone that it names, its insert fails, and the handler captures what is left.
fn block(spec: &TriggerSpec<'_>, capture: &Capture<'_>, event: Event) -> String {
    let image = |alias: &str, is_there: bool| match is_there {
        true => csv(alias, &capture.columns),
        false => "null".to_owned(),
    };
    let key = match event.has_old() {
        true => csv("old", &capture.key),
        false => "null".to_owned(),
    };
    let values = Values {
        new: &image("new", event.has_new()),
        old: &image("old", event.has_old()),
        key: &key,
        hist_id: &capture.mark.hist_id.to_string(),
        transaction: capture.transaction().map(|expression| format!("({expression})")),
    };
    let insert = insert(spec, capture, event, &values);
    let guard = (!capture.on_incoming_batch()).then(|| "@symstream_source_node is null".to_owned());
    let condition = capture.condition(event).map(|sql| format!("({sql})"));
    let conditions: Vec<String> = guard.into_iter().chain(condition).collect();
    let insert = if conditions.is_empty() {
        format!("    {insert}\n")
    } else {
        format!(
            "    if {} then\n      {insert}\n    end if;\n",
            conditions.join(" and ")
        )
    };
    format!(
        "  begin\n{}{insert}  end;\n",
        altered::handler(spec, capture, event)
    )
}

/// What one insert writes, as SQL.
struct Values<'a> {
    new: &'a str,
    old: &'a str,
    key: &'a str,
    hist_id: &'a str,
    transaction: Option<String>,
}

fn insert(spec: &TriggerSpec<'_>, capture: &Capture<'_>, event: Event, values: &Values<'_>) -> String {
    let (transaction_column, transaction) = match &values.transaction {
        Some(expression) => (", transaction_id", format!(", {expression}")),
        None => ("", String::new()),
    };
    let Values {
        new,
        old,
        key,
        hist_id,
        ..
    } = values;
    format!(
        "insert into {data} (table_name, event_type, row_data, old_data, pk_data, trigger_hist_id, channel_id, \
         create_time, source_node_id, connection_id{transaction_column})\n      values ({table}, '{letter}', {new}, \
         {old}, {key}, {hist_id}, {channel}, now(6), @symstream_source_node, connection_id(){transaction});",
        data = spec.home_table("data"),
        table = KIND.literal(&spec.table.name),
        letter = event.letter(),
        channel = KIND.literal(capture.lead().channel.as_str()),
    )
}
