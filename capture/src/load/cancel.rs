//! Ending a load that nobody wants any more.

use super::book::UNFINISHED;
use super::extract::{info, publish};
use super::sender::Sender;
use crate::batch_store;
use crate::error::Error;
use crate::part_encoder::PartEncoder;
use crate::reload_need;
use crate::source::Source;
use symstream_shared::db::{Sql, TxKind};
use symstream_shared::id::NodeId;
use symstream_shared::schema::Tables;
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
    let mut tx = source.database.begin(TxKind::Write).await?;
    let statement = format!(
        "update {} set status = 'CA', message = ?, end_time = {} where load_id = ? and node_id = ? \
         and status in {UNFINISHED}",
        tables.name("load"),
        tx.kind().now()
    );
    let message = "initial_load_enabled was set to 0, or the node is not registered any more";
    let params = [message.into(), load.load_id.into(), load.node.as_str().into()];
    let is_cancelled = tx.execute(&statement, &params).await? > 0;
    let is_owed = is_cancelled && is_owed(&mut tx, tables, load).await?;
    if is_owed {
        let reason = format!(
            "changes were kept from it that load {} was to bring, which was cancelled",
            load.load_id
        );
        reload_need::add(&mut tx, tables, &load.node, &reason).await?;
    }
    tx.commit().await?;
    if is_owed {
        tracing::warn!(
            node_id = %load.node, load_id = load.load_id,
            "the initial load that was cancelled was to bring what was kept from the node: it is sent nothing until it was \
             loaded; where that is not wanted any more, disable or remove it"
        );
    } else {
        tracing::info!(node_id = %load.node, load_id = load.load_id, "initial load is cancelled");
    }
    Ok(())
}

/// Whether it was to bring changes that were kept from the node: nobody sends these again, so it needs another load.
async fn is_owed(tx: &mut dyn Sql, tables: &Tables, load: &Cancelling) -> Result<bool, Error> {
    let statement = format!(
        "select 1 from {} where load_id = ? and node_id = ? and clear_first = 1",
        tables.name("load")
    );
    let key = [load.load_id.into(), load.node.as_str().into()];
    Ok(tx.query_opt(&statement, &key).await?.is_some())
}
