//! A load selects what the router would.

use super::world::World;
use symstream_shared::db::DatabaseKind::{self, Mysql, Postgres, Sqlite};

/// Rules of each type, with the rows (ids) that node `n`, external id `north`, gets.
const RULES: [(&str, &str, &[i64]); 24] = [
    ("default", "", &[1, 2, 3, 4, 5, 6, 7, 8]),
    ("column", "SHOP=:EXTERNAL_ID", &[1, 7]),
    ("column", "Shop != :EXTERNAL_ID", &[2, 3, 4, 5, 6, 8]),
    ("column", "shop=:NODE_ID or id=5", &[4, 5]),
    ("column", "OLD_SHOP=:EXTERNAL_ID", &[]),
    ("column", "shop=NULL", &[6]),
    ("column", "number=30\nflag=1", &[1, 3, 4]),
    ("column", "shop contains :EXTERNAL_ID", &[1, 3, 7]),
    (
        "lookuptable",
        "LOOKUP_TABLE=LINKS KEY_COLUMN=PATIENT LOOKUP_KEY_COLUMN=patient_id EXTERNAL_ID_COLUMN=location",
        &[1, 2, 7],
    ),
    (
        "lookuptable",
        "LOOKUP_TABLE=links KEY_COLUMN=patient LOOKUP_KEY_COLUMN=patient_id EXTERNAL_ID_COLUMN=location \
         ALL_NODES_VALUE=everywhere",
        &[1, 2, 4, 7],
    ),
    // A number is looked up in a text, and a text in a number.
    (
        "lookuptable",
        "LOOKUP_TABLE=links KEY_COLUMN=number LOOKUP_KEY_COLUMN=number_text EXTERNAL_ID_COLUMN=location",
        &[1, 2, 8],
    ),
    (
        "lookuptable",
        "LOOKUP_TABLE=links KEY_COLUMN=number LOOKUP_KEY_COLUMN=number EXTERNAL_ID_COLUMN=location",
        &[1, 2, 8],
    ),
    (
        "lookuptable",
        "LOOKUP_TABLE=links KEY_COLUMN=code LOOKUP_KEY_COLUMN=number_text EXTERNAL_ID_COLUMN=location",
        &[2],
    ),
    ("subselect", "c.external_id = :SHOP", &[1, 7]),
    ("subselect", "c.external_id = :OLD_SHOP", &[]),
    (
        "subselect",
        ":OLD_NUMBER is null and c.node_id <> :Shop",
        &[1, 2, 3, 5, 7, 8],
    ),
    (
        "subselect",
        "c.node_group_id = :NODE_GROUP_ID and (:NUMBER > 10 and :number <= 30)",
        &[2, 3, 8],
    ),
    (
        "subselect",
        "c.external_id in (select location from links l where l.patient_id = :PATIENT and l.number = :NUMBER)",
        &[1, 2],
    ),
    ("subselect", "c.external_id = 'north' and :AMOUNT > 2.5", &[3, 5]),
    ("subselect", "c.external_id = 'south'", &[]),
    (
        "subselect",
        "c.external_id = 'north' and :DAY >= '2026-02-01'",
        &[2, 3, 5],
    ),
    ("subselect", "c.external_id = 'north' and :CODE = 'k2'", &[2]),
    (
        "subselect",
        "c.external_id = 'north' and ':SHOP' = ':SHOP'",
        &[1, 2, 3, 4, 5, 6, 7, 8],
    ),
    (
        "subselect",
        "c.external_id = 'north' and upper(:PATIENT) like 'P''1%'",
        &[7],
    ),
];

