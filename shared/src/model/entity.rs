//! Rows of the configuration tables.

use super::error::ModelError;
use super::expression::{ColumnExpression, ExpressionError, LookupRule, Subselect};
use super::fields::Fields;
use super::rule::RuleKind;
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
}

/// `sym_node_group_link`: changes flow from the first group to the second.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeGroupLink {
    /// `source_node_group_id`
    pub source: GroupId,
    /// `target_node_group_id`
    pub target: GroupId,
    /// `data_event_action`
    pub action: LinkAction,
}

/// `sym_node_group_link.data_event_action`: when batches go to the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LinkAction {
    /// `P`: as soon as they are routed.
    Push,
    /// `W`: when the target asks for them, every `pull.interval`.
    WaitForPull,
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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
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
    pub kind: RuleKind,
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
    /// `initial_load_order`; `None` where it has its default, so that the trigger's own holds.
    pub initial_load_order: Option<i64>,
    /// `initial_load_select`; `None`: the trigger's own holds.
    pub initial_load_select: Option<String>,
    /// `ping_back_enabled`: changes go back to the node they came from, too.
    pub ping_back: bool,
}

impl Node {
    pub(super) fn read(row: &Fields<'_>) -> Result<Self, ModelError> {
        Ok(Self {
            node_id: row.id("node_id")?,
            group: row.id("node_group_id")?,
            external_id: row.id("external_id")?,
            sync_enabled: row.flag("sync_enabled", false)?,
        })
    }
}

impl NodeGroupLink {
    pub(super) fn read(row: &Fields<'_>) -> Result<Self, ModelError> {
        Ok(Self {
            source: row.id("source_node_group_id")?,
            target: row.id("target_node_group_id")?,
            action: match row
                .opt_text("data_event_action")
                .unwrap_or_else(|| "W".to_owned())
                .as_str()
            {
                "P" => LinkAction::Push,
                "W" => LinkAction::WaitForPull,
                other => {
                    let why = format!("{other:?} is neither P (push) nor W (wait for pull)");
                    return Err(row.wrong("data_event_action", why));
                }
            },
        })
    }
}

impl Channel {
    pub(super) fn read(row: &Fields<'_>) -> Result<Self, ModelError> {
        Ok(Self {
            channel_id: row.id("channel_id")?,
            processing_order: row.number("processing_order", 1)?,
            max_batch_size: row.count("max_batch_size", 1000)?,
            max_batch_to_send: row.count("max_batch_to_send", 60)?,
            enabled: row.flag("enabled", true)?,
        })
    }
}

impl NodeChannelCtl {
    pub(super) fn read(row: &Fields<'_>) -> Result<Self, ModelError> {
        Ok(Self {
            suspended: row.flag("suspend_enabled", false)?,
            ignored: row.flag("ignore_enabled", false)?,
        })
    }
}

impl Trigger {
    pub(super) fn read(row: &Fields<'_>) -> Result<Self, ModelError> {
        let trigger = Self {
            trigger_id: row.text("trigger_id")?,
            source_schema: row.opt_text("source_schema_name"),
            source_table: row.text("source_table_name")?,
            target_schema: row.opt_text("target_schema_name"),
            target_table: row.opt_text("target_table_name"),
            source_group: row.opt_id("source_node_group_id")?,
            target_group: row.opt_id("target_node_group_id")?,
            channel: row.id("channel_id")?,
            on_insert: row.flag("sync_on_insert", true)?,
            on_update: row.flag("sync_on_update", true)?,
            on_delete: row.flag("sync_on_delete", true)?,
            on_incoming_batch: row.flag("sync_on_incoming_batch", false)?,
            column_level: row.flag("sync_column_level", false)?,
            name_for_insert: row.opt_text("name_for_insert_trigger"),
            name_for_update: row.opt_text("name_for_update_trigger"),
            name_for_delete: row.opt_text("name_for_delete_trigger"),
            insert_condition: row.opt_text("sync_on_insert_condition"),
            update_condition: row.opt_text("sync_on_update_condition"),
            delete_condition: row.opt_text("sync_on_delete_condition"),
            initial_load_select: row.opt_text("initial_load_select"),
            node_select: row
                .opt_text("node_select")
                .map(|text| Subselect::parse(&text))
                .transpose()
                .map_err(|err| row.not_understood("node_select", err))?,
            tx_id_expression: row.opt_text("tx_id_expression"),
            excluded_columns: comma_separated(row.opt_text("excluded_column_names")),
            initial_load_order: row.number("initial_load_order", 1)?,
            active: row.opt_time("inactive_time")?.is_none(),
        };
        match (&trigger.source_group, &trigger.target_group) {
            (Some(_), None) => Err(row.wrong(
                "target_node_group_id",
                "it is empty, but source_node_group_id is not",
            )),
            (None, Some(_)) => Err(row.wrong(
                "source_node_group_id",
                "it is empty, but target_node_group_id is not",
            )),
            _ if trigger.channel.is_reload() => {
                Err(row.wrong("channel_id", "the channel reload is for initial loads only"))
            }
            _ => Ok(trigger),
        }
    }
}

impl Router {
    pub(super) fn read(row: &Fields<'_>) -> Result<Self, ModelError> {
        let router_type = row
            .opt_text("router_type")
            .unwrap_or_else(|| "default".to_owned());
        let expression = row.opt_text("router_expression").unwrap_or_default();
        let kind = match router_type.trim().to_lowercase().as_str() {
            "default" => Ok(RuleKind::Default),
            "column" => ColumnExpression::parse(&expression).map(RuleKind::Column),
            "lookuptable" => LookupRule::parse(&expression).map(RuleKind::Lookup),
            "subselect" => Subselect::parse(&expression).map(RuleKind::Subselect),
            _ => {
                let why = format!("{router_type:?} is none of default, column, lookuptable, subselect");
                return Err(row.wrong("router_type", why));
            }
        };
        Ok(Self {
            router_id: row.text("router_id")?,
            source_group: row.id("source_node_group_id")?,
            target_group: row.id("target_node_group_id")?,
            kind: kind.map_err(|err: ExpressionError| row.not_understood("router_expression", err))?,
            on_insert: row.flag("sync_on_insert", true)?,
            on_update: row.flag("sync_on_update", true)?,
            on_delete: row.flag("sync_on_delete", true)?,
            target_schema: row.opt_text("target_schema_name"),
            target_table: row.opt_text("target_table_name"),
        })
    }
}

impl TriggerRouter {
    pub(super) fn read(row: &Fields<'_>) -> Result<Self, ModelError> {
        let order = row.number("initial_load_order", INITIAL_LOAD_ORDER_DEFAULT)?;
        Ok(Self {
            trigger_id: row.text("trigger_id")?,
            router_id: row.text("router_id")?,
            enabled: row.flag("enabled", true)?,
            initial_load_order: Some(order).filter(|order| *order != INITIAL_LOAD_ORDER_DEFAULT),
            initial_load_select: row.opt_text("initial_load_select"),
            ping_back: row.flag("ping_back_enabled", false)?,
        })
    }
}

/// What the database puts into `initial_load_order` when nobody says otherwise.
const INITIAL_LOAD_ORDER_DEFAULT: i64 = 1;

fn comma_separated(text: Option<String>) -> Vec<String> {
    let text = text.unwrap_or_default();
    text.split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}
