//! The function and the trigger that calls it.

use super::{KIND, dollar_quoted};
use crate::dialect::trigger::{Event, RenderedTrigger, TriggerSpec};
use symstream_shared::catalog::ColumnDef;
use symstream_shared::logical::LogicalType;

/// How a trigger is fired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Statement,
    Row,
    Truncate,
}

/// What the two statements that make a trigger are put together from.
pub(super) struct Function {
    pub name: String,
    pub event: Event,
    pub kind: Kind,
    /// What the function's own name says it is for.
    pub what: String,
    pub variables: String,
    pub body: String,
    pub when: String,
    pub setting: Option<&'static str>,
}

impl Function {
    pub(super) fn render(self, spec: &TriggerSpec<'_>) -> RenderedTrigger {
        let function = self.qualified_name(spec);
        // Runs with its owner's rights, because the application's role may have none on sym_ tables; so everything
        // that its meaning depends on is pinned.
        let path: Vec<String> = spec
            .survey
            .search_path
            .iter()
            .map(|schema| KIND.quote(schema))
            .chain(["pg_temp".to_owned()])
            .collect();
        let settings: String = settings_for(&spec.table.columns)
            .into_iter()
            .chain(self.setting)
            .map(|setting| format!("set {setting}\n"))
            .collect();
        let create = format!(
            "create or replace function {function}() returns trigger language plpgsql security definer\n\
             set search_path = {path}\n{settings}as {text}",
            path = path.join(", "),
            text = dollar_quoted(&format!(
                "\n#variable_conflict use_column\n-- {mark}\n<<capture>>\ndeclare\n  \
                 origin text := nullif(current_setting('symstream.source_node', true), '');\n{variables}\
                 begin\n{body}end ",
                mark = spec.mark().text(spec.tables),
                variables = self.variables,
                body = self.body,
            )),
        );
        let attach = format!(
            "create or replace trigger {} {} execute function {function}()",
            KIND.quote(&self.name),
            self.when,
        );
        RenderedTrigger {
            name: self.name,
            event: self.event,
            is_truncate: self.kind == Kind::Truncate,
            for_each_row: self.kind == Kind::Row,
            create: vec![create],
            attach: Some(attach),
        }
    }

    fn qualified_name(&self, spec: &TriggerSpec<'_>) -> String {
        let function = KIND.quote(&spec.generated_name(&self.what));
        match &spec.survey.home {
            Some(home) => format!("{}.{function}", KIND.quote(home)),
            None => function,
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