async fn world(kind: DatabaseKind) -> World {
    let world = World::start(kind).await;
    let (other_collation, bool_type, backslash) = match kind {
        // Two collations that do not compare.
        Mysql => (
            " character set latin1 collate latin1_german1_ci",
            "boolean",
            "\\\\",
        ),
        Postgres => ("", "boolean", "\\"),
        Sqlite => ("", "integer", "\\"),
    };
    let (on, off) = if kind == Postgres {
        ("true", "false")
    } else {
        ("1", "0")
    };
    world
        .run(&format!(
            "create table links (id integer primary key, patient_id varchar(20){other_collation}, number integer, \
             number_text varchar(20), location char(12));
             create table visit (id integer primary key, patient varchar(20), shop varchar(20), number integer, \
             amount decimal(9, 2), day date, code char(4), flag {bool_type});
             insert into links values (1, 'p1', 10, '10', 'north'), (2, 'p1', 10, '10', 'south'), (3, 'p2', 20, '20', 'north'), \
             (4, 'p3', 21, '30', 'NORTH'), (5, 'p4', 22, '0', 'everywhere'), (6, 'p''1 {backslash}', 20, 'k2', 'north');
             insert into visit values \
             (1, 'p1', 'north', 10, 1, '2026-01-01', 'k1', {on}), \
             (2, 'p2', 'south', 20, 2.5, '2026-02-01', 'k2', {off}), \
             (3, 'p3', 'south, north', 30, 10.25, '2026-03-01', 'k3', {off}), \
             (4, 'p4', 'n', 40, 0.5, '2025-12-31', null, {on}), \
             (5, null, 'North', null, 99, '2027-01-01', '', null), \
             (6, 'nobody', null, 5, null, null, 'K2', {off}), \
             (7, 'p''1 {backslash}', 'north', 7, -1, '2026-01-31', 'k22', {off}), \
             (8, 'P1?', 'x', 20, 2.4, '2026-01-31', 'k1', null);
             insert into sym_node_group_link (source_node_group_id, target_node_group_id) values ('here', 'all');
             insert into sym_node (node_id, node_group_id, external_id) values ('n', 'there', 'north'), \
             ('s', 'there', 'south'), ('everything', 'all', 'all');
             insert into sym_router (router_id, source_node_group_id, target_node_group_id) values ('all', 'here', 'all'), \
             ('rule', 'here', 'there');
             insert into sym_trigger (trigger_id, source_table_name, channel_id) values ('visit', 'visit', 'main');
             insert into sym_trigger_router (trigger_id, router_id) values ('visit', 'all'), ('visit', 'rule')"
        ))
        .await;
    world.sync_triggers().await;
    world
}

async fn selects_what_the_router_would(kind: DatabaseKind) {
    let world = world(kind).await;
    for (router_type, expression, expected) in RULES {
        let expected: Vec<String> = expected.iter().map(i64::to_string).collect();
        let literal = kind.literal(expression);
        world
            .run(&format!(
                "update sym_router set router_type = '{router_type}', router_expression = {literal} where router_id = 'rule'"
            ))
            .await;
        let loaded = world.loaded_ids("n").await;
        assert_eq!(
            loaded,
            world.routed("visit", "n").await,
            "{kind}, router: {expression}"
        );
        assert_eq!(loaded, expected, "{kind}: {expression}");
        let loaded = world.loaded_ids("s").await;
        assert_eq!(
            loaded,
            world.routed("visit", "s").await,
            "{kind}, router: {expression}"
        );
    }
}

#[tokio::test]
async fn a_load_selects_what_the_router_would_on_postgres() {
    selects_what_the_router_would(Postgres).await;
}

#[tokio::test]
async fn a_load_selects_what_the_router_would_on_mariadb() {
    selects_what_the_router_would(Mysql).await;
}

#[tokio::test]
async fn a_load_selects_what_the_router_would_on_sqlite() {
    selects_what_the_router_would(Sqlite).await;
}

#[tokio::test]
async fn a_rule_that_does_not_fit_is_named() {
    let world = world(Sqlite).await;
    for (router_type, expression, why) in [
        ("column", "lost=1", "table visit has no column \"lost\""),
        ("subselect", "c.node_id = :lost", "table visit has no column lost"),
        (
            "lookuptable",
            "LOOKUP_TABLE=lost KEY_COLUMN=id LOOKUP_KEY_COLUMN=id EXTERNAL_ID_COLUMN=id",
            "lookup table lost does not exist",
        ),
    ] {
        world
            .run(&format!(
                "update sym_router set router_type = '{router_type}', router_expression = '{expression}' \
                 where router_id = 'rule'"
            ))
            .await;
        let err = world.plan_error("n").await;
        assert_eq!(err, format!("router rule for table visit: {why}"));
    }
}
