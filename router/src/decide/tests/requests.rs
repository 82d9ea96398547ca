//! Statements and reloads: for one node, or for nobody.

use super::*;

fn statement_for(target: &str) -> Part {
    Part {
        targets: vec![node_id(target)],
        request: Some(Request::Statement {
            data_id: 5,
            sql: "delete from sale".to_owned(),
        }),
        ..part(&[])
    }
}

fn reload_for(target: &str, places: &[&str]) -> Part {
    let mut part = inserts(places);
    for change in &mut part.rows.changes {
        change.data_id = 5;
    }
    Part {
        targets: vec![node_id(target)],
        request: Some(Request::Reload { data_id: 5 }),
        ..part
    }
}

/// What makes that node `a` can not get anything.
type Hindrance = (&'static str, fn(&mut Config));

const HINDRANCES: [Hindrance; 4] = [
    ("is not in the configuration", |config| {
        config.nodes.remove(&node_id("a"));
    }),
    ("is not registered", |config| {
        config.registered.remove(&node_id("a"));
    }),
    ("is disabled", |config| {
        config.nodes.get_mut(&node_id("a")).expect("node").sync_enabled = false;
    }),
    ("has no link", |config| config.links.clear()),
];

#[test]
fn a_statement_reaches_its_node_whatever_the_rules_say() {
    assert_eq!(outcome(&statement_for("a"), &config()).0, got(&[("a", &[])]));
    let decision = decide(&statement_for("a"), &config()).expect("decision");
    assert_eq!(decision.targets[&node_id("a")].action, LinkAction::Push);
}

#[test]
fn a_statement_for_a_node_that_can_not_get_it_is_for_nobody() {
    for (what, hinder) in HINDRANCES {
        let mut config = config();
        hinder(&mut config);
        assert_eq!(
            outcome(&statement_for("a"), &config).0,
            got(&[]),
            "a node that {what}"
        );
    }
    let mut config = config();
    link(&mut config, "from", "from");
    assert_eq!(outcome(&statement_for("s"), &config).0, got(&[]), "its own node");
    let to_all = Part {
        targets: Vec::new(),
        ..statement_for("a")
    };
    assert_eq!(outcome(&to_all, &config).0, got(&[]), "no node");
}

#[test]
fn a_reload_goes_to_its_node_by_its_rows_values() {
    let mut config = with(column("place=:EXTERNAL_ID"));
    config.routers.get_mut("r").expect("router").on_insert = false;
    let part = reload_for("a", &["xa", "xb", "xa"]);
    assert_eq!(outcome(&part, &config).0, got(&[("a", &[0, 2])]));
    assert_eq!(outcome(&reload_for("a", &["xb"]), &config).0, got(&[]));
    assert_eq!(outcome(&reload_for("a", &[]), &config).0, got(&[]));
}

#[test]
fn a_reload_for_a_node_that_can_not_get_it_is_for_nobody_and_no_error() {
    for (what, hinder) in HINDRANCES {
        // Its source asked nothing for a node that it does not know.
        let mut config = with(lookup());
        hinder(&mut config);
        assert_eq!(
            outcome(&reload_for("a", &["1"]), &config).0,
            got(&[]),
            "a node that {what}"
        );
    }
}
