//! Plans of real databases, and what they read there.

mod begin;
mod circles;
mod rules;
mod tombstones;
mod world;

use self::world::World;
use symstream_shared::db::DatabaseKind::{Mysql, Postgres, Sqlite};

/// A table that triggers capture for which these values of `sym_trigger` hold: id, target group, load order, load select.
async fn with_triggers(triggers: &[(&str, &str, i64, &str)]) -> World {
    let world = World::start(Sqlite).await;
    world
        .run(
            "create table item (id integer primary key); create table other (id integer primary key);
             insert into sym_node_group_link (source_node_group_id, target_node_group_id) values ('here', 'off');
             insert into sym_node (node_id, node_group_id, external_id) values ('1', 'there', 'x''y'), ('2', 'off', '2');
             insert into sym_trigger (trigger_id, source_table_name, source_node_group_id, target_node_group_id, \
             channel_id, initial_load_order) values ('other', 'other', 'here', 'there', 'main', 5);
             insert into item values (1), (2), (3); insert into other values (9)",
        )
        .await;
    for (id, group, order, select) in triggers {
        world
            .run(&format!(
                "insert into sym_trigger (trigger_id, source_table_name, source_node_group_id, \
                 target_node_group_id, channel_id, initial_load_order, initial_load_select) \
                 values ('{id}', 'item', 'here', '{group}', 'main', {order}, {select})"
            ))
            .await;
    }
    world.sync_triggers().await;
    world
}

#[tokio::test]
async fn triggers_that_select_the_same_rows_load_them_once() {
    let world = with_triggers(&[
        ("a", "there", 9, "'t.id > 2'"),
        ("b", "there", 7, "'''x''''y'' = ''$(externalId)'' and t.id < 2'"),
        ("c", "off", 1, "null"),
        ("d", "there", 8, "'''x''''y'' = ''$(externalId)'' and t.id < 2'"),
    ])
    .await;
    assert_eq!(world.loaded_sorted("1").await, ["item 1", "item 3", "other 9"]);
    assert_eq!(world.loaded("1").await[0], "other 9");
    assert_eq!(world.loaded("2").await, ["item 1", "item 2", "item 3"]);
}

#[tokio::test]
async fn triggers_that_select_different_rows_load_what_any_of_them_selects() {
    let world = with_triggers(&[
        ("a", "there", 2, "'t.id > 1'"),
        ("b", "there", 1, "'t.id > 2 -- all others'"),
        ("c", "off", 2, "null"),
    ])
    .await;
    assert_eq!(world.loaded("1").await, ["item 2", "item 3", "other 9"]);
    let world = with_triggers(&[("a", "there", 6, "'t.id > 1'"), ("b", "there", 6, "' '")]).await;
    assert_eq!(world.loaded("1").await, ["other 9", "item 1", "item 2", "item 3"]);
}

#[tokio::test]
async fn nodes_share_a_load_as_long_as_no_rule_tells_them_apart() {
    for (router_type, expression, select, shared) in [
        ("default", "null", "null", "all"),
        (
            "default",
            "null",
            "'t.id <> 5 and ''$(groupId)'' = ''there'''",
            "all",
        ),
        (
            "default",
            "null",
            "'t.id > 1 and ''$(externalId)'' <> '''''",
            "external id",
        ),
        ("default", "null", "'''$(nodeId)'' <> '''''", "nothing"),
        ("column", "'id=1 or id=:NODE_GROUP_ID'", "null", "all"),
        ("column", "'id=1 or id=:EXTERNAL_ID'", "null", "external id"),
        ("column", "'id=:NODE_ID'", "null", "nothing"),
        (
            "lookuptable",
            "'LOOKUP_TABLE=item KEY_COLUMN=id LOOKUP_KEY_COLUMN=id EXTERNAL_ID_COLUMN=id'",
            "null",
            "external id",
        ),
        ("subselect", "'c.external_id = 1'", "null", "nothing"),
    ] {
        let world = World::start(Sqlite).await;
        world
            .run(&format!(
                "insert into sym_node (node_id, node_group_id, external_id) values ('1', 'there', 'x'), ('2', 'there', 'x'), \
                 ('3', 'there', 'y'), ('4', 'off', 'x');
                 insert into sym_trigger (trigger_id, source_table_name, channel_id) values ('item', 'item', 'main');
                 insert into sym_router (router_id, source_node_group_id, target_node_group_id, router_type, \
                 router_expression) values ('rule', 'here', 'there', '{router_type}', {expression});
                 insert into sym_trigger_router (trigger_id, router_id, initial_load_select) values ('item', 'rule', {select})"
            ))
            .await;
        let signatures = world.signatures(["1", "2", "3", "4"]).await;
        let told_apart = [
            signatures[0] != signatures[1],
            signatures[0] != signatures[2],
            signatures[0] != signatures[3],
        ];
        let expected = match shared {
            "all" => [false, false, true],
            "external id" => [false, true, true],
            _ => [true, true, true],
        };
        assert_eq!(told_apart, expected, "{router_type} {expression} {select}");
    }
}

#[tokio::test]
async fn each_table_at_the_target_has_its_own_rules() {
    for kind in [Postgres, Mysql, Sqlite] {
        let world = World::start(kind).await;
        world
            .run(
                "create table item (id integer primary key, shop varchar(9));
                 insert into item values (1, 'x'), (2, 'y'), (3, 'x'), (4, 'y');
                 insert into sym_node (node_id, node_group_id, external_id) values ('1', 'there', 'x');
                 insert into sym_trigger (trigger_id, source_table_name, channel_id, sync_column_level) \
                 values ('item', 'item', 'main', 1);
                 insert into sym_router (router_id, source_node_group_id, target_node_group_id, router_type, \
                 router_expression, target_table_name) values ('own', 'here', 'there', 'column', 'SHOP=:EXTERNAL_ID', null), \
                 ('high', 'here', 'there', 'default', null, null), ('copy', 'here', 'there', 'default', null, 'copy');
                 insert into sym_trigger_router (trigger_id, router_id, initial_load_select, initial_load_order) \
                 values ('item', 'own', 't.id < 3', 7), ('item', 'high', 't.id > 3', 8), \
                 ('item', 'copy', 't.id between 2 and 3', 3)",
            )
            .await;
        world.sync_triggers().await;
        assert_eq!(
            world.loaded_sorted("1").await,
            ["copy 2 y", "copy 3 x", "item 1 x", "item 4 y"],
            "{kind}"
        );
    }
}
