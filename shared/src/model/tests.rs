use super::*;
use crate::id::{GroupId, NodeId};
use crate::wire::{Configuration, ConfigurationTable, Operation, RuleId};

fn table(name: &str, columns: &str, rows: &[&str]) -> ConfigurationTable {
    let value = |text: &str| (text != "-").then(|| text.to_owned());
    ConfigurationTable {
        name: name.to_owned(),
        columns: columns.split(' ').map(str::to_owned).collect(),
        rows: rows
            .iter()
            .map(|row| row.split('|').map(value).collect())
            .collect(),
    }
}

const TRIGGER: &str = "trigger_id source_table_name channel_id source_node_group_id target_node_group_id node_select \
                       initial_load_order inactive_time target_table_name";
const ROUTER: &str = "router_id source_node_group_id target_node_group_id router_type router_expression sync_on_delete \
                      target_table_name";
const PARAMETER: &str = "external_id node_group_id param_key param_value";
const TRIGGER_ROUTER: &str = "trigger_id router_id enabled initial_load_order ping_back_enabled";

/// The clinic, with a trigger of each form.
fn clinic() -> Vec<ConfigurationTable> {
    vec![
        table(
            "node",
            "node_id node_group_id external_id sync_enabled",
            &["c|cloud|c|1", "l|local|l|0"],
        ),
        table(
            "node_security",
            "node_id registration_time",
            &["c|2026-01-31 12:00:00.000000", "l|-"],
        ),
        table(
            "node_group_link",
            "source_node_group_id target_node_group_id",
            &["cloud|local", "local|cloud"],
        ),
        table("channel", "channel_id max_batch_size enabled", &["clinic|500|1"]),
        table(
            "trigger",
            TRIGGER,
            &[
                "patients|patients|clinic|-|-|-|3|-|-",
                "codes|codes|clinic|cloud|local| |1|-|CODES",
                "some|codes|clinic|cloud|local|where c.external_id = :ID|1|-|-",
                "old|codes|clinic|cloud|local|-|1|2026-01-31 12:00:00|-",
                "unlinked|codes|clinic|cloud|cloud|-|1|-|-",
            ],
        ),
        table(
            "router",
            ROUTER,
            &[
                "down|cloud|local|LookupTable|LOOKUP_TABLE=l KEY_COLUMN=a LOOKUP_KEY_COLUMN=b EXTERNAL_ID_COLUMN=c|0|people",
                "up|local|cloud|Default|-|1|-",
            ],
        ),
        table(
            "trigger_router",
            TRIGGER_ROUTER,
            &["patients|up|1|7|1", "patients|down|1|1|0", "codes|up|0|1|0"],
        ),
        table(
            "parameter",
            PARAMETER,
            &["ALL|ALL|purge.retention|7d", "ALL|ALL|no.such|x"],
        ),
    ]
}

fn config(tables: Vec<ConfigurationTable>) -> Result<Config, ModelError> {
    Config::from_wire(&Configuration { version: 5, tables })
}

fn group(name: &str) -> GroupId {
    GroupId::new(name).expect("group")
}

#[test]
fn tables_become_typed() {
    let config = config(clinic()).expect("valid");
    assert_eq!(config.version, 5);
    assert!(config.nodes[&NodeId::new("c").expect("id")].sync_enabled);
    assert!(!config.nodes[&NodeId::new("l").expect("id")].sync_enabled);
    assert_eq!(
        config.registered.iter().map(NodeId::as_str).collect::<Vec<_>>(),
        ["c"]
    );
    let channel = config.channels.values().next().expect("channel");
    assert_eq!(
        (channel.max_batch_size, channel.max_batch_to_send, channel.enabled),
        (500, 60, true)
    );
}

#[test]
fn a_trigger_without_groups_has_its_rules_from_trigger_router() {
    let config = config(clinic()).expect("valid");
    let rules = config.rules_for("patients", &group("cloud"));
    assert_eq!(rules.len(), 1);
    let rule = &rules[0];
    assert_eq!(rule.id, RuleId::Router("down".to_owned()));
    assert_eq!(
        (&rule.target_group, rule.target_table.as_str()),
        (&group("local"), "people")
    );
    assert!(
        rule.kind.asks_database()
            && matches!(&rule.kind, RuleKind::Lookup(lookup) if lookup.lookup_table == "l")
    );
    assert!(rule.applies_to(Operation::Insert) && !rule.applies_to(Operation::Delete));
    assert_eq!(
        (rule.initial_load_order, rule.ping_back),
        (3, false),
        "the default order leaves it to the trigger"
    );

    let rules = config.rules_for("patients", &group("local"));
    assert_eq!(rules.len(), 1);
    assert_eq!(
        (rules[0].target_table.as_str(), rules[0].initial_load_order),
        ("patients", 7)
    );
    assert!(rules[0].ping_back && rules[0].kind == RuleKind::Default);
}

