//! `symadmin show-batch`

use super::batch_rows::{self, BatchKey};
use crate::engine_args::EngineContext;
use crate::failure::Failure;
use crate::listing::{Listing, print_json, print_text};
use serde_json::json;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The batch's id
    #[arg(value_name = "BATCH")]
    batch: i64,
    /// Only what belongs to this node
    #[arg(long, value_name = "NODE")]
    node: Option<String>,
    /// At most so many of its rows
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    rows: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(context: &EngineContext, args: &Args) -> Result<(), Failure> {
    context.require_tables().await?;
    let key = BatchKey {
        batch_id: args.batch,
        node: args.node.as_deref(),
    };
    let captured = batch_rows::captured(context, args.batch).await?;
    let outgoing = batch_rows::outgoing(context, &key).await?;
    let incoming = batch_rows::incoming(context, &key).await?;
    if captured.is_empty() && outgoing.is_empty() && incoming.is_empty() {
        let node = args
            .node
            .as_ref()
            .map_or(String::new(), |node| format!(" for node {node}"));
        return Err(Failure::Failed(format!(
            "engine {} has no batch {}{node}; see: symadmin --engine {} list-batches",
            context.engine.name, args.batch, context.engine.name
        )));
    }
    let outgoing_history =
        batch_rows::history(context, &key, "outgoing_batch_hist", "failed_data_id").await?;
    let incoming_history =
        batch_rows::history(context, &key, "incoming_batch_hist", "failed_row_number").await?;
    let rows = batch_rows::rows(context, &key, args.rows).await?;
    if args.json {
        print_json(&json!({
            "batch_id": args.batch,
            "captured": captured.json(),
            "outgoing": outgoing.json(),
            "outgoing_history": outgoing_history.json(),
            "incoming": incoming.json(),
            "incoming_history": incoming_history.json(),
            "rows": rows.json(),
        }));
        return Ok(());
    }
    let sections: [(&str, &Listing); 6] = [
        ("captured here", &captured),
        ("sent from here", &outgoing),
        ("what became of it (failed at: data id)", &outgoing_history),
        ("received here", &incoming),
        (
            "what became of it here (failed at: row number)",
            &incoming_history,
        ),
        ("rows", &rows),
    ];
    for (title, listing) in sections.into_iter().filter(|(_, listing)| !listing.is_empty()) {
        print_text(&format!("{title}:\n{}\n", listing.text()));
    }
    Ok(())
}
