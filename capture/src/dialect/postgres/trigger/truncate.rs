//! TRUNCATE, which gives no rows: they are read before it, and captured as deleted.

use super::body;
use super::function::{Function, Kind};
use super::statement::{Rows, capture_rows, images};
use crate::dialect::trigger::{Event, RenderedTrigger, TriggerSpec};

pub(super) fn render(spec: &TriggerSpec<'_>) -> RenderedTrigger {
    // A table's own rows; those of its partitions count as its own.
    let only = if spec.survey.is_partitioned { "" } else { "only " };
    let table = format!("{only}{}", spec.table_name());
    let rows = Rows {
        from: images(&table, "old", ""),
        order: "",
        table,
        has_old: true,
        has_new: false,
    };
    Function {
        name: format!("!{}", spec.generated_name("t")),
        event: Event::Delete,
        kind: Kind::Truncate,
        what: "t".to_owned(),
        variables: String::new(),
        body: body(spec, Event::Delete, "", |capture| {
            capture_rows(spec, capture, Event::Delete, &rows)
        }),
        when: format!("before truncate on {} for each statement", spec.table_name()),
        setting: None,
    }
    .render(spec)
}
