//! The tables that record what happens (seed 002, 3.2; additions to `sym_data`: `spec/design.md`).

use super::definition::{ColumnSpec as C, Default as D, IndexSpec, TableSpec};
use crate::db::DatabaseKind;

const IDENTIFIER: u16 = 255;

pub(super) const TABLES: &[TableSpec] = &[
    TableSpec {
        name: "trigger_hist",
        columns: &[
            C::big_int("trigger_hist_id").required(),
            C::varchar("trigger_id", 128).required(),
            C::varchar("source_table_name", IDENTIFIER).required(),
            C::varchar("source_catalog_name", IDENTIFIER),
            C::varchar("source_schema_name", IDENTIFIER),
            C::varchar("name_for_insert_trigger", IDENTIFIER).required(),
            C::varchar("name_for_update_trigger", IDENTIFIER).required(),
            C::varchar("name_for_delete_trigger", IDENTIFIER).required(),
            C::big_int("table_hash").required(),
            C::long_varchar("column_names").required(),
            C::long_varchar("pk_column_names").required(),
            C::char("last_trigger_build_reason", 1).required(),
            C::timestamp("create_time").required().default(D::Now),
            C::timestamp("inactive_time"),
            // What the captured values mean, so that an altered table changes nothing about rows captured before.
            C::long_varchar("column_types"),
            // The whole table as it was, excluded columns too, and its fingerprint: rows captured between an
            // `alter table` and the rebuilding of the trigger name that instead of a history.
            C::long_varchar("table_columns"),
            C::big_int("table_shape"),
            // All triggers that share the captured rows, as CSV, `trigger_id` among them.
            C::long_varchar("trigger_ids"),
        ],
        key: &["trigger_hist_id"],
        indexes: &[IndexSpec {
            columns: &["trigger_id"],
            only: None,
            filter: None,
        }],
    },
    TableSpec {
        name: "data",
        columns: &[
            C::identity("data_id"),
            C::varchar("table_name", IDENTIFIER).required(),
            C::char("event_type", 1),
            C::long_varchar("row_data"),
            C::long_varchar("pk_data"),
            C::big_int("trigger_hist_id").required(),
            C::timestamp("create_time"),
            C::varchar("channel_id", 50)
                .required()
                .default(D::Text("default")),
            C::varchar("transaction_id", 1000).default(D::CurrentTransaction),
            C::long_varchar("old_data"),
            // The nodes that the change has been at, as CSV: the one where it was made first.
            C::long_varchar("source_node_id"),
            // What the reader needs to miss no late commit.
            C::transaction_id("xact_id")
                .required()
                .default(D::CurrentTransaction)
                .only(DatabaseKind::Postgres),
            // Where batches may be cut.
            C::big_int("connection_id").only(DatabaseKind::Mysql),
        ],
        key: &["data_id"],
        indexes: &[
            IndexSpec {
                columns: &["xact_id"],
                only: Some(DatabaseKind::Postgres),
                filter: None,
            },
            // What rows of a lookup table were before they changed; inserts pay nothing for it.
            IndexSpec {
                columns: &["table_name", "data_id"],
                only: None,
                filter: Some("event_type in ('U', 'D')"),
            },
        ],
    },
    TableSpec {
        name: "data_event",
        columns: &[
            C::big_int("data_id").required(),
            C::varchar("node_id", 50).required(),
            C::varchar("channel_id", 50).required(),
            C::varchar("transaction_id", 1000),
            C::big_int("batch_id"),
            C::char("batched", 1).required().default(D::Text("0")),
        ],
        key: &["data_id", "node_id"],
        indexes: &[IndexSpec {
            columns: &["batch_id"],
            only: None,
            filter: None,
        }],
    },
    TableSpec {
        name: "outgoing_batch",
        columns: &[
            C::big_int("batch_id").required(),
            C::varchar("node_id", 50).required(),
            C::varchar("channel_id", 50),
            C::char("batch_type", 2).required().default(D::Text("EV")),
            C::char("status", 2),
            C::timestamp("create_time"),
        ],
        key: &["batch_id", "node_id"],
        indexes: &[IndexSpec {
            columns: &["status", "node_id", "channel_id", "batch_id"],
            only: None,
            filter: None,
        }],
    },
    TableSpec {
        // One row for each change of a batch's status, so the seed's key can be none.
        name: "outgoing_batch_hist",
        columns: &[
            C::big_int("batch_id").required(),
            C::varchar("node_id", 50),
            C::char("status", 2),
            C::timestamp("start_time"),
            C::timestamp("end_time"),
            C::big_int("data_event_count"),
            C::big_int("failed_data_id"),
            C::varchar("hostname", 255),
            C::big_int("network_millis"),
            C::big_int("filter_millis"),
            C::big_int("database_millis"),
            C::varchar("sql_state", 10),
            C::big_int("sql_code"),
            C::long_varchar("sql_message"),
        ],
        key: &[],
        indexes: &[IndexSpec {
            columns: &["batch_id", "node_id"],
            only: None,
            filter: None,
        }],
    },
    TableSpec {
        name: "incoming_batch",
        columns: &[
            C::big_int("batch_id").required(),
            C::varchar("node_id", 50).required(),
            C::char("status", 2),
            C::timestamp("create_time"),
        ],
        key: &["batch_id", "node_id"],
        indexes: &[],
    },
    TableSpec {
        name: "incoming_batch_hist",
        columns: &[
            C::big_int("batch_id").required(),
            C::varchar("node_id", 50),
            C::char("status", 2),
            C::timestamp("start_time"),
            C::timestamp("end_time"),
            C::big_int("failed_row_number"),
            C::varchar("hostname", 255),
            C::big_int("network_millis"),
            C::big_int("filter_millis"),
            C::big_int("database_millis"),
            C::varchar("sql_state", 10),
            C::big_int("sql_code"),
            C::long_varchar("sql_message"),
        ],
        key: &[],
        indexes: &[IndexSpec {
            columns: &["batch_id", "node_id"],
            only: None,
            filter: None,
        }],
    },
];
