//! Statement triggers: a select from the transition tables writes all rows of a statement at once.

use super::function::{Function, Kind};
use super::record::{TRANSACTION, Values, columns_now, csv, history, insert_into, shape, values};
use super::{KIND, body, name, notify_if_found};
use crate::dialect::trigger::{Capture, Event, RenderedTrigger, TriggerSpec};
use symstream_shared::catalog::ColumnDef;

pub(super) fn render(spec: &TriggerSpec<'_>, event: Event) -> RenderedTrigger {
    let referencing = match event {
        Event::Insert => "new table as new_rows",
        Event::Update => "old table as old_rows new table as new_rows",
        Event::Delete => "old table as old_rows",
    };
    let rows = Rows::of(event);
    Function {
        name: name(spec, event),
        event,
        kind: Kind::Statement,
        what: event.letter().to_lowercase(),
        variables: String::new(),
        body: body(spec, event, "", |capture| {
            capture_rows(spec, capture, event, &rows)
        }),
        when: format!(
            "after {} on {} referencing {referencing} for each statement",
            event.verb(),
            spec.table_name()
        ),
        // A plan that was made for one row would compare each row of a big update with each other.
        setting: (event == Event::Update).then_some("enable_nestloop = off"),
    }
    .render(spec)
}

/// The rows that a statement trigger captures.
pub(super) struct Rows {
    /// What they are selected from.
    pub from: String,
    /// In which order they are written, where that matters.
    pub order: &'static str,
    /// Any table that has a row for each of them.
    pub table: String,
    /// Whether there are rows before and after the event.
    pub has_old: bool,
    pub has_new: bool,
}

impl Rows {
    fn of(event: Event) -> Self {
        // Both transition tables are filled row by row, so equal places are the same row, whatever became of its key.
        let place = "row_number() over () as \"symstream place\", ";
        let (from, order) = match event {
            Event::Insert => (images("new_rows", "new", ""), ""),
            Event::Delete => (images("old_rows", "old", ""), ""),
            Event::Update => (
                format!(
                    "{} join {} using (\"symstream place\")",
                    images("old_rows", "old", place),
                    images("new_rows", "new", place)
                ),
                "\n  order by old.\"symstream place\"",
            ),
        };
        let table = if event.has_old() { "old_rows" } else { "new_rows" };
        Self {
            from,
            order,
            table: table.to_owned(),
            has_old: event.has_old(),
            has_new: event.has_new(),
        }
    }
}

/// Captures `rows`. A condition or an expression may name a column that is gone, and must not make the application's
/// statement fail then: every row is captured as if there were none. Only where the table was altered this costs a
/// savepoint.
pub(super) fn capture_rows(
    spec: &TriggerSpec<'_>,
    capture: &Capture<'_>,
    event: Event,
    rows: &Rows,
) -> String {
    let notify = notify_if_found(spec);
    let condition = capture.condition(event);
    let transaction = capture.transaction().map(|sql| format!("({sql})::text"));
    let plain = insert(spec, capture, event, rows, None, TRANSACTION);
    if condition.is_none() && transaction.is_none() {
        return format!("{plain}  {notify}\n");
    }
    let wanted = insert(
        spec,
        capture,
        event,
        rows,
        condition,
        transaction.as_deref().unwrap_or(TRANSACTION),
    );
    format!(
        "  if exists (select from {table} where {shape} = {known}) then\n{wanted}  else\n  begin\n{wanted}  \
         exception when syntax_error_or_access_rule_violation then\n{plain}  end;\n  end if;\n  {notify}\n",
        table = rows.table,
        shape = shape(spec),
        known = spec.survey.shape,
    )
}

fn insert(
    spec: &TriggerSpec<'_>,
    capture: &Capture<'_>,
    event: Event,
    rows: &Rows,
    condition: Option<&str>,
    transaction: &str,
) -> String {
    let text = |image: &Image, is_there: bool| match is_there {
        true => row_text(spec, capture, image),
        false => "null".to_owned(),
    };
    let key = match rows.has_old {
        true => named(OLD.all, &capture.key),
        false => "null".to_owned(),
    };
    let key = format!(
        "case when {} = {} then {key} else {} end",
        shape(spec),
        spec.survey.shape,
        columns_now(spec)
    );
    let values = values(
        spec,
        capture,
        event,
        &Values {
            new: &text(&NEW, rows.has_new),
            old: &text(&OLD, rows.has_old),
            key: &key,
            history: &history(spec, capture, &shape(spec)),
            transaction,
        },
    );
    let missing = match rows.has_old || capture.leaves_out_columns {
        true => missing(capture),
        false => String::new(),
    };
    let filter = condition.map(|sql| format!(" where ({sql})")).unwrap_or_default();
    format!(
        "  {}\n  select {values}\n  from {}{missing}{filter}{};\n",
        insert_into(spec),
        rows.from,
        rows.order
    )
}

/// Some columns of a row. One that is gone is not found in `captured`, but outside of it in [`missing`], as null.
fn named(all: &str, names: &[&ColumnDef]) -> String {
    let names: Vec<String> = names.iter().map(|column| KIND.quote(&column.name)).collect();
    format!(
        "(select {} from (select {all}) as captured)",
        csv(&format!("row({})", names.join(", ")))
    )
}

/// What stands in for columns that the table has no more. See [`named`].
fn missing(capture: &Capture<'_>) -> String {
    let mut names = capture.key.clone();
    if capture.leaves_out_columns {
        names.extend(
            capture
                .columns
                .iter()
                .filter(|column| !capture.key.contains(column)),
        );
    }
    let nulls: Vec<String> = names
        .iter()
        .map(|column| format!("null as {}", KIND.quote(&column.name)))
        .collect();
    format!(" cross join (select {}) as missing", nulls.join(", "))
}

/// The text of a row. Where the table's shape is another, the whole row is captured, excluded columns too: which
/// columns there are is found out later.
fn row_text(spec: &TriggerSpec<'_>, capture: &Capture<'_>, image: &Image) -> String {
    if capture.leaves_out_columns {
        let (shape, known) = (shape(spec), spec.survey.shape);
        format!(
            "case when {shape} = {known} then {} else {} end",
            named(image.all, &capture.columns),
            csv(image.whole)
        )
    } else {
        csv(image.whole)
    }
}

/// How a row is spelled within a statement trigger's select.
struct Image {
    /// As one value.
    whole: &'static str,
    /// As all its columns.
    all: &'static str,
}

const NEW: Image = Image {
    whole: "new.\"symstream image\"",
    all: "new.*",
};
const OLD: Image = Image {
    whole: "old.\"symstream image\"",
    all: "old.*",
};

/// Rows of a table under an alias, and beside their columns each row as one value. The columns are not taken from that
/// value, because a field of it is looked for in the wrong place once a column was dropped; and the alias is no name
/// for it, because the table may have a column of that name.
pub(super) fn images(table: &str, alias: &str, more: &str) -> String {
    format!(
        "(select {more}\"symstream row\" as \"symstream image\", \"symstream row\".* \
         from {table} as \"symstream row\") as {alias}"
    )
}
