//! A generated deployment: nodes, tables, and the rules between them.

use super::selection::Selection;
use super::table::Table;
use symstream_shared::db::DatabaseKind;

/// Everything that is decided before the first row is written.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The nodes; the first is the registration server.
    pub nodes: Vec<Node>,
    /// Which group sends to which.
    pub group_links: Vec<GroupLink>,
    /// The channels.
    pub channels: Vec<Channel>,
    /// The tables that the application writes; the first two are those of links and of families.
    pub tables: Vec<Table>,
    /// `sym_trigger`
    pub triggers: Vec<Trigger>,
    /// `sym_router`
    pub routers: Vec<Router>,
    /// `sym_trigger_router`
    pub trigger_routers: Vec<TriggerRouter>,
    /// What the history may do under these rules.
    pub habits: Habits,
}

/// One node; its external id is its node id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its id.
    pub id: String,
    /// Its group.
    pub group: String,
    /// Its database.
    pub kind: DatabaseKind,
}

/// `sym_node_group_link`
#[derive(Debug, Clone)]
pub struct GroupLink {
    /// From here
    pub source: String,
    /// to here.
    pub target: String,
    /// `P` or `W`.
    pub action: char,
}

/// `sym_channel`
#[derive(Debug, Clone)]
pub struct Channel {
    /// Its id.
    pub id: String,
    /// `processing_order`
    pub order: i64,
    /// `max_batch_size`
    pub batch_rows: i64,
    /// `max_batch_to_send`
    pub batches: i64,
}

/// The three `sync_on_…` flags of a trigger or a router.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Events {
    /// `sync_on_insert`
    pub insert: bool,
    /// `sync_on_update`
    pub update: bool,
    /// `sync_on_delete`
    pub delete: bool,
}

impl Events {
    /// All three.
    pub const ALL: Self = Self {
        insert: true,
        update: true,
        delete: true,
    };

    fn and(self, other: Self) -> Self {
        Self {
            insert: self.insert && other.insert,
            update: self.update && other.update,
            delete: self.delete && other.delete,
        }
    }
}

/// A `sync_on_…_condition` that reads the same in all three databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// The amount (of the new row; of a deleted row, its last) is above this.
    AmountAbove(i64),
    /// The region is this one.
    Region(i64),
    /// The update changes the amount; for updates only.
    Raised,
}

/// The three conditions of a trigger.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Conditions {
    /// `sync_on_insert_condition`
    pub insert: Option<Condition>,
    /// `sync_on_update_condition`
    pub update: Option<Condition>,
    /// `sync_on_delete_condition`
    pub delete: Option<Condition>,
}

/// An `initial_load_select`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoadSelect {
    /// Rows of lower regions.
    RegionBelow(i64),
    /// The loaded node's own rows, and those of one region.
    OwnOrRegion(i64),
}

/// `sym_trigger`
#[derive(Debug, Clone)]
pub struct Trigger {
    /// `trigger_id`
    pub id: String,
    /// Index of the source table.
    pub table: usize,
    /// `channel_id`
    pub channel: String,
    /// `sync_on_…`
    pub events: Events,
    /// `sync_on_…_condition`
    pub conditions: Conditions,
    /// `excluded_column_names`
    pub excluded: Vec<&'static str>,
    /// `target_table_name`
    pub target_table: Option<String>,
    /// `sync_on_incoming_batch`
    pub incoming: bool,
    /// `sync_column_level`
    pub column_level: bool,
    /// `initial_load_order`
    pub load_order: i64,
    /// `initial_load_select`
    pub load_select: Option<LoadSelect>,
    /// The seeds' form: its groups, and `node_select`. `None` where `sym_trigger_router` says it.
    pub own: Option<(String, String, Selection)>,
    /// Whether `inactive_time` is empty.
    pub active: bool,
}

/// `sym_router`
#[derive(Debug, Clone)]
pub struct Router {
    /// `router_id`
    pub id: String,
    /// `source_node_group_id`
    pub source: String,
    /// `target_node_group_id`
    pub target: String,
    /// `router_type`, `router_expression`
    pub selection: Selection,
    /// `sync_on_…`
    pub events: Events,
    /// `target_table_name`
    pub target_table: Option<String>,
}

/// `sym_trigger_router`
#[derive(Debug, Clone)]
pub struct TriggerRouter {
    /// `trigger_id`
    pub trigger: String,
    /// `router_id`
    pub router: String,
    /// `enabled`
    pub enabled: bool,
}

/// What the history may do.
#[derive(Debug, Clone, Copy)]
pub struct Habits {
    /// Rows are there before the nodes are, and come with the initial load.
    pub preload: bool,
    /// The rows of a bond are written at one node, then at another.
    pub handover: bool,
    /// Links are deleted with the last rows that need them, and rows come back with other owners.
    pub rebirth: bool,
    /// Tables are reloaded while everything is quiet.
    pub reload: bool,
    /// Tables are reloaded while the registration server, from where all rows come, writes.
    pub reload_at_once: bool,
    /// Nodes and channels are switched off and miss what happens meanwhile.
    pub misses: bool,
    /// Rules are other ones in each phase.
    pub changes: bool,
    /// How many phases; everything is quiet between them.
    pub phases: usize,
}

/// One way from a table at the nodes of one group to a table at those of another.
#[derive(Debug, Clone)]
pub struct Flow<'a> {
    /// The trigger that captures.
    pub trigger: &'a Trigger,
    /// Where from.
    pub source: &'a str,
    /// Where to.
    pub target: &'a str,
    /// Which nodes of the group.
    pub selection: &'a Selection,
    /// Which events.
    pub events: Events,
    /// The table there.
    pub target_table: &'a str,
}

impl Plan {
    /// The nodes, how they are linked, and how many rules there are, in a line.
    pub fn summary(&self) -> String {
        let nodes: Vec<String> = self
            .nodes
            .iter()
            .map(|node| format!("{}-{} ({})", node.group, node.id, node.kind))
            .collect();
        let links = self.group_links.iter();
        let links: Vec<String> = links
            .map(|link| format!("{} to {}", link.source, link.target))
            .collect();
        let (nodes, links) = (nodes.join(", "), links.join(", "));
        format!("{nodes}; {links}; {} ways; {:?}", self.flows().len(), self.habits)
    }

    /// All ways that rows can go.
    pub fn flows(&self) -> Vec<Flow<'_>> {
        let linked = |flow: &Flow<'_>| {
            let mut links = self.group_links.iter();
            links.any(|link| link.source == flow.source && link.target == flow.target)
        };
        let active = self.triggers.iter().filter(|trigger| trigger.active);
        active
            .flat_map(|trigger| self.flows_of(trigger))
            .filter(linked)
            .collect()
    }

    fn flows_of<'a>(&'a self, trigger: &'a Trigger) -> Vec<Flow<'a>> {
        let table = self.tables[trigger.table].name.as_str();
        let own_target = trigger.target_table.as_deref().unwrap_or(table);
        let own = trigger.own.iter().map(|(source, target, selection)| Flow {
            trigger,
            source,
            target,
            selection,
            events: trigger.events,
            target_table: own_target,
        });
        let links = self.trigger_routers.iter();
        let enabled = links.filter(|link| link.enabled && link.trigger == trigger.id);
        let routers = enabled.filter_map(|link| self.routers.iter().find(|router| router.id == link.router));
        let routed = routers.map(|router| Flow {
            trigger,
            source: &router.source,
            target: &router.target,
            selection: &router.selection,
            events: trigger.events.and(router.events),
            target_table: router.target_table.as_deref().unwrap_or(own_target),
        });
        own.chain(routed).collect()
    }
}
