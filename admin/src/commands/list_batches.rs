//! `symadmin list-batches`

use super::{int, text};
use crate::engine_args::EngineContext;
use crate::failure::Failure;
use crate::listing::Listing;
use serde_json::Value;
use symstream_shared::batch_status::BatchStatus;
use symstream_shared::db::Param;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only batches to or from this node
    #[arg(long, value_name = "NODE")]
    node: Option<String>,
    /// Only batches of this channel (incoming batches are listed without one)
    #[arg(long, value_name = "CHANNEL")]
    channel: Option<String>,
    /// Only batches with this status: NE, SE, OK, ER
    #[arg(long, value_name = "STATUS", value_parser = parse_status)]
    status: Option<BatchStatus>,
    /// At most so many
    #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn parse_status(status: &str) -> Result<BatchStatus, String> {
    status
        .to_ascii_uppercase()
        .parse::<BatchStatus>()
        .map_err(|err| err.to_string())
}

const COLUMNS: &[&str] = &[
    "direction",
    "batch_id",
    "node_id",
    "channel",
    "type",
    "status",
    "created",
    "rows",
    "error",
];
const CREATED: usize = 6;

pub(super) async fn run(context: &EngineContext, args: &Args) -> Result<(), Failure> {
    context.require_tables().await?;
    let mut rows = outgoing(context, args).await?;
    if args.channel.is_none() {
        rows.extend(incoming(context, args).await?);
    }
    rows.sort_by(|a, b| b[CREATED].as_str().cmp(&a[CREATED].as_str()));
    rows.truncate(args.limit as usize);
    let mut listing = Listing::new(COLUMNS);
    rows.into_iter().for_each(|row| listing.push(row));
    listing.print(args.json);
    Ok(())
}

/// The conditions that the arguments ask for, with their parameters.
fn conditions(args: &Args) -> (String, Vec<Param>) {
    let mut sql = String::from("1 = 1");
    let mut params = Vec::new();
    let status = args.status.map(BatchStatus::as_str);
    for (column, value) in [
        ("node_id", args.node.as_deref()),
        ("channel_id", args.channel.as_deref()),
        ("status", status),
    ] {
        if let Some(value) = value {
            sql.push_str(&format!(" and b.{column} = ?"));
            params.push(Param::from(value));
        }
    }
    (sql, params)
}

async fn outgoing(context: &EngineContext, args: &Args) -> Result<Vec<Vec<Value>>, Failure> {
    let (conditions, params) = conditions(args);
    let history = context.tables.name("outgoing_batch_hist");
    let query = format!(
        "select b.batch_id, b.node_id, b.channel_id, b.batch_type, b.status, {created}, \
         (select max(h.data_event_count) from {history} h where h.batch_id = b.batch_id and h.node_id = b.node_id), \
         case when b.status = 'ER' then (select h.sql_message from {history} h where h.batch_id = b.batch_id \
         and h.node_id = b.node_id and h.status = 'ER' order by h.end_time desc limit 1) end \
         from {batch} b where {conditions} order by b.create_time desc, b.batch_id desc limit {limit}",
        created = context.database.kind().time_as_text("b.create_time"),
        batch = context.tables.name("outgoing_batch"),
        limit = args.limit,
    );
    let mut rows = Vec::new();
    for row in context.database.query(&query, &params).await? {
        rows.push(vec![
            "out".into(),
            int(&row, 0)?,
            text(&row, 1)?,
            text(&row, 2)?,
            text(&row, 3)?,
            text(&row, 4)?,
            text(&row, 5)?,
            int(&row, 6)?,
            text(&row, 7)?,
        ]);
    }
    Ok(rows)
}

async fn incoming(context: &EngineContext, args: &Args) -> Result<Vec<Vec<Value>>, Failure> {
    let (conditions, params) = conditions(args);
    let query = format!(
        "select b.batch_id, b.node_id, b.status, {created}, \
         case when b.status = 'ER' then (select h.sql_message from {history} h where h.batch_id = b.batch_id \
         and h.node_id = b.node_id and h.status = 'ER' order by h.end_time desc limit 1) end \
         from {batch} b where {conditions} order by b.create_time desc, b.batch_id desc limit {limit}",
        created = context.database.kind().time_as_text("b.create_time"),
        history = context.tables.name("incoming_batch_hist"),
        batch = context.tables.name("incoming_batch"),
        limit = args.limit,
    );
    let mut rows = Vec::new();
    for row in context.database.query(&query, &params).await? {
        rows.push(vec![
            "in".into(),
            int(&row, 0)?,
            text(&row, 1)?,
            Value::Null,
            Value::Null,
            text(&row, 2)?,
            text(&row, 3)?,
            Value::Null,
            text(&row, 4)?,
        ]);
    }
    Ok(rows)
}
