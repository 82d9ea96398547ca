//! Capturing with PostgreSQL's triggers.
//!
//! One statement trigger over a transition table for each event; a row trigger where one of the application's own
//! row triggers would otherwise be captured first. A row is captured as its record text turned into CSV: the body
//! names no column, so that an `alter table` never makes the application's statement fail. The history id is
//! written only while the table has the shape that the history describes, else a negative number that names the
//! shape too; the comparison is folded into a constant when the statement is planned, and planned anew when the table
//! is altered.
//!
//! A trigger's name begins with `!`, the first printable character after the space: triggers of one kind fire in
//! the bytewise order of their names, and a child that another trigger writes has to be captured after its parent.

mod function;
mod record;
mod row;
mod statement;
mod truncate;

pub(crate) use record::selected_row;

use crate::dialect::trigger::{Capture, Event, RenderedTrigger, TriggerSpec};
use symstream_shared::captured::SHAPE_OF;
use symstream_shared::db::DatabaseKind;
use symstream_shared::schema::Tables;

const KIND: DatabaseKind = DatabaseKind::Postgres;

/// The functions that say what shape a table has, and which columns, for the bodies of triggers. The first is declared
/// immutable, so that it costs nothing at run time: what it reads changes only together with the table, and then
/// statements are planned anew. The second is asked only where the table was altered.
pub(crate) fn support(spec: &TriggerSpec<'_>) -> Vec<String> {
    vec![
        format!(
            "create or replace function {}(relation oid) returns bigint language sql immutable parallel safe \
             set search_path = pg_catalog, pg_temp as $symstream$ {} relation {} $symstream$",
            spec.home_table("table_shape"),
            SHAPE_OF.0,
            SHAPE_OF.1
        ),
        format!(
            "create or replace function {}(relation oid) returns text language sql stable \
             set search_path = pg_catalog, pg_temp as $symstream$ {COLUMNS_OF} $symstream$",
            spec.home_table("table_columns"),
        ),
    ]
}

/// Removes the functions of [`support`], which are in the schema of the `sym_` tables.
pub(crate) fn drop_support(tables: &Tables) -> Vec<String> {
    ["table_shape", "table_columns"]
        .map(|function| format!("drop function if exists {}(oid)", tables.name(function)))
        .into()
}

/// A table's columns as CSV: of each its name, its type's `oid`, and its place in the primary key, if it has one.
const COLUMNS_OF: &str = "select string_agg('\"' || replace(a.attname, '\"', '\"\"') || '\",' || a.atttypid || ',' \
     || case when array_position(i.indkey::int2[], a.attnum) < i.indnkeyatts \
     then array_position(i.indkey::int2[], a.attnum)::text else '' end, ',' order by a.attnum) from pg_attribute a \
     left join pg_index i on i.indrelid = a.attrelid and i.indisprimary \
     where a.attrelid = relation and a.attnum > 0 and not a.attisdropped";

/// The triggers that the specification asks for.
pub(crate) fn render(spec: &TriggerSpec<'_>) -> Vec<RenderedTrigger> {
    let of_event = |event| match is_row_trigger(spec, event) {
        true => row::render(spec, event),
        false => statement::render(spec, event),
    };
    let mut triggers: Vec<RenderedTrigger> = spec.events().map(of_event).collect();
    if spec.events().any(|event| event == Event::Delete) {
        triggers.push(truncate::render(spec));
    }
    triggers
}

/// What removes a trigger of ours together with its function.
pub(crate) fn drop(schema: Option<&str>, table: &str, name: &str) -> String {
    let table = KIND.quote_table(schema, table);
    let block = format!(
        " declare called regprocedure; begin select tgfoid into called from pg_trigger \
         where tgrelid = to_regclass({}) and tgname = {}; if found then drop trigger {} on {table}; \
         if not exists (select from pg_trigger where tgfoid = called) then \
         execute format('drop function %s', called); end if; end if; end ",
        KIND.literal(&table),
        KIND.literal(name),
        KIND.quote(name)
    );
    format!("do {}", dollar_quoted(&block))
}

/// A text as a literal that its own quotes can not end, whatever names are in it.
fn dollar_quoted(text: &str) -> String {
    let mut tag = "$symstream$".to_owned();
    while text.contains(&tag) {
        tag.insert(tag.len() - 1, '_');
    }
    format!("{tag}{text}{tag}")
}

/// Whether a statement trigger would capture too late, or not everything.
fn is_row_trigger(spec: &TriggerSpec<'_>, event: Event) -> bool {
    let survey = spec.survey;
    // What `on delete cascade` and its like do to other tables is no reason: its triggers fire after ours, even though
    // it is done before.
    //
    // The rows of a partition or a child table are written through its parent too, or the other way round.
    survey.in_hierarchy
        // These fire before any statement trigger; what they write would be captured first.
        || survey.has_row_trigger(event)
        // `on conflict do update` fires the statement triggers of the updates first, and an updated row may refer to
        // an inserted one.
        || (event != Event::Delete && survey.refers_to_itself)
}

fn name(spec: &TriggerSpec<'_>, event: Event) -> String {
    match spec.names.get(event) {
        Some(name) => name.to_owned(),
        None => format!("!{}", spec.generated_name(&event.letter().to_lowercase())),
    }
}

/// Puts what `each` makes of the captures of an event one after the other, behind what they have in common. The loader's own writes, which it marks by
/// a setting of its transaction, are for those only that want them.
fn body(spec: &TriggerSpec<'_>, event: Event, common: &str, each: impl Fn(&Capture<'_>) -> String) -> String {
    const END: &str = "  return null;\n";
    let is_local = "capture.origin is null";
    if spec
        .captures_of(event)
        .all(|capture| !capture.on_incoming_batch())
    {
        let captures: String = spec.captures_of(event).map(each).collect();
        return format!("  if not ({is_local}) then return null; end if;\n{common}{captures}{END}");
    }
    let captures: String = spec
        .captures_of(event)
        .map(|capture| match capture.on_incoming_batch() {
            true => each(capture),
            false => format!("  if {is_local} then\n{}  end if;\n", each(capture)),
        })
        .collect();
    format!("{common}{captures}{END}")
}

/// Wakes the reader; nothing where transactions may be prepared: PostgreSQL refuses to prepare one that has notified.
/// The reader looks for itself then.
fn notify(spec: &TriggerSpec<'_>) -> String {
    if spec.survey.two_phase_commit {
        return String::new();
    }
    format!(
        "perform pg_notify({}, '');",
        KIND.literal(&spec.tables.name("data"))
    )
}

/// The same after an insert that may have written nothing.
fn notify_if_found(spec: &TriggerSpec<'_>) -> String {
    match notify(spec) {
        notify if notify.is_empty() => notify,
        notify => format!("if found then {notify} end if;"),
    }
}
