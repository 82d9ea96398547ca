//! Each kind of rule: whom it selects, and what it can not decide.

use super::*;

#[test]
fn a_delete_is_routed_by_what_the_row_was_and_an_update_by_what_it_becomes() {
    let config = with(column("place=:EXTERNAL_ID"));
    let part = part(&[
        (Operation::Delete, Some("xa"), None),
        (Operation::Update, Some("xa"), Some("xb")),
        (Operation::Insert, None, Some("nowhere")),
    ]);
    assert_eq!(
        outcome(&part, &config),
        (got(&[("a", &[0]), ("b", &[1])]), vec![2])
    );
    let config = with(column("place=:EXTERNAL_ID or old_place=:EXTERNAL_ID"));
    assert_eq!(outcome(&part, &config).0, got(&[("a", &[0, 1]), ("b", &[1])]));
}

#[test]
fn a_column_rule_knows_constants_and_differences() {
    let config = with(column("place=all or place!=:NODE_ID"));
    assert_eq!(
        outcome(&inserts(&["all", "b"]), &config).0,
        got(&[("a", &[0, 1]), ("b", &[0]), ("c", &[0, 1])])
    );
}

#[test]
fn a_lookup_goes_to_the_external_ids_that_the_source_found() {
    let mut part = inserts(&["1", "2", "3", "4"]);
    part.answers = answers(
        &[&["xb", "xa", "unknown"], &[], &["*"]],
        &[(0, 0), (1, 1), (2, 2), (3, 0)],
    );
    assert_eq!(
        outcome(&part, &with(lookup())),
        (got(&[("a", &[0, 2, 3]), ("b", &[0, 2, 3]), ("c", &[2])]), vec![1])
    );
}

#[test]
fn a_subselect_goes_to_the_node_ids_that_the_source_found() {
    let mut part = inserts(&["1", "2"]);
    part.answers = answers(&[&["b", "s"]], &[(0, 0), (1, 0)]);
    let subselect = RuleKind::Subselect(Subselect::parse("c.external_id = :PLACE").expect("expression"));
    assert_eq!(outcome(&part, &with(subselect)).0, got(&[("b", &[0, 1])]));
}

#[test]
fn an_answer_that_is_missing_is_an_error_and_not_nobody() {
    let mut part = inserts(&["1", "2"]);
    part.answers = answers(&[&["xa"]], &[(0, 0)]);
    let message = decide(&part, &with(lookup())).expect_err("no answer").to_string();
    assert_eq!(
        message,
        "rule router_id=r: the source sent no answer for data_id 12 of table sale; \
         if the rule was another one when this was captured, put that one back until it is routed"
    );
    // A set that is not there is no answer either.
    part.answers = answers(&[&["xa"]], &[(0, 0), (1, 5)]);
    assert!(decide(&part, &with(lookup())).is_err());
}

#[test]
fn a_column_that_is_missing_is_an_error_that_names_the_rule() {
    let message = decide(&inserts(&["1"]), &with(column("nix=1")))
        .expect_err("no column")
        .to_string();
    assert_eq!(message, "rule router_id=r: table sale has no column \"nix\"");
}

#[test]
fn a_rule_is_for_some_operations_only() {
    let mut config = with(RuleKind::Default);
    let rule = config.routers.get_mut("r").expect("router");
    (rule.on_insert, rule.on_delete) = (false, false);
    let part = part(&[
        (Operation::Insert, None, Some("1")),
        (Operation::Update, Some("1"), Some("2")),
        (Operation::Delete, Some("2"), None),
    ]);
    assert_eq!(outcome(&part, &config).1, vec![0, 2]);
}

#[test]
fn two_rules_send_a_row_to_one_table_once_and_to_two_tables_twice() {
    let mut config = with(RuleKind::Default);
    add(&mut config, router("again", column("place=:EXTERNAL_ID")));
    let part = inserts(&["xa", "xb"]);
    assert_eq!(
        outcome(&part, &config).0,
        got(&[("a", &[0, 1]), ("b", &[0, 1]), ("c", &[0, 1])])
    );
    config.routers.get_mut("again").expect("router").target_table = Some("archive".to_owned());
    let decision = decide(&part, &config).expect("decision");
    let tables: Vec<(usize, &str)> = decision.targets[&node_id("a")]
        .rows
        .iter()
        .map(|row| (row.change, decision.tables[row.table].target_table.as_str()))
        .collect();
    assert_eq!(tables, [(0, "sale"), (0, "archive"), (1, "sale")]);
}

#[test]
fn the_seeds_form_of_a_trigger_is_a_rule_of_its_own() {
    let mut config = config();
    let own = config.triggers.get_mut("t").expect("trigger");
    own.source_group = Some(group("from"));
    own.target_group = Some(group("to"));
    own.node_select = Some(Subselect::parse("where c.external_id = 'xa'").expect("expression"));
    let mut part = inserts(&["1"]);
    part.answers = vec![RuleAnswers {
        rule: RuleId::NodeSelect("t".to_owned()),
        ..answers(&[&["a"]], &[(0, 0)]).remove(0)
    }];
    assert_eq!(outcome(&part, &config).0, got(&[("a", &[0])]));
}

proptest! {
    /// The set-wise decision is what asking each rule for each row and each node by itself gives.
    #[test]
    fn rows_go_where_rules_say_in_order_and_once(
        places in proptest::collection::vec(0..5_usize, 1..40),
        origins in proptest::collection::vec(proptest::option::of(0..3_usize), 40),
        lookups in proptest::collection::vec(0..4_u32, 40),
    ) {
        let names = ["xa", "xb", "xc", "b", "nowhere"];
        let sets: [&[&str]; 4] = [&[], &["xa"], &["xb", "xc"], &["*", "xa"]];
        let mut part = inserts(&places.iter().map(|place| names[*place]).collect::<Vec<_>>());
        for (change, origin) in part.rows.changes.iter_mut().zip(&origins) {
            change.path = origin.iter().map(|index| node_id(["a", "b", "c"][*index])).collect();
        }
        let indexes: Vec<(u32, u32)> = (0..).zip(lookups.iter().copied()).take(places.len()).collect();
        part.answers = answers(&sets, &indexes);
        let mut config = with(lookup());
        add(&mut config, router("second", column("place=:EXTERNAL_ID or place=:NODE_ID")));

        let decision = decide(&part, &config).expect("decision");
        let mut routed = HashSet::new();
        for node in ["a", "b", "c"] {
            let expected: Vec<usize> = (0..places.len())
                .filter(|index| {
                    let external = format!("x{node}");
                    let set = sets[lookups[*index] as usize];
                    let place = names[places[*index]];
                    let selected = set.contains(&"*") || set.contains(&external.as_str()) || place == external || place == node;
                    selected && !part.rows.changes[*index].path.contains(&node_id(node))
                })
                .collect();
            let actual: Vec<usize> =
                decision.targets.get(&node_id(node)).into_iter().flat_map(|target| &target.rows).map(|row| row.change).collect();
            routed.extend(expected.iter().copied());
            prop_assert_eq!(actual, expected);
        }
        let nobody: Vec<usize> = (0..places.len()).filter(|index| !routed.contains(index)).collect();
        prop_assert_eq!(decision.unrouted, nobody);
    }
}