#[test]
fn a_trigger_with_groups_is_a_rule_of_its_own() {
    let config = config(clinic()).expect("valid");
    let rules = config.rules_for("codes", &group("cloud"));
    assert_eq!(rules.len(), 1);
    assert_eq!(rules[0].id, RuleId::NodeSelect("codes".to_owned()));
    assert_eq!(
        (&rules[0].kind, rules[0].target_table.as_str()),
        (&RuleKind::Default, "CODES")
    );
    assert!(matches!(
        config.rules_for("some", &group("cloud"))[0].kind,
        RuleKind::Subselect(_)
    ));
    assert!(config.rules_for("codes", &group("local")).is_empty());
}

#[test]
fn nothing_flows_without_a_link() {
    let config = config(clinic()).expect("valid");
    assert!(config.rules_for("unlinked", &group("cloud")).is_empty());
    assert!(config.rules_for("no such trigger", &group("cloud")).is_empty());
}

#[test]
fn changes_captured_before_a_trigger_became_inactive_are_still_routed() {
    let config = config(clinic()).expect("valid");
    assert_eq!(config.rules_for("old", &group("cloud")).len(), 1);
}

#[test]
fn triggers_are_installed_where_their_changes_begin() {
    let config = config(clinic()).expect("valid");
    let at = |name| {
        config
            .triggers_at(&group(name))
            .iter()
            .map(|t| t.trigger_id.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(at("cloud"), ["codes", "patients", "some", "unlinked"]);
    assert_eq!(at("local"), ["patients"]);
    assert!(at("other").is_empty());
}

#[test]
fn an_error_names_table_row_and_column() {
    let cases = [
        (
            "trigger",
            TRIGGER,
            "t|t|none|-|-|-|1|-|-",
            "table trigger, row trigger_id=t, column channel_id: there is no channel",
        ),
        (
            "trigger",
            TRIGGER,
            "t|t|reload|-|-|-|1|-|-",
            "column channel_id: the channel reload is for initial loads",
        ),
        (
            "trigger",
            TRIGGER,
            "t|-|clinic|-|-|-|1|-|-",
            "column source_table_name: it is null",
        ),
        (
            "trigger",
            TRIGGER,
            "t|t|clinic|cloud|-|-|1|-|-",
            "column target_node_group_id: it is empty",
        ),
        (
            "trigger",
            TRIGGER,
            "t|t|clinic|-|-|-|x|-|-",
            "column initial_load_order: \"x\" is no integer",
        ),
        (
            "trigger",
            TRIGGER,
            "t|t|clinic|-|-|-|1|soon|-",
            "column inactive_time: \"soon\" is no time",
        ),
        (
            "trigger",
            TRIGGER,
            "t|t|clinic|a|b|(1=1|1|-|-",
            "column node_select: the parentheses",
        ),
        (
            "router",
            ROUTER,
            "r|a|b|sometimes|-|1|-",
            "table router, row router_id=r, column router_type: \"sometimes\" is none of",
        ),
        (
            "router",
            ROUTER,
            "r|a|b|column|-|1|-",
            "column router_expression: it is empty",
        ),
        (
            "router",
            ROUTER,
            "r|a|b|lookuptable|LOOKUP_TABLE=a|1|-",
            "column router_expression: KEY_COLUMN, LOOKUP_KEY_COLUMN",
        ),
        (
            "trigger_router",
            TRIGGER_ROUTER,
            "t|up|1|1|1",
            "row trigger_id=t router_id=up, column trigger_id: there is no such",
        ),
        (
            "trigger_router",
            TRIGGER_ROUTER,
            "codes|r|1|1|1",
            "column router_id: there is no such router",
        ),
        (
            "channel",
            "channel_id max_batch_size",
            "x|0",
            "table channel, row channel_id=x, column max_batch_size: 0 is not",
        ),
        (
            "parameter",
            PARAMETER,
            "7|local|purge.retention|soon",
            "table parameter, row external_id=7 node_group_id=local param_key=purge.retention, column param_value: \
             purge.retention: expected a time from 0 to 3650d",
        ),
    ];
    for (name, columns, row, expected) in cases {
        let mut tables = clinic();
        let place = tables.iter().position(|table| table.name == name).expect("table");
        let more = table(name, columns, &[row]);
        if tables[place].columns == more.columns {
            tables[place].rows.extend(more.rows);
        } else {
            tables[place] = more;
        }
        let message = config(tables).expect_err(row).to_string();
        assert!(message.contains(expected), "{message} instead of {expected}");
    }
}

#[test]
fn what_only_a_newer_server_knows_is_passed_over() {
    let mut tables = clinic();
    tables.push(table("later", "a", &["1"]));
    tables[0] = table(
        "node",
        "node_id node_group_id external_id later",
        &["c|cloud|c|x"],
    );
    assert!(config(tables).is_ok());
}
