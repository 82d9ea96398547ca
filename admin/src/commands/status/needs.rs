//! Nodes that need a reload.

use super::super::{flag, text};
use crate::engine_args::EngineContext;
use crate::failure::Failure;
use crate::listing::Listing;

/// Which, why, since when, when they were heard of last, and whether what waited for them is gone.
pub(super) async fn needs(context: &EngineContext) -> Result<Listing, Failure> {
    let kind = context.database.kind();
    let query = format!(
        "select node_id, reason, {}, {}, freed from {} order by node_id",
        kind.time_as_text("create_time"),
        kind.time_as_text("contact_time"),
        context.tables.name("reload_need"),
    );
    let mut listing = Listing::new(&["node", "reason", "since", "last_contact", "freed"]);
    for row in context.database.query(&query, &[]).await? {
        listing.push(vec![
            text(&row, 0)?,
            text(&row, 1)?,
            text(&row, 2)?,
            text(&row, 3)?,
            flag(&row, 4)?,
        ]);
    }
    Ok(listing)
}
