//! `symadmin list-nodes`

use super::{flag, text};
use crate::engine_args::EngineContext;
use crate::failure::Failure;
use crate::listing::Listing;

const COLUMNS: &[&str] = &[
    "node_id",
    "group",
    "external_id",
    "sync_enabled",
    "registration",
    "registered",
    "registration_time",
    "load_requested",
    "needs_reload",
    "loading",
    "heartbeat_time",
    "timezone_offset",
    "database_type",
    "database_version",
    "symmetric_version",
    "schema_version",
    "created_at_node_id",
    "sync_url",
];

pub(super) async fn run(context: &EngineContext, json: bool) -> Result<(), Failure> {
    context.require_tables().await?;
    let kind = context.database.kind();
    let query = format!(
        "select n.node_id, n.node_group_id, n.external_id, n.sync_enabled, s.registration_enabled, {}, \
         s.initial_load_enabled, i.node_id, {}, n.timezone_offset, n.database_type, n.database_version, \
         n.symmetric_version, n.schema_version, n.created_at_node_id, n.sync_url, \
         (select r.reason from {} r where r.node_id = n.node_id), \
         (select max(l.status) from {load} l where l.node_id = n.node_id and l.status in ('RQ', 'NE', 'SE', 'AB') \
         and l.load_id = (select max(m.load_id) from {load} m where m.node_id = n.node_id)) \
         from {} n left join {} s on s.node_id = n.node_id left join {} i on i.node_id = n.node_id \
         order by n.node_group_id, n.node_id",
        kind.time_as_text("s.registration_time"),
        kind.time_as_text("n.heartbeat_time"),
        context.tables.name("reload_need"),
        context.tables.name("node"),
        context.tables.name("node_security"),
        context.tables.name("node_identity"),
        load = context.tables.name("load"),
    );
    let mut listing = Listing::new(COLUMNS);
    for row in context.database.query(&query, &[]).await? {
        let registered = row.opt_text(5)?.is_some();
        let registration = match (row.opt_text(7)?, row.opt_int(4)?) {
            (Some(_), _) => "own node",
            (None, Some(1)) if registered => "registered, open again",
            (None, Some(1)) => "open",
            (None, _) if registered => "registered",
            (None, _) => "closed",
        };
        let mut values = vec![
            text(&row, 0)?,
            text(&row, 1)?,
            text(&row, 2)?,
            flag(&row, 3)?,
            registration.into(),
            registered.into(),
            text(&row, 5)?,
            flag(&row, 6)?,
            text(&row, 16)?,
            text(&row, 17)?,
        ];
        for column in 8..=15 {
            values.push(text(&row, column)?);
        }
        listing.push(values);
    }
    listing.print(json);
    Ok(())
}
