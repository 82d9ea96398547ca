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

use crate::decode::altered_hist_id;
use crate::dialect::trigger::{Event, RenderedTrigger, TriggerSpec};
use symstream_shared::catalog::ColumnDef;
use symstream_shared::db::DatabaseKind;
use symstream_shared::logical::LogicalType;

const KIND: DatabaseKind = DatabaseKind::Postgres;

/// The function that says what shape a table has, for the bodies of triggers. Declared immutable, so that it costs
/// nothing at run time: what it reads changes only together with the table, and then statements are planned anew.
pub(crate) fn support(spec: &TriggerSpec<'_>) -> Vec<String> {
    vec![format!(
        "create or replace function {}(relation oid) returns bigint language sql immutable parallel safe \
         set search_path = pg_catalog, pg_temp as $symstream$ {} relation {} $symstream$",
        spec.home_table("table_shape"),
        SHAPE_OF.0,
        SHAPE_OF.1
    )]
}

/// The select that gives a table's shape; the table's `oid` stands between the two pieces. Positive, and 1 for a
/// table that is not there, as after a restored dump.
pub(super) const SHAPE_OF: (&str, &str) = (
    "select 1 + coalesce(hashtext(string_agg(attname || ' ' || atttypid || ' ' || atttypmod, ',' order by attnum)) \
     & 2147483646, 0)::bigint from pg_attribute where attrelid =",
    "and attnum > 0 and not attisdropped",
);

