//! `S` and `R` events: rows of `sym_data` that no trigger wrote.

use crate::engine_args::EngineContext;
use crate::failure::Failure;
use symstream_shared::csv;
use symstream_shared::db::{Param, Sql};
use symstream_shared::id::{ChannelId, NodeId};
use symstream_shared::model::Config;

/// One event.
pub(super) enum Request<'a> {
    /// `S`: a statement to be run.
    Statement(&'a str),
    /// `R`: a table to be sent again.
    Reload {
        /// The active history of the trigger that captures it.
        hist_id: i64,
        /// The table, as the history names it.
        table: &'a str,
        /// Which of its rows; all where there is none.
        condition: Option<&'a str>,
    },
}

/// Writes the event for `node` into its place in the channel.
pub(super) async fn insert(
    tx: &mut dyn Sql,
    context: &EngineContext,
    node: &NodeId,
    channel: &ChannelId,
    request: &Request<'_>,
) -> Result<(), Failure> {
    let (letter, table, hist_id, row_data) = match request {
        Request::Statement(sql) => ("S", "", 0, Some(*sql)),
        Request::Reload {
            hist_id,
            table,
            condition,
        } => ("R", *table, *hist_id, *condition),
    };
    let statement = format!(
        "insert into {} (table_name, event_type, row_data, pk_data, trigger_hist_id, create_time, channel_id) \
         values (?, ?, ?, ?, ?, {}, ?)",
        context.tables.name("data"),
        tx.kind().now()
    );
    let params = [
        Param::from(table),
        letter.into(),
        row_data.map(|text| csv::encode([Some(text)])).into(),
        csv::encode_names([node.as_str()]).into(),
        hist_id.into(),
        channel.as_str().into(),
    ];
    tx.execute(&statement, &params).await?;
    Ok(())
}

/// Makes sure that what is written into the channel will reach the node some time.
pub(super) fn require_channel(config: &Config, node: &NodeId, channel: &ChannelId) -> Result<(), Failure> {
    let control = config.control(node, channel);
    if control.ignored {
        return Err(Failure::Failed(format!(
            "channel {channel} is ignored for node {node}: the request would be marked OK without being carried out; \
             symadmin resume {node} {channel} ends that"
        )));
    }
    let is_off = config
        .channels
        .get(channel)
        .is_some_and(|channel| !channel.enabled);
    for (waits, why) in [
        (is_off, "switched off"),
        (control.suspended, "suspended for the node"),
    ] {
        if waits {
            eprintln!("channel {channel} is {why}: the request waits until that ends");
        }
    }
    Ok(())
}
