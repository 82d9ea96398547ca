//! What a target says of itself beside what became of batches.
//!
//! A node that needs a reload is loaded when it was heard of and everything that it had to send is applied here: only
//! then does the load's snapshot know its changes.

use crate::error::Error;
use crate::reload_need;
use crate::source::now_ms;
use symstream_shared::db::{Param, Sql};
use symstream_shared::schema::Tables;
use symstream_shared::wire::{Contact, StatusReport};

/// Records it.
pub(super) async fn record(
    tx: &mut dyn Sql,
    tables: &Tables,
    report: &StatusReport,
    contact: &Contact,
) -> Result<(), Error> {
    let node = &report.target;
    // A node wants it until the load has begun there; one that is on its way already is what it wants.
    if let Some(reason) = &contact.reload_wanted
        && !reload_need::is_loading(tx, tables, node).await?
        && reload_need::add(tx, tables, node, reason).await?
    {
        tracing::warn!(node_id = %node, %reason, "a node asks to be loaded anew; it is sent nothing until then");
    }
    let statement = format!(
        "update {} set contact_time = ? where node_id = ?",
        tables.name("reload_need")
    );
    let params = [Param::Time(now_ms()), node.as_str().into()];
    if tx.execute(&statement, &params).await? == 0 || contact.unsent > 0 {
        return Ok(());
    }
    let statement = format!(
        "update {} set initial_load_enabled = 1, initial_load_time = null where node_id = ? \
         and coalesce(initial_load_enabled, 0) = 0",
        tables.name("node_security")
    );
    if tx.execute(&statement, &[node.as_str().into()]).await? > 0 {
        tracing::info!(node_id = %node, "the node is back and has sent what it had: it is loaded anew");
    }
    Ok(())
}
