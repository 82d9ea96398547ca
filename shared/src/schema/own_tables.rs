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
            // The initial load that an `IL` batch belongs to.
            C::big_int("load_id"),
            // What its messages took, once they were published.
            C::big_int("byte_count").required().default(D::Int(0)),
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
            // The batch from which on the node takes part in its group's lane.
            C::big_int("group_batch_id"),
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
            // The initial load that the batch belongs to (channel `reload`) or waits for.
            C::big_int("load_id"),
        ],
        key: &["source_node_id", "channel_id", "batch_id", "part"],
        indexes: &[],
    },
    // Initial loads of other nodes from this one: what was read and sent, and what became of it.
    TableSpec {
        name: "load",
        columns: &[
            C::big_int("load_id").required(),
            C::varchar("node_id", 50).required(),
            // NE: its snapshot is taken; SE: all of it is published; OK; CA: cancelled; AB: interrupted, another follows.
            C::char("status", 2).required().default(D::Text("NE")),
            C::varchar("reason", 255),
            C::boolean_int("clear_first").required().default(D::Int(0)),
            C::int("table_count").required().default(D::Int(0)),
            C::int("tables_sent").required().default(D::Int(0)),
            C::varchar("current_table", 512),
            // How many rows the tables have, as far as their statistics tell.
            C::big_int("row_estimate").required().default(D::Int(0)),
            C::big_int("rows_sent").required().default(D::Int(0)),
            C::big_int("rows_loaded").required().default(D::Int(0)),
            C::timestamp("create_time"),
            C::timestamp("sent_time"),
            C::timestamp("end_time"),
            C::long_varchar("message"),
        ],
        key: &["load_id", "node_id"],
        indexes: &[IndexSpec {
            columns: &["node_id", "status"],
            only: None,
            filter: None,
        }],
    },
    // Nodes that this one sends nothing until they are loaded anew, and why.
    TableSpec {
        name: "reload_need",
        columns: &[
            C::varchar("node_id", 50).required(),
            C::long_varchar("reason"),
            C::timestamp("create_time"),
            // When the node was heard of after that; it is not loaded before.
            C::timestamp("contact_time"),
            // Whether what waited for it in JetStream is gone.
            C::boolean_int("freed").required().default(D::Int(0)),
        ],
        key: &["node_id"],
        indexes: &[],
    },
    // The newest initial load from each source.
    TableSpec {
        name: "incoming_load",
        columns: &[
            C::varchar("source_node_id", 50).required(),
            C::big_int("load_id").required(),
            // NE: begun; OK: complete; CA: cancelled.
            C::char("status", 2).required().default(D::Text("NE")),
            C::big_int("row_count").required().default(D::Int(0)),
            C::timestamp("create_time"),
            C::timestamp("end_time"),
            // How far the load's source knew this node's own changes: `channel=batch_id` as CSV.
            C::long_varchar("seen_batches"),
            // The newest load that began here: no lane of the source starts below it. A load may be cancelled before it begins.
            C::big_int("floor_batch_id").required().default(D::Int(0)),
        ],
        key: &["source_node_id"],
        indexes: &[],
    },
    // Who asked to be registered, who may, and with which secret.
    TableSpec {
        name: "registration_request",
        columns: &[
            C::varchar("node_group_id", 50).required(),
            C::varchar("external_id", 50).required(),
            // RQ: asked and refused; OP: open; OK: registered; RJ: closed.
            C::char("status", 2).required().default(D::Text("RQ")),
            C::varchar("sync_url", 2000),
            C::int("attempt_count").required().default(D::Int(0)),
            C::varchar("registered_node_id", 50),
            // SHA-256 of the one-time secret, in hexadecimal digits.
            C::varchar("secret_hash", 64),
            C::timestamp("expire_time"),
            C::long_varchar("error_message"),
            C::timestamp("create_time"),
            C::varchar("last_updated_by", 50),
            C::timestamp("last_updated_time"),
        ],
        key: &["node_group_id", "external_id"],
        indexes: &[],
    },
];
