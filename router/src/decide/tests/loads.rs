//! Initial loads, and nodes that wait for one.

use super::*;
use symstream_shared::wire::{ClearTable, LoadBegin, LoadPart, LoadStep};

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
fn an_initial_load_goes_to_its_nodes_whatever_the_rules_say_of_its_rows() {
    let mut config = with(column("place=:EXTERNAL_ID"));
    config.routers.get_mut("r").expect("router").on_insert = false;
    config.routers.get_mut("r").expect("router").target_table = Some("elsewhere".to_owned());
    config.triggers.get_mut("t").expect("trigger").active = false;
    config.registered.remove(&node_id("a"));
    config.nodes.get_mut(&node_id("b")).expect("node").sync_enabled = false;
    let ignored = NodeChannelCtl {
        suspended: false,
        ignored: true,
    };
    config.controls.insert((node_id("b"), channel()), ignored);
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

/// Why node `a` gets nothing of this; `None` where it does.
fn refused(part: &Part, config: &Config) -> Option<LoadMisfit> {
    let mut decision = decide(part, config).expect("no error");
    assert_eq!(
        decision.targets.is_empty(),
        decision.unknown.contains_key(&node_id("a"))
    );
    decision.unknown.remove(&node_id("a"))
}

fn no_rule(schema: Option<&str>, table: &str) -> Option<LoadMisfit> {
    Some(LoadMisfit::Table {
        schema: schema.map(str::to_owned),
        table: table.to_owned(),
    })
}

fn load_part(step: LoadStep) -> Part {
    Part {
        load: Some(LoadPart { load_id: 3, step }),
        ..load_for(&["a"], &[])
    }
}

#[test]
fn an_initial_load_needs_a_registered_source_and_a_link() {
    let mut config = with(RuleKind::Default);
    let part = load_for(&["a"], &["1"]);
    assert_eq!(refused(&part, &config), None);
    config.registered.remove(&node_id("s"));
    assert_eq!(refused(&part, &config), Some(LoadMisfit::Source));
    let mut config = with(RuleKind::Default);
    config.links.clear();
    let no_link = || {
        Some(LoadMisfit::Link {
            from: group("from"),
            to: group("to"),
        })
    };
    assert_eq!(refused(&part, &config), no_link());
    let begin = LoadStep::Begin(LoadBegin::default());
    assert_eq!(refused(&load_part(begin), &config), no_link());
    for end in [LoadStep::End, LoadStep::Cancelled] {
        let mut end = load_part(end);
        end.rows = Rows::default();
        assert_eq!(refused(&end, &config), None, "what began can be ended");
    }
}

#[test]
fn rows_of_an_initial_load_go_only_where_a_rule_of_their_triggers_leads() {
    let mut config = with(RuleKind::Default);
    let elsewhere = Router {
        target_group: group("others"),
        target_table: Some("theirs".to_owned()),
        ..router("r2", RuleKind::Default)
    };
    add(&mut config, elsewhere);
    link(&mut config, "from", "others");
    let into = |schema: Option<&str>, table: &str| {
        let mut part = load_for(&["a"], &["1"]);
        part.rows.tables[0].target_schema = schema.map(str::to_owned);
        part.rows.tables[0].target_table = table.to_owned();
        part
    };
    assert_eq!(refused(&into(None, "sale"), &config), None);
    for (schema, table) in [
        (None, "sym_node_security"),
        (Some("pg_catalog"), "sale"),
        (None, "theirs"),
    ] {
        assert_eq!(refused(&into(schema, table), &config), no_rule(schema, table));
    }
    let mut of_other = into(None, "sale");
    of_other.rows.tables[0].trigger_ids = vec!["u".to_owned()];
    assert_eq!(refused(&of_other, &config), no_rule(None, "sale"));
}

#[test]
fn a_load_clears_and_creates_only_what_a_rule_leads_to() {
    let config = with(RuleKind::Default);
    let clear = |tables: &[&str]| {
        let clear = tables.iter().map(|table| ClearTable {
            schema: None,
            table: (*table).to_owned(),
        });
        load_part(LoadStep::Begin(LoadBegin {
            clear: clear.collect(),
            ..LoadBegin::default()
        }))
    };
    assert_eq!(refused(&clear(&["sale"]), &config), None);
    assert_eq!(
        refused(&clear(&["sale", "sym_trigger"]), &config),
        no_rule(None, "sym_trigger")
    );
    let create = |xml: String| {
        load_part(LoadStep::Begin(LoadBegin {
            create: Some(xml),
            ..LoadBegin::default()
        }))
    };
    let tables = |names: &[&str]| {
        let column = "<column name=\"id\" type=\"INTEGER\"/>";
        let table = |name: &&str| format!("<table name=\"{name}\">{column}</table>");
        format!(
            "<database name=\"d\">{}</database>",
            names.iter().map(table).collect::<String>()
        )
    };
    assert_eq!(refused(&create(tables(&["sale"])), &config), None);
    assert_eq!(
        refused(&create(tables(&["sale", "other"])), &config),
        no_rule(None, "other")
    );
    assert!(matches!(
        refused(&create("<nonsense".to_owned()), &config),
        Some(LoadMisfit::Description(_))
    ));
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
    assert_eq!(decision.unknown[&node_id("gone")], LoadMisfit::Node);
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
