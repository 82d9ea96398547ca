//! What a trigger does while its table has columns no more that it names: those that were dropped or renamed since it
//! was built.
//!
//! The application's statement must not fail, and nothing that is still there may be lost until the trigger is
//! rebuilt. So a handler, which costs nothing as long as it is not needed, writes the row field by field: each in a
//! statement of its own, and a sign for each that fails. Which ones these are stands in the row's `trigger_hist_id`,
//! too (see [`symstream_shared::captured::altered_hist_id`]), because it is a layout of its own.

use super::field::field;
use super::{KIND, Values, insert};
use crate::dialect::trigger::{Capture, Event, TriggerSpec};
use symstream_shared::captured::{LOST, altered_hist_id};
use symstream_shared::catalog::ColumnDef;

/// Declares the handler of a capture's block. 1054 is "unknown column".
pub(super) fn handler(spec: &TriggerSpec<'_>, capture: &Capture<'_>, event: Event) -> String {
    let mut images = Vec::new();
    if event.has_new() {
        images.push(("symstream_new", "new", &capture.columns));
    }
    if event.has_old() {
        images.push(("symstream_old", "old", &capture.columns));
    }
    // Old and new rows have lost the same columns: the first one tells.
    let telling = images[0].0;
    if event.has_old() {
        images.push(("symstream_key", "old", &capture.key));
    }
    let rows: String = images
        .iter()
        .map(|(variable, alias, columns)| image(variable, alias, columns, *variable == telling))
        .collect();
    let text = |variable: &str| match images.iter().any(|(known, ..)| *known == variable) {
        true => format!("left({variable}, char_length({variable}) - 1)"),
        false => "null".to_owned(),
    };
    let values = Values {
        new: &text("symstream_new"),
        old: &text("symstream_old"),
        key: &text("symstream_key"),
        hist_id: &format!(
            "{} - cast(crc32(symstream_lost) >> 1 as signed)",
            altered_hist_id(capture.mark.hist_id, 0)
        ),
        transaction: capture.transaction().map(|_| "symstream_transaction".to_owned()),
    };
    let guard = match capture.on_incoming_batch() {
        true => "",
        false => "@symstream_source_node is null and ",
    };
    // One that names a column which is gone lets every row pass.
    let condition = capture
        .condition(event)
        .map(|sql| {
            format!(
                "        set symstream_field = ({sql}) is true;\n        \
                 set symstream_wanted = coalesce(symstream_field, 1);\n"
            )
        })
        .unwrap_or_default();
    let transaction = capture
        .transaction()
        .map(|sql| format!("        set symstream_transaction = ({sql});\n"))
        .unwrap_or_default();
    // The insert is not in the block whose errors are expected: one of its own is none that may be passed over.
    format!(
        "    declare exit handler for 1054\n    begin\n      declare symstream_wanted int default 1;\n      \
         declare symstream_transaction varchar(1000) character set utf8mb4;\n      \
         declare symstream_field longtext character set utf8mb4;\n      \
         declare symstream_lost, symstream_new, symstream_old, symstream_key longtext character set utf8mb4 \
         default '';\n      begin\n        declare continue handler for 1054 set symstream_field = null;\n\
         {condition}{transaction}{rows}      end;\n      if {guard}symstream_wanted then\n      {insert}\n      \
         end if;\n    end;\n",
        insert = insert(spec, capture, event, &values),
    )
}

/// Writes one row into `variable`, each field followed by a comma. `tells`: notes `0` for each field that is there and
/// `10` for each that is not.
fn image(variable: &str, alias: &str, columns: &[&ColumnDef], tells: bool) -> String {
    let lost = match tells {
        true => " set symstream_lost = concat(symstream_lost, if(symstream_field is null, '10', '0'));",
        false => "",
    };
    let sign = KIND.literal(LOST);
    columns
        .iter()
        .map(|column| {
            // Never null itself; a variable is set to null by an assignment that fails.
            let field = field(alias, column);
            format!(
                "        set symstream_field = {field}; \
                 set {variable} = concat({variable}, coalesce(symstream_field, {sign}), ',');{lost}\n"
            )
        })
        .collect()
}
