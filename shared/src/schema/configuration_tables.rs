//! The tables that the user edits (seed 002, 3.1; `sym_router`, `sym_trigger_router`: `spec/design.md`).
//!
//! Where a width differs from the seed's, it is larger: identifiers of the databases fit, and texts have no limit.

use super::definition::{ColumnSpec as C, Default as D, TableSpec};

/// The longest identifier of any dialect fits.
const IDENTIFIER: u16 = 255;

pub(super) const TABLES: &[TableSpec] = &[
    TableSpec {
        name: "node",
        columns: &[
            C::varchar("node_id", 50).required(),
            C::varchar("node_group_id", 50).required(),
            C::varchar("external_id", 50).required(),
            C::boolean_int("sync_enabled").default(D::Int(0)),
            C::varchar("sync_url", 2000),
            C::varchar("schema_version", 50),
            C::varchar("symmetric_version", 50),
            C::varchar("database_type", 50),
            C::varchar("database_version", 255),
            C::timestamp("heartbeat_time"),
            C::varchar("timezone_offset", 6),
            C::varchar("created_at_node_id", 50),
        ],
        key: &["node_id"],
        indexes: &[],
    },
    TableSpec {
        name: "node_security",
        columns: &[
            C::varchar("node_id", 50).required(),
            C::varchar("password", 50).required(),
            C::boolean_int("registration_enabled")
                .required()
                .default(D::Int(0)),
            C::timestamp("registration_time"),
            C::boolean_int("initial_load_enabled")
                .required()
                .default(D::Int(0)),
            C::timestamp("initial_load_time"),
            C::varchar("created_at_node_id", 50),
        ],
        key: &["node_id"],
        indexes: &[],
    },
    TableSpec {
        name: "node_identity",
        columns: &[C::varchar("node_id", 50).required()],
        key: &["node_id"],
        indexes: &[],
    },
    TableSpec {
        name: "node_group",
        columns: &[
            C::varchar("node_group_id", 50).required(),
            C::varchar("description", 1000),
        ],
        key: &["node_group_id"],
        indexes: &[],
    },
    TableSpec {
        name: "node_group_link",
        columns: &[
            C::varchar("source_node_group_id", 50).required(),
            C::varchar("target_node_group_id", 50).required(),
            C::char("data_event_action", 1).required().default(D::Text("W")),
        ],
        key: &["source_node_group_id", "target_node_group_id"],
        indexes: &[],
    },
    TableSpec {
        name: "channel",
        columns: &[
            C::varchar("channel_id", 50).required(),
            C::int("processing_order").required().default(D::Int(1)),
            C::int("max_batch_size").required().default(D::Int(1000)),
            C::int("max_batch_to_send").required().default(D::Int(60)),
            C::boolean_int("enabled").required().default(D::Int(1)),
            C::varchar("description", 1000),
        ],
        key: &["channel_id"],
        indexes: &[],
    },
    TableSpec {
        name: "node_channel_ctl",
        columns: &[
            C::varchar("node_id", 50).required(),
            C::varchar("channel_id", 50).required(),
            C::boolean_int("suspend_enabled").default(D::Int(0)),
            C::boolean_int("ignore_enabled").default(D::Int(0)),
        ],
        key: &["node_id", "channel_id"],
        indexes: &[],
    },
    TableSpec {
        name: "trigger",
        columns: &[
            C::varchar("trigger_id", 128).required(),
            C::varchar("source_schema_name", IDENTIFIER),
            C::varchar("source_table_name", IDENTIFIER).required(),
            C::varchar("target_schema_name", IDENTIFIER),
            C::varchar("target_table_name", IDENTIFIER),
            // Null where sym_trigger_router names the rules.
            C::varchar("source_node_group_id", 50),
            C::varchar("target_node_group_id", 50),
            C::varchar("channel_id", 50).required(),
            C::boolean_int("sync_on_update").required().default(D::Int(1)),
            C::boolean_int("sync_on_insert").required().default(D::Int(1)),
            C::boolean_int("sync_on_delete").required().default(D::Int(1)),
            C::boolean_int("sync_on_incoming_batch")
                .required()
                .default(D::Int(0)),
            C::boolean_int("sync_column_level").required().default(D::Int(0)),
            C::varchar("name_for_update_trigger", IDENTIFIER),
            C::varchar("name_for_insert_trigger", IDENTIFIER),
            C::varchar("name_for_delete_trigger", IDENTIFIER),
            C::long_varchar("sync_on_update_condition"),
            C::long_varchar("sync_on_insert_condition"),
            C::long_varchar("sync_on_delete_condition"),
            C::long_varchar("initial_load_select"),
            C::long_varchar("node_select"),
            C::long_varchar("tx_id_expression"),
            C::long_varchar("excluded_column_names"),
            C::int("initial_load_order").required().default(D::Int(1)),
            // The seed has no default here; SQL written by hand may leave them out all the same.
            C::timestamp("create_time").required().default(D::Now),
            C::timestamp("inactive_time"),
            C::varchar("last_updated_by", 50),
            C::timestamp("last_updated_time").required().default(D::Now),
        ],
        key: &["trigger_id"],
        indexes: &[],
    },
    TableSpec {
        name: "router",
        columns: &[
            C::varchar("router_id", 128).required(),
            C::varchar("source_node_group_id", 50).required(),
            C::varchar("target_node_group_id", 50).required(),
            C::varchar("router_type", 50)
                .required()
                .default(D::Text("default")),
            C::long_varchar("router_expression"),
            C::boolean_int("sync_on_insert").required().default(D::Int(1)),
            C::boolean_int("sync_on_update").required().default(D::Int(1)),
            C::boolean_int("sync_on_delete").required().default(D::Int(1)),
            C::varchar("target_schema_name", IDENTIFIER),
            C::varchar("target_table_name", IDENTIFIER),
            C::timestamp("create_time").required().default(D::Now),
            C::varchar("last_updated_by", 50),
            C::timestamp("last_updated_time").required().default(D::Now),
        ],
        key: &["router_id"],
        indexes: &[],
    },
    TableSpec {
        name: "trigger_router",
        columns: &[
            C::varchar("trigger_id", 128).required(),
            C::varchar("router_id", 128).required(),
            C::boolean_int("enabled").required().default(D::Int(1)),
            C::int("initial_load_order").required().default(D::Int(1)),
            C::long_varchar("initial_load_select"),
            C::boolean_int("ping_back_enabled").required().default(D::Int(0)),
            C::timestamp("create_time").required().default(D::Now),
            C::varchar("last_updated_by", 50),
            C::timestamp("last_updated_time").required().default(D::Now),
        ],
        key: &["trigger_id", "router_id"],
        indexes: &[],
    },
    TableSpec {
        name: "parameter",
        columns: &[
            C::varchar("external_id", 50).required(),
            C::varchar("node_group_id", 50).required(),
            C::varchar("param_key", 100).required(),
            C::varchar("param_value", 1000).required(),
        ],
        key: &["external_id", "node_group_id", "param_key"],
        indexes: &[],
    },
    TableSpec {
        name: "registration_redirect",
        columns: &[
            C::varchar("registrant_external_id", 50).required(),
            C::varchar("registration_node_id", 50).required(),
        ],
        key: &["registrant_external_id"],
        indexes: &[],
    },
];
