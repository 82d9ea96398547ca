//! What of a table an initial load brings, and when: `sym_trigger` and `sym_trigger_router`.

use super::deployment::becomes;
use super::given::{Given, NULL};

/// A load has the rows for which the condition holds, for each node its own.
pub async fn initial_load_select(mut given: Given) {
    let selects = [
        ("t_load_node", "t.who = '$(nodeId)'"),
        ("t_load_external", "t.who = '$(externalId)'"),
        ("t_load_group", "t.who = '$(groupId)' and t.id < 9"),
    ];
    for (table, select) in selects {
        given.table(table, "id integer primary key, who varchar(20)");
        given.trigger(table, &[("initial_load_select", select)]);
        for (id, who) in [
            (1, "n-near"),
            (2, "near"),
            (3, "n-far"),
            (4, "far"),
            (5, "site"),
            (9, "site"),
        ] {
            given.at_hub(&format!("insert into {table} values ({id}, '{who}')"));
        }
    }
    let at = given.running().await;

    let loaded = [
        ("t_load_node", "1", "3"),
        ("t_load_external", "2", "4"),
        ("t_load_group", "5", "5"),
    ];
    for (table, near, far) in loaded {
        let ids = format!("select id from {table}");
        assert_eq!(at.near.database.rows(&ids).await, [[near]], "{table}");
        assert_eq!(at.far.database.rows(&ids).await, [[far]], "{table}");
    }

    // It is about the load only: changes are not asked.
    for (table, near, _) in loaded {
        at.write(&format!("insert into {table} values (7, 'new')")).await;
        let ids = format!("select id from {table} order by id");
        becomes(&at.near.database, &ids, [[near], ["7"]]).await;
    }
}

/// The condition of a trigger's router goes before the trigger's own.
pub async fn initial_load_select_of_a_trigger_router(mut given: Given) {
    given.table("t_load_router", "id integer primary key, who varchar(20)");
    // The trigger's own select holds where its router has none.
    given.trigger(
        "t_load_router",
        &[
            ("source_node_group_id", NULL),
            ("target_node_group_id", NULL),
            ("initial_load_select", "t.id = 1"),
        ],
    );
    given.router("load_select", &[]);
    given.trigger_router(
        "t_load_router",
        "load_select",
        &[("initial_load_select", "t.who = '$(nodeId)'")],
    );
    given.table("t_load_trigger", "id integer primary key, who varchar(20)");
    given.trigger(
        "t_load_trigger",
        &[
            ("source_node_group_id", NULL),
            ("target_node_group_id", NULL),
            ("initial_load_select", "t.id = 1"),
        ],
    );
    given.trigger_router("t_load_trigger", "load_select", &[]);
    for table in ["t_load_router", "t_load_trigger"] {
        given.at_hub(&format!("insert into {table} values (1, 'n-far')"));
        given.at_hub(&format!("insert into {table} values (2, 'n-near')"));
    }
    let at = given.running().await;

    assert_eq!(
        at.near.database.rows("select id from t_load_router").await,
        [["2"]]
    );
    assert_eq!(
        at.far.database.rows("select id from t_load_router").await,
        [["1"]]
    );
    assert_eq!(
        at.near.database.rows("select id from t_load_trigger").await,
        [["1"]]
    );
}

/// Children whose parents are loaded before them only because of the order: they stand first in every other order,
/// and the target refuses a child without its parent.
pub async fn initial_load_order(mut given: Given) {
    let pairs = [("t_a_child", "t_b_parent"), ("t_c_child", "t_d_parent")];
    for (child, parent) in pairs {
        let columns = "id integer primary key";
        for (table, columns) in [
            (parent, columns),
            (child, "id integer primary key, parent integer"),
        ] {
            given.at_hub(&format!("create table {table} ({columns})"));
            given.at_hub(&format!("insert into {table} (id) values (1)"));
        }
        given.at_hub(&format!("update {child} set parent = 1"));
        given.at_sites(&format!("create table {parent} ({columns})"));
        given.at_sites(&format!(
            "create table {child} ({columns}, parent integer, foreign key (parent) references {parent} (id))"
        ));
    }
    given.trigger("t_a_child", &[("initial_load_order", "20")]);
    given.trigger("t_b_parent", &[("initial_load_order", "10")]);
    // The order in sym_trigger_router goes before the trigger's.
    let groups = [("source_node_group_id", NULL), ("target_node_group_id", NULL)];
    given.router("load_order", &[]);
    for (table, order, of_router) in [("t_c_child", "10", "21"), ("t_d_parent", "20", "11")] {
        given.trigger(table, &[groups[0], groups[1], ("initial_load_order", order)]);
        given.trigger_router(table, "load_order", &[("initial_load_order", of_router)]);
    }
    let at = given.running().await;

    for (child, _) in pairs {
        let rows = format!("select id, parent from {child}");
        assert_eq!(at.near.database.rows(&rows).await, [["1", "1"]], "{child}");
        assert_eq!(at.far.database.rows(&rows).await, [["1", "1"]], "{child}");
    }
}
