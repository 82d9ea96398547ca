//! Rows of the configuration tables.

use super::expression::{ColumnExpression, LookupRule, Subselect};
use crate::id::{ChannelId, ExternalId, GroupId, NodeId};

/// `sym_node`: what routing needs of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// `node_id`
    pub node_id: NodeId,
    /// `node_group_id`
    pub group: GroupId,
    /// `external_id`
    pub external_id: ExternalId,
    /// `sync_enabled`: a node that is not gets nothing.
    pub sync_enabled: bool,
    /// `sync_url`
    pub sync_url: Option<String>,
    /// `created_at_node_id`
    pub created_at_node_id: Option<NodeId>,
}

/// `sym_node_group_link`: changes flow from the first group to the second. Changes are always pushed, so
/// `data_event_action` says nothing here.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NodeGroupLink {
    /// `source_node_group_id`
    pub source: GroupId,
    /// `target_node_group_id`
    pub target: GroupId,
}

/// `sym_channel`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channel {
    /// `channel_id`
    pub channel_id: ChannelId,
    /// `processing_order`: lower ones are served first.
    pub processing_order: i64,
    /// `max_batch_size`: a batch is closed at the end of the transaction in which it reaches this many changes.
    pub max_batch_size: u64,
    /// `max_batch_to_send`
    pub max_batch_to_send: u64,
    /// `enabled`: a channel that is not waits in `sym_data`.
    pub enabled: bool,
}

/// `sym_node_channel_ctl`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeChannelCtl {
    /// `suspend_enabled`
    pub suspended: bool,
    /// `ignore_enabled`
    pub ignored: bool,
}

/// `sym_trigger`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trigger {
    /// `trigger_id`
    pub trigger_id: String,
    /// `source_schema_name`; `None` for the default one.
    pub source_schema: Option<String>,
    /// `source_table_name`
    pub source_table: String,
    /// `target_schema_name`
    pub target_schema: Option<String>,
    /// `target_table_name`; `None`: as the source's.
    pub target_table: Option<String>,
    /// `source_node_group_id`; `None` where `sym_trigger_router` says it.
    pub source_group: Option<GroupId>,
    /// `target_node_group_id`; `None` where `sym_trigger_router` says it.
    pub target_group: Option<GroupId>,
    /// `channel_id`
    pub channel: ChannelId,
    /// `sync_on_insert`
    pub on_insert: bool,
    /// `sync_on_update`
    pub on_update: bool,
    /// `sync_on_delete`
    pub on_delete: bool,
    /// `sync_on_incoming_batch`
    pub on_incoming_batch: bool,
    /// `sync_column_level`
    pub column_level: bool,
    /// `name_for_insert_trigger`
    pub name_for_insert: Option<String>,
    /// `name_for_update_trigger`
    pub name_for_update: Option<String>,
    /// `name_for_delete_trigger`
    pub name_for_delete: Option<String>,
    /// `sync_on_insert_condition`
    pub insert_condition: Option<String>,
    /// `sync_on_update_condition`
    pub update_condition: Option<String>,
    /// `sync_on_delete_condition`
    pub delete_condition: Option<String>,
    /// `initial_load_select`
    pub initial_load_select: Option<String>,
    /// `node_select`
    pub node_select: Option<Subselect>,
    /// `tx_id_expression`
    pub tx_id_expression: Option<String>,
    /// `excluded_column_names`, split at the commas.
    pub excluded_columns: Vec<String>,
    /// `initial_load_order`
    pub initial_load_order: i64,
    /// Whether `inactive_time` is empty: an inactive trigger captures nothing more.
    pub active: bool,
    /// `last_updated_time`, as text.
    pub last_updated_time: Option<String>,
}

/// `sym_router.router_type`, with the expression that belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RouterType {
    /// `default`: every node of the group.
    Default,
    /// `column`
    Column(ColumnExpression),
    /// `lookuptable`
    LookupTable(LookupRule),
    /// `subselect`
    Subselect(Subselect),
}

/// `sym_router`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Router {
    /// `router_id`
    pub router_id: String,
    /// `source_node_group_id`
    pub source_group: GroupId,
    /// `target_node_group_id`
    pub target_group: GroupId,
    /// `router_type` and `router_expression`
    pub router_type: RouterType,
    /// `sync_on_insert`
    pub on_insert: bool,
    /// `sync_on_update`
    pub on_update: bool,
    /// `sync_on_delete`
    pub on_delete: bool,
    /// `target_schema_name`; overrides the trigger's.
    pub target_schema: Option<String>,
    /// `target_table_name`; overrides the trigger's.
    pub target_table: Option<String>,
}

/// `sym_trigger_router`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TriggerRouter {
    /// `trigger_id`
    pub trigger_id: String,
    /// `router_id`
    pub router_id: String,
    /// `enabled`
    pub enabled: bool,
    /// `initial_load_order`
    pub initial_load_order: i64,
    /// `initial_load_select`
    pub initial_load_select: Option<String>,
    /// `ping_back_enabled`: changes go back to the node they came from, too.
    pub ping_back: bool,
}
