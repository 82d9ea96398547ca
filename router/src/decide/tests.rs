use super::*;
use proptest::prelude::*;
use std::collections::{BTreeSet, HashSet};
use symstream_shared::cell::Cell;
use symstream_shared::id::{ChannelId, ExternalId};
use symstream_shared::logical::LogicalType;
use symstream_shared::model::{
    ColumnExpression, LinkAction, LookupRule, NodeChannelCtl, NodeGroupLink, Router, RuleKind, Subselect,
    Trigger, TriggerRouter,
};
use symstream_shared::wire::{Change, ColumnInfo, Operation, Rows, RuleAnswers, RuleId};

mod loads;
mod paths;
mod requests;
mod rules;
mod shared_rows;

/// By the rules, to each node by itself.
fn decide(part: &Part, config: &Config) -> Result<Decision, DecideError> {
    super::decide(part, config, &Broadcast::new())
}

fn node_id(id: &str) -> NodeId {
    NodeId::new(id).expect("id")
}

fn group(id: &str) -> GroupId {
    GroupId::new(id).expect("id")
}

fn channel() -> ChannelId {
    ChannelId::new("sales").expect("id")
}

/// Node `s` of group `from`; nodes `a`, `b`, `c` of group `to` with external ids `xa`, `xb`, `xc`; a link between
/// the groups; a trigger `t` on table `sale` without rules.
fn config() -> Config {
    let mut config = Config {
        version: 4,
        ..Config::default()
    };
    for (id, of) in [("s", "from"), ("a", "to"), ("b", "to"), ("c", "to")] {
        let node = Node {
            node_id: node_id(id),
            group: group(of),
            external_id: ExternalId::new(format!("x{id}")).expect("id"),
            sync_enabled: true,
        };
        config.registered.insert(node.node_id.clone());
        config.nodes.insert(node.node_id.clone(), node);
    }
    link(&mut config, "from", "to");
    config.triggers.insert("t".to_owned(), trigger("t"));
    config
}

fn trigger(id: &str) -> Trigger {
    Trigger {
        trigger_id: id.to_owned(),
        source_schema: None,
        source_table: "sale".to_owned(),
        target_schema: None,
        target_table: None,
        source_group: None,
        target_group: None,
        channel: channel(),
        on_insert: true,
        on_update: true,
        on_delete: true,
        on_incoming_batch: false,
        column_level: false,
        name_for_insert: None,
        name_for_update: None,
        name_for_delete: None,
        insert_condition: None,
        update_condition: None,
        delete_condition: None,
        initial_load_select: None,
        node_select: None,
        tx_id_expression: None,
        excluded_columns: Vec::new(),
        initial_load_order: 1,
        active: true,
    }
}

fn router(id: &str, kind: RuleKind) -> Router {
    Router {
        router_id: id.to_owned(),
        source_group: group("from"),
        target_group: group("to"),
        kind,
        on_insert: true,
        on_update: true,
        on_delete: true,
        target_schema: None,
        target_table: None,
    }
}

fn add(config: &mut Config, router: Router) {
    config.trigger_routers.push(TriggerRouter {
        trigger_id: "t".to_owned(),
        router_id: router.router_id.clone(),
        enabled: true,
        initial_load_order: None,
        initial_load_select: None,
        ping_back: false,
    });
    config.routers.insert(router.router_id.clone(), router);
}

fn with(kind: RuleKind) -> Config {
    let mut config = config();
    add(&mut config, router("r", kind));
    config
}

fn column(text: &str) -> RuleKind {
    RuleKind::Column(ColumnExpression::parse(text).expect("expression"))
}

fn lookup() -> RuleKind {
    RuleKind::Lookup(
        LookupRule::parse(
            "LOOKUP_TABLE=l KEY_COLUMN=place LOOKUP_KEY_COLUMN=place EXTERNAL_ID_COLUMN=node ALL_NODES_VALUE=*",
        )
        .expect("expression"),
    )
}

/// A part of rows of table `sale(id, place)`: each with its operation and its place before and after.
fn part(rows: &[(Operation, Option<&str>, Option<&str>)]) -> Part {
    let cells = |id: i64, place: &str| vec![Cell::Text(id.to_string()), Cell::Text(place.to_owned())];
    let changes = rows
        .iter()
        .zip(11..)
        .map(|((operation, old, new), data_id)| Change {
            data_id,
            table: 0,
            operation: *operation,
            new: new.map(|place| cells(data_id, place)),
            old: old.map(|place| cells(data_id, place)),
            path: Vec::new(),
        })
        .collect();
    Part {
        absent: Vec::new(),
        loading: Vec::new(),
        source: node_id("s"),
        source_group: group("from"),
        channel: channel(),
        batch_id: 7,
        configuration_version: 4,
        created_ms: 0,
        targets: Vec::new(),
        rows: Rows {
            tables: vec![table()],
            changes,
        },
        answers: Vec::new(),
        load: None,
        request: None,
    }
}

fn table() -> TableInfo {
    TableInfo {
        hist_id: 1,
        trigger_ids: vec!["t".to_owned()],
        source_schema: None,
        source_table: "sale".to_owned(),
        target_schema: None,
        target_table: "sale".to_owned(),
        columns: ["id", "place"]
            .map(|name| ColumnInfo {
                name: name.to_owned(),
                logical: LogicalType::Text,
            })
            .to_vec(),
        key: vec![0],
        column_level: false,
    }
}

