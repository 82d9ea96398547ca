//! The tables that SymStream has beyond the seed's.

use super::definition::{ColumnSpec as C, Default as D, IndexSpec, TableSpec};

pub(super) const TABLES: &[TableSpec] = &[
    // Counters and positions of the node's agents, by name.
    TableSpec {
        name: "state",
        columns: &[
            C::varchar("state_key", 100).required(),
            C::long_varchar("state_value"),
        ],
        key: &["state_key"],
        indexes: &[],
    },
    // The batches that capture cut, with their rows, written before they are published.
    TableSpec {
        name: "capture_batch",
        columns: &[
            C::big_int("batch_id").required(),
            C::varchar("channel_id", 50).required(),
            C::char("batch_type", 2).required().default(D::Text("EV")),
            C::varchar("target_node_id", 50),
            // Runs of data_ids in the order in which they are applied, both ends included: `5-7,9,1-4`.
            C::long_varchar("data_ranges"),
            C::big_int("data_count").required().default(D::Int(0)),
            C::big_int("configuration_version").required().default(D::Int(0)),
            C::timestamp("create_time"),
            C::boolean_int("routed").required().default(D::Int(0)),
        ],
        key: &["batch_id"],
        indexes: &[IndexSpec {
            columns: &["routed", "channel_id", "batch_id"],
            only: None,
            filter: None,
        }],
    },
    // How far the loader is in each lane, and what holds it.
    TableSpec {
        name: "incoming_lane",
        columns: &[
            C::varchar("source_node_id", 50).required(),
            C::varchar("channel_id", 50).required(),
            C::big_int("batch_id").required().default(D::Int(0)),
            C::big_int("held_batch_id"),
            C::int("attempt_count").required().default(D::Int(0)),
            C::timestamp("next_attempt_time"),
            C::timestamp("update_time"),
            // An `S` batch whose statement was begun and may have committed by itself.
            C::big_int("statement_batch_id"),
        ],
        key: &["source_node_id", "channel_id"],
        indexes: &[],
    },
    // Parts that wait: for the rest of their batch, or for a held lane.
    TableSpec {
        name: "incoming_spool",
        columns: &[
            C::varchar("source_node_id", 50).required(),
            C::varchar("channel_id", 50).required(),
            C::big_int("batch_id").required(),
            C::int("part").required(),
            C::int("part_last").required(),
            C::big_int("previous_batch_id").required(),
            C::bytes("body").required(),
            C::timestamp("receive_time"),
            C::big_int("sent_ms"),
        ],
        key: &["source_node_id", "channel_id", "batch_id", "part"],
        indexes: &[],
    },
];
