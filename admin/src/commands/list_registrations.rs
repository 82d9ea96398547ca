//! `symadmin list-registrations`

use super::node::require_server;
use super::{int, text};
use crate::engine_args::EngineContext;
use crate::failure::Failure;
use crate::listing::Listing;

const COLUMNS: &[&str] = &[
    "group",
    "external_id",
    "status",
    "node_id",
    "attempts",
    "last",
    "message",
    "expires",
    "sync_url",
];

pub(super) async fn run(context: &EngineContext, json: bool) -> Result<(), Failure> {
    require_server(context, "list-registrations")?;
    context.require_tables().await?;
    let kind = context.database.kind();
    let query = format!(
        "select node_group_id, external_id, status, registered_node_id, attempt_count, {}, error_message, {}, \
         sync_url, case when expire_time <= {} then 1 else 0 end from {} order by node_group_id, external_id",
        kind.time_as_text("last_updated_time"),
        kind.time_as_text("expire_time"),
        kind.now(),
        context.tables.name("registration_request"),
    );
    let mut listing = Listing::new(COLUMNS);
    for row in context.database.query(&query, &[]).await? {
        let status = match (row.text(2)?.as_str(), row.int(9)?) {
            ("RQ", _) => "asked",
            ("OP", 0) => "open",
            ("OP", _) => "expired",
            ("OK", _) => "registered",
            _ => "closed",
        };
        listing.push(vec![
            text(&row, 0)?,
            text(&row, 1)?,
            status.into(),
            text(&row, 3)?,
            int(&row, 4)?,
            text(&row, 5)?,
            text(&row, 6)?,
            text(&row, 7)?,
            text(&row, 8)?,
        ]);
    }
    listing.print(json);
    Ok(())
}
