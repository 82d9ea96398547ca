//! Initial loads, and nodes that wait for one.

use super::*;
use symstream_shared::wire::{LoadPart, LoadStep};

fn load_for(targets: &[&str], places: &[&str]) -> Part {
    Part {
        targets: targets.iter().map(|target| node_id(target)).collect(),
        load: Some(LoadPart {
            load_id: 3,
            step: LoadStep::Rows,
        }),
        ..inserts(places)
    }
}

#[test]
fn an_initial_load_goes_to_its_nodes_whatever_the_rules_say() {
    let mut config = with(column("place=:EXTERNAL_ID"));
    config.routers.get_mut("r").expect("router").on_insert = false;
    config.registered.remove(&node_id("a"));
    config.nodes.get_mut(&node_id("b")).expect("node").sync_enabled = false;
    let ignored = NodeChannelCtl {
        suspended: false,
        ignored: true,
    };
    config.controls.insert((node_id("b"), channel()), ignored);
    config.links.clear();
    let mut part = load_for(&["a", "b"], &["xa", "xc"]);
    part.rows.tables[0].target_table = "elsewhere".to_owned();
    part.absent = vec![node_id("a")];
    let decision = decide(&part, &config).expect("decision");
    assert_eq!(
        outcome(&part, &config),
        (got(&[("a", &[0, 1]), ("b", &[0, 1])]), vec![])
    );
    assert_eq!(decision.tables[0].target_table, "elsewhere");
    assert!(decision.targets.values().all(|target| !target.ignored));
}

#[test]
fn a_batch_without_rows_is_for_its_targets_too() {
    let part = load_for(&["a", "b"], &[]);
    assert_eq!(
        outcome(&part, &with(RuleKind::Default)).0,
        got(&[("a", &[]), ("b", &[])])
    );
}

#[test]
fn a_target_that_is_not_in_the_configuration_is_passed_over() {
    let part = load_for(&["gone", "b"], &["1"]);
    let decision = decide(&part, &with(RuleKind::Default)).expect("no error");
    assert_eq!(decision.unknown, [node_id("gone")]);
    assert_eq!(outcome(&part, &with(RuleKind::Default)).0, got(&[("b", &[0])]));
}

#[test]
fn a_node_that_needs_a_load_gets_neither_changes_nor_requests() {
    let config = with(RuleKind::Default);
    let changes = Part {
        absent: vec![node_id("b")],
        ..inserts(&["1"])
    };
    assert_eq!(outcome(&changes, &config).0, got(&[("a", &[0]), ("c", &[0])]));
    let request = Part {
        targets: vec![node_id("b")],
        request: Some(Request::Reload { data_id: 5 }),
        ..changes
    };
    assert_eq!(outcome(&request, &config), (Vec::new(), vec![0]));
}
