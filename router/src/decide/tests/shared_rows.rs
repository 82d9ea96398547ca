//! Captured rows that several triggers share, and triggers that are no more.

use super::*;

/// Trigger `u` beside `t`, with a rule of its own.
fn two_triggers(second: Router) -> (Config, Part) {
    let mut config = with(column("place=:EXTERNAL_ID"));
    config.triggers.insert("u".to_owned(), trigger("u"));
    add(&mut config, second);
    config.trigger_routers[1].trigger_id = "u".to_owned();
    let mut part = inserts(&["xa", "xb"]);
    part.rows.tables[0].trigger_ids = vec!["t".to_owned(), "u".to_owned()];
    (config, part)
}

/// Who gets which changes, each with the target's table and whether only changed columns are written.
fn tables_of(part: &Part, config: &Config, node: &str) -> Vec<(usize, String, bool)> {
    let decision = decide(part, config).expect("decision");
    let rows = decision.targets.get(&node_id(node)).into_iter();
    rows.flat_map(|target| &target.rows)
        .map(|row| (row, &decision.tables[row.table]))
        .map(|(row, table)| (row.change, table.target_table.clone(), table.column_level))
        .collect()
}

#[test]
fn a_shared_row_goes_where_the_rules_of_all_its_triggers_say_once() {
    let (config, part) = two_triggers(router("all", RuleKind::Default));
    assert_eq!(
        outcome(&part, &config),
        (got(&[("a", &[0, 1]), ("b", &[0, 1]), ("c", &[0, 1])]), vec![])
    );
}

#[test]
fn each_trigger_of_a_shared_row_says_where_to_and_which_columns() {
    let (mut config, part) = two_triggers(Router {
        target_table: Some("archive".to_owned()),
        ..router("all", RuleKind::Default)
    });
    config.triggers.get_mut("u").expect("trigger").column_level = true;
    let (sale, archive) = ("sale".to_owned(), "archive".to_owned());
    assert_eq!(
        tables_of(&part, &config, "a"),
        [
            (0, sale.clone(), false),
            (0, archive.clone(), true),
            (1, archive.clone(), true)
        ]
    );
    assert_eq!(
        tables_of(&part, &config, "b"),
        [(0, archive.clone(), true), (1, sale, false), (1, archive, true)]
    );
}

#[test]
fn a_row_that_one_trigger_sends_whole_and_another_by_column_goes_once_and_whole() {
    for by_column in ["t", "u"] {
        let (mut config, part) = two_triggers(router("all", RuleKind::Default));
        config.triggers.get_mut(by_column).expect("trigger").column_level = true;
        // `t` sends row 0 to a, `u` sends both.
        let second_is_whole = by_column == "t";
        let sale = || "sale".to_owned();
        assert_eq!(
            tables_of(&part, &config, "a"),
            [(0, sale(), false), (1, sale(), !second_is_whole)],
            "{by_column} by column"
        );
    }
}

#[test]
fn a_trigger_that_was_made_inactive_still_routes_what_it_captured() {
    let mut config = with(RuleKind::Default);
    config.triggers.get_mut("t").expect("trigger").active = false;
    let decision = decide(&inserts(&["1"]), &config).expect("decision");
    assert_eq!((decision.targets.len(), decision.forgotten.len()), (3, 0));
}

#[test]
fn what_a_deleted_trigger_captured_is_for_nobody() {
    let mut config = with(RuleKind::Default);
    config.triggers.clear();
    config.trigger_routers.clear();
    let mut part = inserts(&["1", "2"]);
    // A table of which the part has no rows is not worth a word.
    part.rows.tables.push(table());
    let decision = decide(&part, &config).expect("decision");
    assert!(decision.targets.is_empty());
    assert_eq!((decision.unrouted, decision.forgotten), (vec![0, 1], vec![0]));
}

#[test]
fn a_row_whose_other_trigger_was_deleted_goes_where_the_one_that_is_left_says() {
    let (mut config, part) = two_triggers(router("all", RuleKind::Default));
    config.triggers.remove("u");
    config.trigger_routers.pop();
    let decision = decide(&part, &config).expect("decision");
    assert!(decision.forgotten.is_empty());
    assert_eq!(outcome(&part, &config).0, got(&[("a", &[0]), ("b", &[1])]));
}
