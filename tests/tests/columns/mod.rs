//! Each column of the configuration tables by its effect in the databases, on each dialect.
//!
//! A claim is a function: what it wants to be there, then what it does, then what the databases have to say. All
//! claims of a theme share one running deployment ([`deployment`]), with tables, triggers and channels of their own, and
//! run beside each other; that a row does not arrive is shown by a later one of its lane that does. `deploy/docs/tables.md`
//! names the claim of each column.

mod away;
mod channel;
mod claims;
mod deployment;
mod given;
mod initial_load;
mod link;
mod node;
mod node_disabled;
mod node_security;
mod own_tables;
mod page;
mod parameter;
mod router;
mod travel;
mod trigger;
mod trigger_life;
mod trigger_names;
mod trigger_target;

use claims::{claims, hold};
use symstream_shared::db::DatabaseKind::{self, Mysql, Postgres, Sqlite};

async fn triggers(kind: DatabaseKind) {
    hold(
        kind,
        claims![
            trigger::channel_id,
            trigger::excluded_column_names,
            trigger::sync_on_events,
            trigger::sync_on_conditions,
            trigger::source_schema_name,
            trigger_target::target_schema_and_table_name,
            trigger_target::node_select,
            trigger_target::sync_column_level,
            trigger_target::sync_on_incoming_batch,
            trigger_names::names_for_triggers,
            trigger_names::groups_of_a_trigger,
            trigger_life::tx_id_expression,
            trigger_life::inactive_time,
            trigger_life::words_for_people,
            initial_load::initial_load_select,
            initial_load::initial_load_select_of_a_trigger_router,
            initial_load::initial_load_order,
            router::router_types,
            router::sync_on_events_of_a_router,
            router::target_of_a_router,
            router::groups_of_a_router,
            router::enabled_of_a_trigger_router,
            router::ping_back_enabled,
        ],
    )
    .await;
}

#[tokio::test]
async fn triggers_do_what_their_columns_say_on_postgres() {
    triggers(Postgres).await;
}

#[tokio::test]
async fn triggers_do_what_their_columns_say_on_mariadb() {
    triggers(Mysql).await;
}

#[tokio::test]
async fn triggers_do_what_their_columns_say_on_sqlite() {
    triggers(Sqlite).await;
}

async fn nodes(kind: DatabaseKind) {
    hold(
        kind,
        claims![
            node::what_a_node_is,
            node::heartbeats,
            node::created_at_node_id,
            node::node_group_id,
            travel::plain_sql_is_in_force_within_seconds,
            node_security::registration_and_initial_load,
            node_security::password,
            node_security::node_identity,
        ],
    )
    .await;
}

#[tokio::test]
async fn nodes_do_what_their_columns_say_on_postgres() {
    nodes(Postgres).await;
}

#[tokio::test]
async fn nodes_do_what_their_columns_say_on_mariadb() {
    nodes(Mysql).await;
}

#[tokio::test]
async fn nodes_do_what_their_columns_say_on_sqlite() {
    nodes(Sqlite).await;
}

async fn channels(kind: DatabaseKind) {
    hold(
        kind,
        claims![
            channel::enabled,
            channel::max_batch_to_send,
            channel::suspend_enabled,
            channel::ignore_enabled,
            link::a_link_that_is_missing,
            link::data_event_action,
            node_disabled::sync_enabled,
            parameter::the_most_specific_row_holds,
            own_tables::state,
            own_tables::capture_batch,
            own_tables::incoming_lane_and_spool,
        ],
    )
    .await;
}

#[tokio::test]
async fn channels_do_what_their_columns_say_on_postgres() {
    channels(Postgres).await;
}

#[tokio::test]
async fn channels_do_what_their_columns_say_on_mariadb() {
    channels(Mysql).await;
}

#[tokio::test]
async fn channels_do_what_their_columns_say_on_sqlite() {
    channels(Sqlite).await;
}

#[tokio::test]
async fn backlogs_follow_the_columns_on_postgres() {
    away::backlogs(Postgres).await;
}

#[tokio::test]
async fn backlogs_follow_the_columns_on_mariadb() {
    away::backlogs(Mysql).await;
}

#[tokio::test]
async fn backlogs_follow_the_columns_on_sqlite() {
    away::backlogs(Sqlite).await;
}
