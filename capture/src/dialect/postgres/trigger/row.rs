//! Row triggers.

use super::function::{Function, Kind};
use super::record::{TRANSACTION, Values, columns_now, csv, history, insert_into, values};
use super::{KIND, body, name, notify};
use crate::dialect::trigger::{Capture, Event, RenderedTrigger, TriggerSpec};
use symstream_shared::captured::altered_hist_id;
use symstream_shared::catalog::ColumnDef;

pub(super) fn render(spec: &TriggerSpec<'_>, event: Event) -> RenderedTrigger {
    // Asked by a variable, because in a statement that reads no table a constant would stay for ever.
    let shape = format!("  shape := {}(relation);\n", spec.home_table("table_shape"));
    let captures = body(spec, event, &shape, |capture| capture_row(spec, capture, event));
    Function {
        name: name(spec, event),
        event,
        kind: Kind::Row,
        what: event.letter().to_lowercase(),
        variables: format!(
            "  relation oid := {};\n  shape bigint;\n  history bigint;\n  wanted boolean;\n  new_text text;\n  \
             old_text text;\n  key_text text;\n  transaction_text text;\n",
            spec.survey.oid
        ),
        body: captures,
        when: format!("after {} on {} for each row", event.verb(), spec.table_name()),
        setting: None,
    }
    .render(spec)
}

fn capture_row(spec: &TriggerSpec<'_>, capture: &Capture<'_>, event: Event) -> String {
    let texts = texts(spec, capture, event);
    let image = |text: &'static str, is_there: bool| if is_there { text } else { "null" };
    let key = format!(
        "case when history < 0 then {} else {} end",
        columns_now(spec),
        image("key_text", event.has_old())
    );
    let values = values(
        spec,
        capture,
        event,
        &Values {
            new: image("new_text", event.has_new()),
            old: image("old_text", event.has_old()),
            key: &key,
            history: "history",
            transaction: capture.transaction().map_or(TRANSACTION, |_| "transaction_text"),
        },
    );
    let transaction = capture
        .transaction()
        .map(|sql| given(spec, "transaction_text", &format!("({sql})::text"), TRANSACTION))
        .unwrap_or_default();
    let capturing = format!(
        "{transaction}  history := {history};\n{texts}  {insert}\n  values ({values});\n  {notify}\n",
        history = history(spec, capture, "shape"),
        insert = insert_into(spec),
        notify = notify(spec),
    );
    match capture.condition(event) {
        None => capturing,
        Some(sql) => format!(
            "{condition}  if wanted then\n{capturing}  end if;\n",
            condition = given(spec, "wanted", &format!("({sql}) is true"), "true")
        ),
    }
}

/// Evaluates an expression of the user's. Where the table was altered it may name a column that is gone, which must
/// not make the application's statement fail; it is `otherwise` then.
fn given(spec: &TriggerSpec<'_>, variable: &str, expression: &str, otherwise: &str) -> String {
    format!(
        "  if shape = {known} then\n    {variable} := {expression};\n  else\n  begin\n    {variable} := {expression};\n  \
         exception when syntax_error_or_access_rule_violation then\n    {variable} := {otherwise};\n  end;\n  end if;\n",
        known = spec.survey.shape
    )
}

/// Sets the variables with the row's texts. Where the table was altered, names may be wrong, and the whole row is
/// written.
fn texts(spec: &TriggerSpec<'_>, capture: &Capture<'_>, event: Event) -> String {
    let rows = [
        ("new_text", "new", event.has_new()),
        ("old_text", "old", event.has_old()),
    ];
    let rows = rows.into_iter().filter(|(_, _, has)| *has);
    // A partition may have its columns in another order than the table.
    let by_name = capture.leaves_out_columns || spec.survey.is_partitioned;
    let exact: String = rows
        .clone()
        .map(|(text, image, _)| match by_name {
            true => format!("    {text} := {};\n", fields(image, &capture.columns)),
            false => format!("    {text} := {};\n", csv(image)),
        })
        .collect();
    let whole: String = rows
        .map(|(text, image, _)| match spec.survey.is_partitioned {
            true => in_order_of_the_table(text, image),
            false => format!("    {text} := {};\n", csv(image)),
        })
        .collect();
    let key = match event.has_old() {
        true => format!("    key_text := {};\n", fields("old", &capture.key)),
        false => String::new(),
    };
    // A transaction whose snapshot is from before the table was altered sees its old shape. A column that is gone is an
    // error then; to catch one costs a savepoint for each row.
    let exact = match by_name || event.has_old() {
        true => format!(
            "  begin\n{exact}{key}  exception when others then\n    history := {altered} - shape;\n{whole}  end;\n",
            altered = altered_hist_id(capture.mark.hist_id, 0)
        ),
        false => exact,
    };
    format!(
        "  if shape = {} then\n{exact}  else\n{whole}  end if;\n",
        spec.survey.shape
    )
}

/// Writes a whole row of a partition, whose columns are asked for: nobody knows them yet.
fn in_order_of_the_table(text: &str, image: &str) -> String {
    format!(
        "    execute format('select row(%s)::text from (select ($1::%s).*) as captured', (select \
         string_agg(quote_ident(attname), ', ' order by attnum) from pg_attribute where attrelid = relation \
         and attnum > 0 and not attisdropped), tg_relid::regclass) into {text} using {image}::text;\n    \
         {text} := {};\n",
        csv(text)
    )
}

fn fields(image: &str, names: &[&ColumnDef]) -> String {
    let names: Vec<String> = names
        .iter()
        .map(|column| format!("{image}.{}", KIND.quote(&column.name)))
        .collect();
    csv(&format!("row({})", names.join(", ")))
}
