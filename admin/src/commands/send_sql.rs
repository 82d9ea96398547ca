//! `symadmin send-sql`

use super::node::{receiver, require_server};
use super::request::{Request, insert, require_channel};
use crate::engine_args::EngineContext;
use crate::failure::Failure;
use symstream_shared::db::TxKind;
use symstream_shared::id::ChannelId;
use symstream_shared::model::Config;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The node's id, or its external id
    #[arg(value_name = "NODE")]
    node: String,
    /// One statement in the SQL of the node's database
    #[arg(value_name = "SQL")]
    sql: String,
    /// The channel in which the statement takes its place [default: the enabled one with the lowest processing_order]
    #[arg(long, value_name = "CHANNEL")]
    channel: Option<String>,
}

pub(super) async fn run(context: &EngineContext, args: &Args) -> Result<(), Failure> {
    require_server(context, "send-sql")?;
    if args.sql.trim().is_empty() {
        return Err(Failure::Usage("the SQL is empty".to_owned()));
    }
    context.require_tables().await?;
    let mut tx = context.database.begin(TxKind::Write).await?;
    let (config, node) = receiver(&mut tx, context, &args.node).await?;
    let channel = channel(&config, args.channel.as_deref())?;
    require_channel(&config, &node.node_id, &channel)?;
    insert(
        &mut tx,
        context,
        &node.node_id,
        &channel,
        &Request::Statement(&args.sql),
    )
    .await?;
    tx.commit().await?;
    let (engine, node) = (&context.engine.name, &node.node_id);
    eprintln!(
        "the statement for node {node} has its place in channel {channel}; what becomes of it: \
         symadmin --engine {engine} list-batches --node {node}"
    );
    Ok(())
}

fn channel(config: &Config, given: Option<&str>) -> Result<ChannelId, Failure> {
    let channels = || {
        let channels = config.channels.values();
        channels.filter(|channel| !channel.channel_id.is_reload())
    };
    let Some(given) = given else {
        return channels()
            .filter(|channel| channel.enabled)
            .min_by_key(|channel| (channel.processing_order, &channel.channel_id))
            .map(|channel| channel.channel_id.clone())
            .ok_or_else(|| Failure::Failed("no channel is enabled; name one with --channel".to_owned()));
    };
    if given == ChannelId::RELOAD {
        return Err(Failure::Failed(format!(
            "channel {given} is for initial loads only; a statement takes its place among the changes of another one"
        )));
    }
    let mut known: Vec<&str> = channels().map(|channel| channel.channel_id.as_str()).collect();
    known.sort_unstable();
    channels()
        .map(|channel| &channel.channel_id)
        .find(|channel| channel.as_str() == given)
        .cloned()
        .ok_or_else(|| {
            Failure::Failed(format!(
                "there is no channel {given}; there are {}",
                known.join(", ")
            ))
        })
}
