//! Rules decide by what rows were and what they become: cases 15, 18 and 19.

use futures_util::future::join_all;
use symstream_shared::db::DatabaseKind;
use symstream_tests::configuration::Configuration;
use symstream_tests::eventually::eventually;
use symstream_tests::firings::{firings, watch};
use symstream_tests::network::{PATIENCE, Site};
use symstream_tests::ring::{GROUPS, ROUND, Ring};

/// What a source writes; `:T` is the node to which its link leads.
const HISTORY: [&str; 8] = [
    "insert into routed values (1, ':T', 'plain')",
    "insert into routed values (2, 'elsewhere', 'two words')",
    "insert into routed values (3, null, 'a = b or c')",
    "insert into routed values (4, 'x,:T', null)",
    "insert into routed values (5, ':T', 'or')",
    "update routed set place = 'gone' where id = 1",
    "update routed set place = ':T' where id = 2",
    "delete from routed where id = 5",
];

/// A rule's name, which is also its table's at the target, its expression, and the rows that are there in the end.
type Rule = (&'static str, &'static str, &'static [[&'static str; 3]]);

const ONE: [&str; 3] = ["1", ":T", "plain"];
const ONE_GONE: [&str; 3] = ["1", "gone", "plain"];
const TWO: [&str; 3] = ["2", ":T", "two words"];
const TWO_ELSEWHERE: [&str; 3] = ["2", "elsewhere", "two words"];
const THREE: [&str; 3] = ["3", "∅", "a = b or c"];
const FOUR: [&str; 3] = ["4", "x,:T", "∅"];

/// Where only what a row becomes counts, the target keeps what it was sent before (until case 16 has its issue).
const RULES: [Rule; 13] = [
    ("at_node", "PLACE=:NODE_ID", &[ONE, TWO]),
    ("at_external", "place = :external_id", &[ONE, TWO]),
    ("was_at_node", "OLD_PLACE=:NODE_ID", &[ONE_GONE]),
    (
        "at_either",
        "PLACE=:NODE_ID or OLD_PLACE=:NODE_ID",
        &[ONE_GONE, TWO],
    ),
    (
        "not_at_node",
        "PLACE!=:NODE_ID",
        &[ONE_GONE, TWO_ELSEWHERE, THREE, FOUR],
    ),
    ("has_node", "Place contains :NODE_ID", &[ONE, TWO, FOUR]),
    (
        "has_node_not",
        "place NOT CONTAINS :NODE_ID",
        &[ONE_GONE, TWO_ELSEWHERE],
    ),
    (
        "has_moved",
        "PLACE!=:OLD_PLACE",
        &[ONE_GONE, TWO, FOUR, ["5", ":T", "or"]],
    ),
    ("two_words", "NOTE=two words", &[TWO]),
    ("operators", "note='a = b or c'", &[THREE]),
    ("either", "NOTE=plain or NOTE='or'", &[ONE_GONE]),
    ("is_null", "NOTE=NULL", &[FOUR]),
    ("is_not_null", "NOTE != NULL", &[ONE_GONE, TWO, THREE]),
];

/// The tables are written in other cases than in the expressions.
fn ddl(_: DatabaseKind) -> String {
    let mut sql = String::new();
    for table in ["routed", "twice"]
        .into_iter()
        .chain(RULES.iter().map(|rule| rule.0))
    {
        sql.push_str(&format!(
            "create table {table} (id integer primary key, place varchar(20), note varchar(20));"
        ));
    }
    sql
}

/// A trigger whose rules are in `sym_router`, once for each link.
fn trigger(table: &str, rules: &[(&str, &str, &str, &str)]) -> Vec<String> {
    let mut sql = vec![format!(
        "insert into sym_trigger (trigger_id, source_table_name, channel_id, create_time, last_updated_time) \
         values ('{table}', '{table}', 'main', current_timestamp, current_timestamp)"
    )];
    for (from, to) in ROUND.map(|(from, to)| (GROUPS[from], GROUPS[to])) {
        for (name, kind, expression, target) in rules {
            let expression = expression.replace('\'', "''");
            sql.push(format!(
                "insert into sym_router (router_id, source_node_group_id, target_node_group_id, router_type, \
                 router_expression, target_table_name) \
                 values ('{name}_{from}', '{from}', '{to}', '{kind}', '{expression}', '{target}')"
            ));
            sql.push(format!(
                "insert into sym_trigger_router (trigger_id, router_id) values ('{table}', '{name}_{from}')"
            ));
        }
    }
    sql
}

fn configuration() -> Configuration {
    let rules = RULES.map(|(name, expression, _)| (name, "column", expression, name));
    let twice = [
        ("twice_all", "default", "", "twice"),
        ("twice_here", "column", "PLACE=:NODE_ID", "twice"),
        ("twice_by_sql", "subselect", "c.node_id = :PLACE", "twice"),
    ];
    let statements = [
        vec!["insert into sym_channel (channel_id) values ('main')".to_owned()],
        trigger("routed", &rules),
        trigger("twice", &twice),
    ];
    statements
        .iter()
        .flatten()
        .fold(Configuration::default(), |all, sql| all.and(sql))
}

async fn each_rule_selects(source: &Site, target: &Site) {
    for sql in HISTORY {
        source.database.run(&sql.replace(":T", target.id())).await;
    }
    for (table, expression, rows) in RULES {
        let expected: Vec<Vec<String>> = rows
            .iter()
            .map(|row| row.map(|value| value.replace(":T", target.id())).to_vec())
            .collect();
        eventually(
            PATIENCE,
            format!("{expression} from {} to {}", source.id(), target.id()),
            || async {
                let sql = format!("select id, place, note from {table} order by id");
                let found = target.database.rows(&sql).await;
                if found == expected {
                    Ok(())
                } else {
                    Err(format!("{found:?}"))
                }
            },
        )
        .await;
    }
}

async fn several_rules_send_a_row_once(source: &Site, target: &Site) {
    let id = 10 + source.id().len();
    let place = target.id();
    source
        .database
        .run(&format!("insert into twice values ({id}, '{place}', 'a')"))
        .await;
    source
        .database
        .run(&format!("update twice set note = 'b' where id = {id}"))
        .await;
    source
        .database
        .run(&format!("delete from twice where id = {id}"))
        .await;
    let expected = ["insert a", "update b", "delete b"];
    eventually(PATIENCE, "one firing for each change", || async {
        let fired = firings(&target.database, "twice").await?;
        let fired: Vec<String> = fired.into_iter().flat_map(|(_, events)| events).collect();
        if fired == expected {
            Ok(())
        } else {
            Err(format!("{fired:?}"))
        }
    })
    .await;
}

#[tokio::test]
async fn rules_select_rows_by_what_they_were_and_what_they_become() {
    let ring = Ring::start(ddl, configuration()).await;
    join_all(
        ring.ways()
            .map(|(source, target)| each_rule_selects(source, target)),
    )
    .await;
    ring.quiet().await;
    join_all(
        ring.sites
            .iter()
            .map(|site| watch(&site.database, "twice", "id", "note")),
    )
    .await;
    for (source, target) in ring.ways() {
        several_rules_send_a_row_once(source, target).await;
        ring.quiet().await;
        for site in &ring.sites {
            site.database.run("delete from firings").await;
        }
    }
}
