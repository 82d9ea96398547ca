//! `symadmin suspend`, `resume`, `ignore`

use super::node::{find, require_server};
use crate::engine_args::EngineContext;
use crate::failure::Failure;
use symstream_shared::db::{Param, Sql, Tx, TxKind};
use symstream_shared::id::ChannelId;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The node's id, or its external id
    #[arg(value_name = "NODE")]
    node: String,
    /// The channel, as sym_channel has it; reload: initial loads
    #[arg(value_name = "CHANNEL")]
    channel: String,
}

/// What is to be done with a node's channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// Its batches wait.
    Suspend,
    /// Its batches are marked OK without being sent.
    Ignore,
    /// Neither of both any more.
    Resume,
}

impl Action {
    fn as_str(self) -> &'static str {
        match self {
            Self::Suspend => "suspend",
            Self::Ignore => "ignore",
            Self::Resume => "resume",
        }
    }

    /// The columns that it sets, all of them to the same.
    fn columns(self) -> (&'static [&'static str], i64) {
        match self {
            Self::Suspend => (&["suspend_enabled"], 1),
            Self::Ignore => (&["ignore_enabled"], 1),
            Self::Resume => (&["suspend_enabled", "ignore_enabled"], 0),
        }
    }
}

pub(super) async fn run(context: &EngineContext, args: &Args, action: Action) -> Result<(), Failure> {
    require_server(context, action.as_str())?;
    context.require_tables().await?;
    let mut tx = context.database.begin(TxKind::Write).await?;
    let node = find(&mut tx, context, &args.node).await?;
    let channel = known_channel(&mut tx, context, &args.channel).await?;
    let was_ignored = is_ignored(&mut tx, context, node.as_str(), &channel).await?;
    let (columns, value) = action.columns();
    let statement = format!(
        "insert into {} (node_id, channel_id, {}) values (?, ?{}){}",
        context.tables.name("node_channel_ctl"),
        columns.join(", "),
        ", ?".repeat(columns.len()),
        tx.kind().or_update(&["node_id", "channel_id"], columns)
    );
    let mut params: Vec<Param> = vec![node.as_str().into(), channel.as_str().into()];
    params.extend(columns.iter().map(|_| Param::Int(value)));
    tx.execute(&statement, &params).await?;
    tx.commit().await?;
    eprintln!("{}", what_holds(action, node.as_str(), &channel, was_ignored));
    Ok(())
}

fn what_holds(action: Action, node: &str, channel: &str, was_ignored: bool) -> String {
    match action {
        Action::Suspend => format!(
            "channel {channel} is suspended for node {node}: its batches wait, in order, until symadmin resume {node} {channel}"
        ),
        Action::Ignore => format!(
            "channel {channel} is ignored for node {node}: its batches are marked OK without being sent, until \
             symadmin resume {node} {channel}"
        ),
        Action::Resume if was_ignored => format!(
            "channel {channel} runs again for node {node}; what was ignored was not sent: symadmin reload-table sends \
             tables again"
        ),
        Action::Resume => format!("channel {channel} runs again for node {node}"),
    }
}

async fn known_channel(tx: &mut Tx, context: &EngineContext, name: &str) -> Result<String, Failure> {
    let table = context.tables.name("channel");
    let query = format!("select channel_id from {table} order by channel_id");
    let rows = tx.query(&query, &[]).await?;
    let mut known = rows
        .iter()
        .map(|row| row.text(0))
        .collect::<Result<Vec<_>, _>>()?;
    if !known.iter().any(|channel| channel == ChannelId::RELOAD) {
        known.push(ChannelId::RELOAD.to_owned());
    }
    match known.iter().position(|channel| channel == name) {
        Some(at) => Ok(known.swap_remove(at)),
        None => Err(Failure::Failed(format!(
            "channel {name} is not in {table}; there are {}",
            known.join(", ")
        ))),
    }
}

async fn is_ignored(
    tx: &mut Tx,
    context: &EngineContext,
    node: &str,
    channel: &str,
) -> Result<bool, Failure> {
    let query = format!(
        "select ignore_enabled from {} where node_id = ? and channel_id = ?",
        context.tables.name("node_channel_ctl")
    );
    let row = tx.query_opt(&query, &[node.into(), channel.into()]).await?;
    Ok(row.map(|row| row.opt_int(0)).transpose()?.flatten().unwrap_or(0) != 0)
}
