//! What the tables say about one batch.

use super::{int, text};
use crate::engine_args::EngineContext;
use crate::failure::Failure;
use crate::listing::Listing;
use symstream_shared::db::Param;

/// Which batch.
pub(super) struct BatchKey<'a> {
    pub batch_id: i64,
    /// `None`: at all nodes.
    pub node: Option<&'a str>,
}

impl BatchKey<'_> {
    fn params(&self) -> Vec<Param> {
        std::iter::once(Param::from(self.batch_id))
            .chain(self.node.map(Param::from))
            .collect()
    }

    /// The condition on a table with both columns.
    fn condition(&self, alias: &str) -> String {
        let node = if self.node.is_some() {
            format!(" and {alias}.node_id = ?")
        } else {
            String::new()
        };
        format!("{alias}.batch_id = ?{node}")
    }
}

/// The batch where it was captured and sent.
pub(super) async fn outgoing(context: &EngineContext, key: &BatchKey<'_>) -> Result<Listing, Failure> {
    let query = format!(
        "select b.node_id, b.channel_id, b.batch_type, b.status, {} from {} b where {} order by b.node_id",
        context.database.kind().time_as_text("b.create_time"),
        context.tables.name("outgoing_batch"),
        key.condition("b"),
    );
    let mut listing = Listing::new(&["to_node", "channel", "type", "status", "created"]);
    for row in context.database.query(&query, &key.params()).await? {
        listing.push(vec![
            text(&row, 0)?,
            text(&row, 1)?,
            text(&row, 2)?,
            text(&row, 3)?,
            text(&row, 4)?,
        ]);
    }
    Ok(listing)
}

/// The batch where it was received.
pub(super) async fn incoming(context: &EngineContext, key: &BatchKey<'_>) -> Result<Listing, Failure> {
    let query = format!(
        "select b.node_id, b.status, {} from {} b where {} order by b.node_id",
        context.database.kind().time_as_text("b.create_time"),
        context.tables.name("incoming_batch"),
        key.condition("b"),
    );
    let mut listing = Listing::new(&["from_node", "status", "created"]);
    for row in context.database.query(&query, &key.params()).await? {
        listing.push(vec![text(&row, 0)?, text(&row, 1)?, text(&row, 2)?]);
    }
    Ok(listing)
}

const HISTORY: &[&str] = &[
    "node_id",
    "status",
    "start_time",
    "end_time",
    "failed_at",
    "sql_state",
    "sql_code",
    "message",
    "network_ms",
    "filter_ms",
    "database_ms",
    "host",
];

/// The changes of the batch's status. `table` is one of the history tables, `failed` its column that names the
/// row that failed.
pub(super) async fn history(
    context: &EngineContext,
    key: &BatchKey<'_>,
    table: &str,
    failed: &str,
) -> Result<Listing, Failure> {
    let kind = context.database.kind();
    let query = format!(
        "select h.node_id, h.status, {}, {}, h.{failed}, h.sql_state, h.sql_code, h.sql_message, h.network_millis, \
         h.filter_millis, h.database_millis, h.hostname from {} h where {} order by h.node_id, h.end_time",
        kind.time_as_text("h.start_time"),
        kind.time_as_text("h.end_time"),
        context.tables.name(table),
        key.condition("h"),
    );
    let mut listing = Listing::new(HISTORY);
    for row in context.database.query(&query, &key.params()).await? {
        listing.push(vec![
            text(&row, 0)?,
            text(&row, 1)?,
            text(&row, 2)?,
            text(&row, 3)?,
            int(&row, 4)?,
            text(&row, 5)?,
            int(&row, 6)?,
            text(&row, 7)?,
            int(&row, 8)?,
            int(&row, 9)?,
            int(&row, 10)?,
            text(&row, 11)?,
        ]);
    }
    Ok(listing)
}

/// The batch's first rows, in the order of their ids, with the nodes that they are for; `*<group>` stands for all of a
/// group's nodes that the batch is for.
pub(super) async fn rows(
    context: &EngineContext,
    key: &BatchKey<'_>,
    limit: u32,
) -> Result<Listing, Failure> {
    let mut params = vec![Param::from(key.batch_id)];
    let mut condition = String::from("e.batch_id = ?");
    if let Some(node) = key.node {
        let group = format!(
            "select node_group_id from {} where node_id = ?",
            context.tables.name("node")
        );
        let row = context.database.query_opt(&group, &[node.into()]).await?;
        let group = row.map(|row| row.text(0)).transpose()?;
        condition.push_str(" and e.node_id in (?, ?)");
        params.extend([node.into(), format!("*{}", group.unwrap_or_default()).into()]);
    }
    let query = format!(
        "select e.node_id, d.data_id, d.event_type, d.table_name, d.pk_data, d.row_data \
         from {} e join {} d on d.data_id = e.data_id where {condition} order by d.data_id, e.node_id limit {limit}",
        context.tables.name("data_event"),
        context.tables.name("data"),
    );
    let mut listing = Listing::new(&["to_node", "data_id", "event", "table", "pk_data", "row_data"]);
    for row in context.database.query(&query, &params).await? {
        listing.push(vec![
            text(&row, 0)?,
            int(&row, 1)?,
            text(&row, 2)?,
            text(&row, 3)?,
            text(&row, 4)?,
            text(&row, 5)?,
        ]);
    }
    Ok(listing)
}

/// The batch as capture cut it, before it was routed.
pub(super) async fn captured(context: &EngineContext, batch_id: i64) -> Result<Listing, Failure> {
    let query = format!(
        "select channel_id, batch_type, target_node_id, data_count, routed, {} from {} where batch_id = ?",
        context.database.kind().time_as_text("create_time"),
        context.tables.name("capture_batch"),
    );
    let mut listing = Listing::new(&["channel", "type", "only_for_node", "rows", "routed", "created"]);
    for row in context.database.query(&query, &[batch_id.into()]).await? {
        listing.push(vec![
            text(&row, 0)?,
            text(&row, 1)?,
            text(&row, 2)?,
            int(&row, 3)?,
            super::flag(&row, 4)?,
            text(&row, 5)?,
        ]);
    }
    Ok(listing)
}