/// The triggers that the specification asks for.
pub(crate) fn render(spec: &TriggerSpec<'_>) -> Vec<RenderedTrigger> {
    let mut triggers: Vec<RenderedTrigger> = Event::ALL
        .into_iter()
        .filter(|event| event.is_captured(spec.trigger))
        .map(|event| {
            if is_row_trigger(spec, event) {
                row(spec, event)
            } else {
                statement(spec, event)
            }
        })
        .collect();
    if spec.trigger.on_delete {
        triggers.push(truncate(spec));
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
    if let Some(name) = event.given_name(spec.trigger) {
        return name.to_owned();
    }
    format!("!{}", spec.generated_name(&event.letter().to_lowercase()))
}

fn function_name(spec: &TriggerSpec<'_>, what: &str) -> String {
    let function = KIND.quote(&spec.generated_name(what));
    match &spec.survey.home {
        Some(home) => format!("{}.{function}", KIND.quote(home)),
        None => function,
    }
}

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
fn csv(row: &str) -> String {
    format!(r"replace(left(substr({row}::text, 2), -1), E'\\\\', E'\\')")
}

fn columns(columns: &[&ColumnDef]) -> String {
    columns
        .iter()
        .map(|column| KIND.quote(&column.name))
        .collect::<Vec<_>>()
        .join(", ")
}

/// Some columns of a row. One that is gone is not found in `captured`, but outside of it in [`missing`], as null.
fn named(all: &str, names: &[&ColumnDef]) -> String {
    format!(
        "(select {} from (select {all}) as captured)",
        csv(&format!("row({})", columns(names)))
    )
}

/// What stands in for columns that the table has no more. See [`named`].
fn missing(spec: &TriggerSpec<'_>) -> String {
    let mut names = spec.key.clone();
    if spec.leaves_out_columns() {
        names.extend(spec.columns.iter().filter(|column| !spec.key.contains(column)));
    }
    let nulls: Vec<String> = names
        .iter()
        .map(|column| format!("null as {}", KIND.quote(&column.name)))
        .collect();
    format!(" cross join (select {}) as missing", nulls.join(", "))
}

/// The shape that the table has now. Folded into a constant when a statement that reads the table is planned.
fn shape(spec: &TriggerSpec<'_>) -> String {
    format!("{}({}::oid)", spec.home_table("table_shape"), spec.survey.oid)
}

fn history(spec: &TriggerSpec<'_>, shape: &str) -> String {
    let hist_id = spec.mark.hist_id;
    format!(
        "case when {shape} = {} then {hist_id} else {} end",
        spec.survey.shape,
        altered(spec, shape)
    )
}

/// What is written instead of a history's id when the table has another shape. See
/// [`crate::decode::altered_hist_id`].
fn altered(spec: &TriggerSpec<'_>, shape: &str) -> String {
    format!("{} - {shape}", altered_hist_id(spec.mark.hist_id, 0))
}

/// The text of a row of a statement trigger. Where the table's shape is another, the whole row is captured, excluded
/// columns too: which columns there are is found out later.
fn row_text(spec: &TriggerSpec<'_>, image: &Image) -> String {
    if spec.leaves_out_columns() {
        let (shape, known) = (shape(spec), spec.survey.shape);
        format!(
            "case when {shape} = {known} then {} else {} end",
            named(image.all, &spec.columns),
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
fn images(table: &str, alias: &str, more: &str) -> String {
    format!(
        "(select {more}\"symstream row\" as \"symstream image\", \"symstream row\".* \
         from {table} as \"symstream row\") as {alias}"
    )
}

fn insert_into(spec: &TriggerSpec<'_>) -> String {
    format!(
        "insert into {} (table_name, event_type, row_data, old_data, pk_data, trigger_hist_id, channel_id, \
         create_time, source_node_id{})",
        spec.home_table("data"),
        if spec.transaction().is_some() {
            ", transaction_id"
        } else {
            ""
        }
    )
}

/// The values of [`insert_into`].
fn values(spec: &TriggerSpec<'_>, event: Event, new: &str, old: &str, key: &str, history: &str) -> String {
    format!(
        "{table}, '{letter}', {new}, {old}, {key}, {history}, {channel}, clock_timestamp(), capture.origin{transaction}",
        table = KIND.literal(&spec.table.name),
        letter = event.letter(),
        channel = KIND.literal(spec.trigger.channel.as_str()),
        transaction = spec
            .transaction()
            .map(|expression| format!(", ({expression})::text"))
            .unwrap_or_default(),
    )
}

fn statement(spec: &TriggerSpec<'_>, event: Event) -> RenderedTrigger {
    let filter = event
        .condition(spec.trigger)
        .map(|sql| format!(" where ({sql})"))
        .unwrap_or_default();
    let history = history(spec, &shape(spec));
    let (referencing, select) = match event {
        Event::Insert => {
            let values = values(spec, event, &row_text(spec, &NEW), "null", "null", &history);
            let missing = if spec.leaves_out_columns() {
                missing(spec)
            } else {
                String::new()
            };
            (
                "new table as new_rows",
                format!(
                    "select {values}\n  from {}{missing}{filter}",
                    images("new_rows", "new", "")
                ),
            )
        }
        Event::Delete => {
            let values = values(
                spec,
                event,
                "null",
                &row_text(spec, &OLD),
                &named(OLD.all, &spec.key),
                &history,
            );
            let missing = missing(spec);
            (
                "old table as old_rows",
                format!(
                    "select {values}\n  from {}{missing}{filter}",
                    images("old_rows", "old", "")
                ),
            )
        }
        Event::Update => {
            let (new, old) = (row_text(spec, &NEW), row_text(spec, &OLD));
            let values = values(spec, event, &new, &old, &named(OLD.all, &spec.key), &history);
            // Both transition tables are filled row by row, so equal places are the same row, whatever became of
            // its key.
            let place = "row_number() over () as \"symstream place\", ";
            let select = format!(
                "select {values}\n  from {} join {} using (\"symstream place\"){}{filter}\n  \
                 order by old.\"symstream place\"",
                images("old_rows", "old", place),
                images("new_rows", "new", place),
                missing(spec)
            );
            ("old table as old_rows new table as new_rows", select)
        }
    };
    let body = format!(
        "{guard}  {insert}\n  {select};\n  {notify}\n  return null;\n",
        guard = guard(spec),
        insert = insert_into(spec),
        notify = notify_if_found(spec),
    );
    let when = format!(
        "after {} on {} referencing {referencing} for each statement",
        event.verb(),
        spec.table_name()
    );
    Parts {
        name: name(spec, event),
        event: Some(event),
        for_each_row: false,
        function: function_name(spec, &event.letter().to_lowercase()),
        variables: String::new(),
        body,
        when,
        // A plan that was made for one row would compare each row of a big update with each other.
        setting: (event == Event::Update).then_some("enable_nestloop = off"),
    }
    .render(spec)
}

fn row(spec: &TriggerSpec<'_>, event: Event) -> RenderedTrigger {
    let rows = [
        ("new_text", "new", event != Event::Delete),
        ("old_text", "old", event != Event::Insert),
    ];
    let rows = rows.into_iter().filter(|(_, _, has)| *has);
    let has_key = event != Event::Insert;
    // A partition may have its columns in another order than the table.
    let by_name = spec.leaves_out_columns() || spec.survey.is_partitioned;
    let whole: String = rows
        .clone()
        .map(|(text, image, _)| format!("    {text} := {};\n", csv(image)))
        .collect();
    let fields = |image: &str, names: &[&ColumnDef]| {
        let names: Vec<String> = names
            .iter()
            .map(|name| format!("{image}.{}", KIND.quote(&name.name)))
            .collect();
        csv(&format!("row({})", names.join(", ")))
    };
    let mut exact = match by_name {
        true => rows
            .map(|(text, image, _)| format!("    {text} := {};\n", fields(image, &spec.columns)))
            .collect(),
        false => whole.clone(),
    };
    if has_key {
        exact += &format!("    key_text := {};\n", fields("old", &spec.key));
    }
    // A column that is gone is an error here; to catch one costs a savepoint for each row.
    let texts = if by_name || has_key {
        format!(
            "  begin\n{exact}  exception when others then\n    history := {altered};\n{whole}  end;\n",
            altered = altered(spec, "shape")
        )
    } else {
        exact
    };
    let condition = event
        .condition(spec.trigger)
        .map(|sql| format!("  if ({sql}) is not true then return null; end if;\n"))
        .unwrap_or_default();
    let body = format!(
        "{guard}{condition}  shape := {table_shape}(relation);\n  history := {history};\n{texts}  {insert}\n  \
         values ({values});\n  {notify}\n  return null;\n",
        guard = guard(spec),
        // Asked by a variable, because in a statement that reads no table a constant would stay for ever.
        table_shape = spec.home_table("table_shape"),
        history = history(spec, "shape"),
        insert = insert_into(spec),
        values = values(spec, event, "new_text", "old_text", "key_text", "history"),
        notify = notify(spec),
    );
    Parts {
        name: name(spec, event),
        event: Some(event),
        for_each_row: true,
        function: function_name(spec, &event.letter().to_lowercase()),
        variables: format!(
            "  relation oid := {};\n  shape bigint;\n  history bigint;\n  new_text text;\n  old_text text;\n  \
             key_text text;\n",
            spec.survey.oid
        ),
        body,
        when: format!("after {} on {} for each row", event.verb(), spec.table_name()),
        setting: None,
    }
    .render(spec)
}

/// TRUNCATE gives no rows, so they are read before it.
fn truncate(spec: &TriggerSpec<'_>) -> RenderedTrigger {
    let event = Event::Delete;
    let filter = event
        .condition(spec.trigger)
        .map(|sql| format!(" where ({sql})"))
        .unwrap_or_default();
    let history = history(spec, &shape(spec));
    // A table's own rows; those of its partitions count as its own.
    let only = if spec.survey.is_partitioned { "" } else { "only " };
    let body = format!(
        "{guard}  {insert}\n  select {values}\n  from {rows}{missing}{filter};\n  \
         {notify}\n  return null;\n",
        guard = guard(spec),
        insert = insert_into(spec),
        values = values(
            spec,
            event,
            "null",
            &row_text(spec, &OLD),
            &named(OLD.all, &spec.key),
            &history
        ),
        rows = images(&format!("{only}{}", spec.table_name()), "old", ""),
        missing = missing(spec),
        notify = notify_if_found(spec),
    );
    Parts {
        name: format!("!{}", spec.generated_name("t")),
        event: None,
        for_each_row: false,
        function: function_name(spec, "t"),
        variables: String::new(),
        body,
        when: format!("before truncate on {} for each statement", spec.table_name()),
        setting: None,
    }
    .render(spec)
}

/// The loader's own writes, which it marks by a setting of its transaction.
fn guard(spec: &TriggerSpec<'_>) -> &'static str {
    if spec.trigger.on_incoming_batch {
        ""
    } else {
        "  if capture.origin is not null then return null; end if;\n"
    }
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

/// What the two statements that make a trigger are put together from.
struct Parts {
    name: String,
    event: Option<Event>,
    for_each_row: bool,
    function: String,
    variables: String,
    body: String,
    when: String,
    setting: Option<&'static str>,
}

impl Parts {
    fn render(self, spec: &TriggerSpec<'_>) -> RenderedTrigger {
        // Runs with its owner's rights, because the application's role may have none on sym_ tables; so everything
        // that its meaning depends on is pinned.
        let path: Vec<String> = spec
            .survey
            .search_path
            .iter()
            .map(|schema| KIND.quote(schema))
            .collect();
        let path = path
            .into_iter()
            .chain(["pg_temp".to_owned()])
            .collect::<Vec<_>>()
            .join(", ");
        let settings: String = settings_for(&spec.table.columns)
            .into_iter()
            .chain(self.setting)
            .map(|setting| format!("set {setting}\n"))
            .collect();
        let create = format!(
            "create or replace function {function}() returns trigger language plpgsql security definer\n\
             set search_path = {path}\n{settings}as {text}",
            function = self.function,
            text = dollar_quoted(&format!(
                "\n#variable_conflict use_column\n-- {mark}\n<<capture>>\ndeclare\n  \
                 origin text := nullif(current_setting('symstream.source_node', true), '');\n{variables}\
                 begin\n{body}end ",
                mark = spec.mark.text(spec.tables),
                variables = self.variables,
                body = self.body,
            )),
        );
        let attach = format!(
            "create or replace trigger {} {} execute function {}()",
            KIND.quote(&self.name),
            self.when,
            self.function
        );
        RenderedTrigger {
            name: self.name,
            event: self.event,
            for_each_row: self.for_each_row,
            function: Some(self.function),
            create: vec![create],
            attach: Some(attach),
        }
    }
}

/// What of the application's session would change how values of these types are written.
fn settings_for(columns: &[ColumnDef]) -> Vec<&'static str> {
    use LogicalType as L;
    // Arrays, ranges and composites may hold any of them.
    let has = |types: &[L]| {
        columns
            .iter()
            .any(|column| types.contains(&column.logical) || matches!(column.logical, L::Array | L::Other))
    };
    let mut settings = Vec::new();
    if has(&[L::Date, L::Timestamp, L::TimestampTz]) {
        settings.push("datestyle = 'ISO, YMD'");
    }
    if has(&[L::TimestampTz]) {
        settings.push("timezone = 'UTC'");
    }
    if has(&[L::Interval]) {
        settings.push("intervalstyle = 'postgres'");
    }
    if has(&[L::Float32, L::Float64]) {
        settings.push("extra_float_digits = 1");
    }
    if has(&[L::Bytes]) {
        settings.push("bytea_output = 'hex'");
    }
    if has(&[]) {
        settings.push("lc_monetary = 'C'");
    }
    settings
}
