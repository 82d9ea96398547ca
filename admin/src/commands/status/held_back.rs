//! What the configuration holds back: disabled nodes, switched-off channels, suspended and ignored ones.

use crate::engine_args::EngineContext;
use crate::failure::Failure;
use crate::listing::Listing;
use symstream_shared::db::Sql;

/// What is held back, and what that means.
pub(super) async fn held_back(context: &EngineContext) -> Result<Listing, Failure> {
    let name = |table| context.tables.name(table);
    let node = format!(
        "select n.node_id, null from {} n join {} s on s.node_id = n.node_id \
         where coalesce(n.sync_enabled, 0) = 0 and s.registration_time is not null order by n.node_id",
        name("node"),
        name("node_security")
    );
    let channel = format!(
        "select null, channel_id from {} where enabled = 0 order by channel_id",
        name("channel")
    );
    let control = |column: &str| {
        format!(
            "select node_id, channel_id from {} where {column} <> 0 order by node_id, channel_id",
            name("node_channel_ctl")
        )
    };
    let kinds = [
        (
            node,
            "disabled",
            "no new changes are for the node; what was captured for it waits",
        ),
        (channel, "switched off", "its changes wait at their sources"),
        (
            control("suspend_enabled"),
            "suspended",
            "its batches wait, in order",
        ),
        (
            control("ignore_enabled"),
            "ignored",
            "its batches are marked OK without being sent",
        ),
    ];
    let mut listing = Listing::new(&["node", "channel", "state", "effect"]);
    let mut conn = context.database.conn().await?;
    for (query, state, effect) in kinds {
        for row in conn.query(&query, &[]).await? {
            listing.push(vec![
                row.opt_text(0)?.into(),
                row.opt_text(1)?.into(),
                state.into(),
                effect.into(),
            ]);
        }
    }
    Ok(listing)
}
