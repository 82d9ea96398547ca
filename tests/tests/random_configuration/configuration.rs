//! A plan as rows of the configuration tables.

use super::plan::{Condition, LoadSelect, Plan, Router, Trigger};
use std::fmt::Write as _;

impl Plan {
    /// The statements for the registration server.
    pub fn sql(&self) -> String {
        let mut sql = String::new();
        let mut groups: Vec<&str> = self.nodes.iter().map(|node| node.group.as_str()).collect();
        groups.sort_unstable();
        groups.dedup();
        for group in groups {
            // The registration server's own group may be there already.
            let _ = writeln!(
                sql,
                "delete from sym_node_group where node_group_id = '{group}';\n\
                 insert into sym_node_group (node_group_id) values ('{group}');"
            );
        }
        for link in &self.group_links {
            let _ = writeln!(
                sql,
                "insert into sym_node_group_link (source_node_group_id, target_node_group_id, data_event_action) \
                 values ('{}', '{}', '{}');",
                link.source, link.target, link.action
            );
        }
        for channel in &self.channels {
            let _ = writeln!(
                sql,
                "insert into sym_channel (channel_id, processing_order, max_batch_size, max_batch_to_send) \
                 values ('{}', {}, {}, {});",
                channel.id, channel.order, channel.batch_rows, channel.batches
            );
        }
        sql + &self.rules_sql()
    }

    /// The statements that put these rules in the place of others.
    pub fn change_sql(&self) -> String {
        let tables = ["sym_trigger", "sym_router", "sym_trigger_router"];
        let clear: String = tables
            .iter()
            .map(|table| format!("delete from {table};\n"))
            .collect();
        clear + &self.rules_sql()
    }

    fn rules_sql(&self) -> String {
        let mut sql = String::new();
        for trigger in &self.triggers {
            sql.push_str(&self.trigger(trigger));
        }
        for router in &self.routers {
            sql.push_str(&router_row(router));
        }
        for link in &self.trigger_routers {
            let _ = writeln!(
                sql,
                "insert into sym_trigger_router (trigger_id, router_id, enabled) values ('{}', '{}', {});",
                link.trigger,
                link.router,
                i32::from(link.enabled)
            );
        }
        sql
    }

    fn trigger(&self, trigger: &Trigger) -> String {
        let (source, target, node_select) = match &trigger.own {
            Some((source, target, selection)) => (
                Some(source.clone()),
                Some(target.clone()),
                selection.node_select(),
            ),
            None => (None, None, None),
        };
        let Trigger {
            events, conditions, ..
        } = trigger;
        let flag = |flag: bool| i32::from(flag).to_string();
        let values = [
            ("trigger_id", text(&trigger.id)),
            ("source_table_name", text(&self.tables[trigger.table].name)),
            ("source_node_group_id", opt(source)),
            ("target_node_group_id", opt(target)),
            ("channel_id", text(&trigger.channel)),
            ("target_table_name", opt(trigger.target_table.clone())),
            ("sync_on_insert", flag(events.insert)),
            ("sync_on_update", flag(events.update)),
            ("sync_on_delete", flag(events.delete)),
            (
                "sync_on_insert_condition",
                opt(conditions.insert.map(|c| c.sql("new"))),
            ),
            (
                "sync_on_update_condition",
                opt(conditions.update.map(|c| c.sql("new"))),
            ),
            (
                "sync_on_delete_condition",
                opt(conditions.delete.map(|c| c.sql("old"))),
            ),
            ("sync_on_incoming_batch", flag(trigger.incoming)),
            ("sync_column_level", flag(trigger.column_level)),
            (
                "excluded_column_names",
                opt((!trigger.excluded.is_empty()).then(|| trigger.excluded.join(", "))),
            ),
            ("initial_load_order", trigger.load_order.to_string()),
            (
                "initial_load_select",
                opt(trigger.load_select.map(LoadSelect::sql)),
            ),
            ("node_select", opt(node_select)),
            (
                "inactive_time",
                opt((!trigger.active).then(|| "2026-01-01 00:00:00".to_owned())),
            ),
            ("create_time", "current_timestamp".to_owned()),
            ("last_updated_time", "current_timestamp".to_owned()),
        ];
        insert("sym_trigger", &values)
    }
}

impl Condition {
    /// The condition in the databases' SQL; `row` is `new` or `old`.
    fn sql(self, row: &str) -> String {
        match self {
            Self::AmountAbove(amount) => format!("{row}.amount > {amount}"),
            Self::Region(region) => format!("{row}.region = {region}"),
            Self::Raised => "new.amount <> old.amount".to_owned(),
        }
    }
}

impl LoadSelect {
    fn sql(self) -> String {
        match self {
            Self::RegionBelow(region) => format!("t.region < {region}"),
            Self::OwnOrRegion(region) => format!("t.owner = '$(externalId)' or t.region = {region}"),
        }
    }
}

fn router_row(router: &Router) -> String {
    let (router_type, expression) = router.selection.router();
    let flag = |flag: bool| i32::from(flag).to_string();
    let values = [
        ("router_id", text(&router.id)),
        ("source_node_group_id", text(&router.source)),
        ("target_node_group_id", text(&router.target)),
        ("router_type", text(router_type)),
        ("router_expression", opt(expression)),
        ("sync_on_insert", flag(router.events.insert)),
        ("sync_on_update", flag(router.events.update)),
        ("sync_on_delete", flag(router.events.delete)),
        ("target_table_name", opt(router.target_table.clone())),
    ];
    insert("sym_router", &values)
}

fn insert(table: &str, values: &[(&str, String)]) -> String {
    let columns: Vec<&str> = values.iter().map(|(column, _)| *column).collect();
    let values: Vec<&str> = values.iter().map(|(_, value)| value.as_str()).collect();
    format!(
        "insert into {table} ({}) values ({});\n",
        columns.join(", "),
        values.join(", ")
    )
}

fn text(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn opt(value: Option<String>) -> String {
    value.map_or_else(|| "null".to_owned(), |value| text(&value))
}
