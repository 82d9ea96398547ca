//! Capturing with the row triggers of MySQL and MariaDB.
//!
//! Each value is written so that nothing of the application's session changes it; how is decided by its type. A
//! trigger keeps the `sql_mode` and character set of the connection that created it, which is ours.

use crate::dialect::trigger::{Event, RenderedTrigger, TriggerSpec};
use symstream_shared::catalog::ColumnDef;
use symstream_shared::db::DatabaseKind;
use symstream_shared::logical::LogicalType;

const KIND: DatabaseKind = DatabaseKind::Mysql;

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
pub(crate) fn drop(schema: Option<&str>, name: &str) -> String {
    format!("drop trigger if exists {}", KIND.quote_table(schema, name))
}

/// `create or replace` is one step, unless the trigger it takes the place of has another name.
pub(crate) fn in_one_step(
    spec: &TriggerSpec<'_>,
    statements: Vec<String>,
    replaces_others: bool,
) -> Vec<String> {
    if spec.survey.can_replace && !replaces_others {
        return statements;
    }
    let lock = format!("lock tables {} write", spec.table_name());
    std::iter::once(lock)
        .chain(statements)
        .chain(["unlock tables".to_owned()])
        .collect()
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
    let insert = format!(
        "insert into {data} (table_name, event_type, row_data, old_data, pk_data, trigger_hist_id, channel_id, \
         create_time, source_node_id, connection_id{transaction_column})\n  values ({table}, '{letter}', {new}, {old}, \
         {key}, {hist_id}, {channel}, now(6), @symstream_source_node, connection_id(){transaction});",
        data = spec.home_table("data"),
        table = KIND.literal(&spec.table.name),
        letter = event.letter(),
        hist_id = spec.mark.hist_id,
        channel = KIND.literal(spec.trigger.channel.as_str()),
    );
    let guard = (!spec.trigger.on_incoming_batch).then(|| "@symstream_source_node is null".to_owned());
    let condition = event.condition(spec.trigger).map(|sql| format!("({sql})"));
    let conditions: Vec<String> = guard.into_iter().chain(condition).collect();
    let body = if conditions.is_empty() {
        format!("  {insert}\n")
    } else {
        format!("  if {} then\n  {insert}\n  end if;\n", conditions.join(" and "))
    };
    // Before the application's own triggers, so that a row that they write is captured after this one.
    let first = spec.survey.others.iter().find(|other| other.event == event);
    let order = first
        .map(|other| format!(" precedes {}", KIND.quote(&other.name)))
        .unwrap_or_default();
    let create = |or_replace: &str| {
        format!(
            "create {or_replace}trigger {name} after {event} on {table} for each row{order}\nbegin\n  /* {mark} */\n\
             {body}end",
            name = KIND.quote_table(spec.table.schema.as_deref(), &name),
            event = event.verb(),
            table = spec.table_name(),
            mark = spec.mark.text(spec.tables),
        )
    };
    let create = if spec.survey.can_replace {
        vec![create("or replace ")]
    } else {
        vec![drop(spec.table.schema.as_deref(), &name), create("")]
    };
    RenderedTrigger {
        name,
        event: Some(event),
        for_each_row: true,
        function: None,
        create,
        attach: None,
    }
}

/// Above this length a text with quotes in it is written as hexadecimal digits: MariaDB moves the rest of the text
/// at each replacement, which takes minutes for some megabytes.
const REPLACE_CHARACTERS_MAX: i64 = 4096;

/// A row of the table aliased `row` as the triggers write it.
pub(crate) fn selected_row(row: &str, columns: &[&ColumnDef]) -> String {
    csv(row, columns)
}

fn csv(row: &str, columns: &[&ColumnDef]) -> String {
    let fields: Vec<String> = columns.iter().map(|column| field(row, column)).collect();
    format!("concat({})", fields.join(", ',', "))
}

/// One value as a CSV field; nothing for null.
fn field(row: &str, column: &ColumnDef) -> String {
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
