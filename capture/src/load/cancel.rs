//! Ending a load that nobody wants any more.

use super::book::UNFINISHED;
use super::extract::{info, publish};
use super::sender::Sender;
use crate::batch_store;
use crate::error::Error;
use crate::part_encoder::PartEncoder;
use crate::source::Source;
use symstream_shared::id::NodeId;
use symstream_shared::wire::LoadStep;

/// The load of a node that is to end.
pub(super) struct Cancelling {
    pub load_id: i64,
    pub node: NodeId,
    pub configuration_version: i64,
}

/// Tells the node that its lanes go on with what is there, and writes it down when that is published: so a crash leaves a
/// load that is cancelled again.
pub(super) async fn cancel(source: &Source, sender: &Sender, load: &Cancelling) -> Result<(), Error> {
    let tables = &source.tables;
    let batch_id = batch_store::give_out(source, 1).await?;
    let ids = (load.load_id, batch_id, load.configuration_version);
    let targets = [load.node.clone()];
    let spool = PartEncoder::new(info(source, ids, &targets, LoadStep::Cancelled)).finish_decided()?;
    publish(source, sender, ids, Some(&load.node), spool, 0).await?;
    let statement = format!(
        "update {} set status = 'CA', message = ?, end_time = {} where load_id = ? and node_id = ? \
         and status in {UNFINISHED}",
        tables.name("load"),
        source.database.kind().now()
    );
    let message = "initial_load_enabled was set to 0, or the node is not registered any more";
    let params = [message.into(), load.load_id.into(), load.node.as_str().into()];
    source.database.execute(&statement, &params).await?;
    tracing::info!(node_id = %load.node, load_id = load.load_id, "initial load is cancelled");
    Ok(())
}
