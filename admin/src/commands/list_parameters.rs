//! `symadmin list-parameters`

use crate::engine_args::EngineContext;
use crate::failure::Failure;
use crate::listing::Listing;
use serde_json::Value;
use symstream_shared::parameter::{self, Effective, Parameter, ParameterRow, Whose};

const COLUMNS: &[&str] = &[
    "parameter",
    "value",
    "unit",
    "default",
    "from",
    "problem",
    "description",
];

/// Parts of names whose values are not shown: an engine's key may have got into `sym_parameter` by mistake.
const SECRETS: [&str; 6] = ["password", "secret", "creds", "key", "token", "url"];

pub(super) async fn run(context: &EngineContext, json: bool) -> Result<(), Failure> {
    context.require_tables().await?;
    let mut conn = context.database.conn().await?;
    let rows = parameter::rows_for(&mut conn, &context.tables, &context.engine).await?;
    let mut listing = Listing::new(COLUMNS);
    for value in parameter::effective(&context.engine, &rows) {
        listing.push(known(&value));
    }
    for row in rows.iter().filter(|row| Parameter::named(&row.name).is_none()) {
        listing.push(unknown(context, row));
    }
    listing.print(json);
    Ok(())
}

fn known(effective: &Effective) -> Vec<Value> {
    let Effective {
        parameter,
        value,
        origin,
    } = effective;
    let (value, problem) = match parameter.canonical(value) {
        Ok(value) => (value, None),
        Err(err) => (value.clone(), Some(err.to_string())),
    };
    let given = |text: String| Some(text).filter(|text| !text.is_empty());
    vec![
        parameter.name.into(),
        given(value).into(),
        parameter.unit().into(),
        given(parameter.default.to_owned()).into(),
        origin.to_string().into(),
        problem.into(),
        parameter.doc.into(),
    ]
}

fn unknown(context: &EngineContext, row: &ParameterRow) -> Vec<Value> {
    let name = row.name.to_lowercase();
    let value = match SECRETS.iter().any(|secret| name.contains(secret)) {
        true => "(not shown)".to_owned(),
        false => row.value.clone(),
    };
    let problem = match Parameter::nearest(&row.name) {
        Some(nearest) => format!("unknown, has no effect; did you mean {}?", nearest.name),
        None => "unknown, has no effect".to_owned(),
    };
    vec![
        row.name.clone().into(),
        value.into(),
        Value::Null,
        Value::Null,
        row.origin(Whose::of(&context.engine))
            .map(|(origin, _)| origin.to_string())
            .into(),
        problem.into(),
        Value::Null,
    ]
}