fn inserts(places: &[&str]) -> Part {
    part(
        &places
            .iter()
            .map(|place| (Operation::Insert, None, Some(*place)))
            .collect::<Vec<_>>(),
    )
}

fn answers(sets: &[&[&str]], changes: &[(u32, u32)]) -> Vec<RuleAnswers> {
    vec![RuleAnswers {
        rule: RuleId::Router("r".to_owned()),
        sets: sets
            .iter()
            .map(|set| set.iter().map(|id| (*id).to_owned()).collect())
            .collect(),
        changes: changes.to_vec(),
    }]
}

/// Who gets which changes, and what nobody gets.
fn outcome(part: &Part, config: &Config) -> (Vec<(String, Vec<usize>)>, Vec<usize>) {
    let decision = decide(part, config).expect("decision");
    let targets = decision
        .targets
        .iter()
        .map(|(node, target)| {
            (
                node.to_string(),
                target.rows.iter().map(|row| row.change).collect(),
            )
        })
        .collect();
    (targets, decision.unrouted)
}

fn got(of: &[(&str, &[usize])]) -> Vec<(String, Vec<usize>)> {
    of.iter()
        .map(|(node, changes)| ((*node).to_owned(), changes.to_vec()))
        .collect()
}

/// Changes flow from one group to another, as soon as they are routed.
fn link(config: &mut Config, source: &str, target: &str) {
    let link = NodeGroupLink {
        source: group(source),
        target: group(target),
        action: LinkAction::Push,
    };
    config
        .links
        .insert((link.source.clone(), link.target.clone()), link);
}

#[test]
fn a_default_rule_sends_every_row_to_every_node_of_the_group() {
    let (targets, unrouted) = outcome(&inserts(&["1", "2"]), &with(RuleKind::Default));
    assert_eq!(targets, got(&[("a", &[0, 1]), ("b", &[0, 1]), ("c", &[0, 1])]));
    assert!(unrouted.is_empty());
}

#[test]
fn only_enabled_registered_nodes_behind_a_link_get_anything() {
    let mut config = with(RuleKind::Default);
    config.registered.remove(&node_id("a"));
    config.nodes.get_mut(&node_id("b")).expect("node").sync_enabled = false;
    assert_eq!(outcome(&inserts(&["1"]), &config).0, got(&[("c", &[0])]));
    config.links.clear();
    assert_eq!(outcome(&inserts(&["1"]), &config), (Vec::new(), vec![0]));
}

#[test]
fn a_batch_goes_to_each_node_by_the_link_into_its_group() {
    let mut config = with(RuleKind::Default);
    config.nodes.get_mut(&node_id("b")).expect("node").group = group("asking");
    link(&mut config, "from", "asking");
    let key = (group("from"), group("asking"));
    config.links.get_mut(&key).expect("link").action = LinkAction::WaitForPull;
    let to_asking = Router {
        target_group: group("asking"),
        ..router("asking", RuleKind::Default)
    };
    add(&mut config, to_asking);
    let decision = decide(&inserts(&["1"]), &config).expect("decision");
    let actions: Vec<_> = decision.targets.values().map(|target| target.action).collect();
    let (push, wait) = (LinkAction::Push, LinkAction::WaitForPull);
    assert_eq!(actions, [push, wait, push]);
}

#[test]
fn a_node_that_ignores_the_channel_is_decided_about_as_any_other() {
    let mut config = with(column("place=:EXTERNAL_ID"));
    let ignored = NodeChannelCtl {
        suspended: false,
        ignored: true,
    };
    let suspended = NodeChannelCtl {
        suspended: true,
        ignored: false,
    };
    let other = ChannelId::new("other").expect("id");
    config.controls.insert((node_id("a"), channel()), ignored);
    config.controls.insert((node_id("b"), channel()), suspended);
    config.controls.insert((node_id("c"), other), ignored);
    let decision = decide(&inserts(&["xa", "xb", "xc"]), &config).expect("decision");
    let ignored: Vec<_> = decision.targets.values().map(|target| target.ignored).collect();
    assert_eq!(ignored, [true, false, false]);
    assert!(decision.unrouted.is_empty());
}

#[test]
fn a_source_can_not_claim_another_group_nor_a_table_that_is_not_there() {
    let mut part = inserts(&["1"]);
    part.source_group = group("to");
    assert!(matches!(
        decide(&part, &with(RuleKind::Default)),
        Err(DecideError::ForeignGroup { .. })
    ));
    let mut part = inserts(&["1"]);
    part.rows.changes[0].table = 1;
    assert!(matches!(
        decide(&part, &with(RuleKind::Default)),
        Err(DecideError::NoTable { .. })
    ));
}

proptest! {
    #[test]
    fn ranges_hold_exactly_the_ids(ids in proptest::collection::vec(1..60_i64, 0..40)) {
        let expected: BTreeSet<i64> = ids.iter().copied().collect();
        let ranges = ranges(ids);
        let held: Vec<i64> = ranges.iter().flat_map(|(first, last)| *first..=*last).collect();
        prop_assert_eq!(held, expected.into_iter().collect::<Vec<_>>());
        prop_assert!(ranges.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0));
    }
}
