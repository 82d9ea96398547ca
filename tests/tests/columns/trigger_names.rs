//! `sym_trigger`: which database triggers there are, and at which nodes.

use super::deployment::becomes;
use super::given::Given;
use symstream_shared::db::DatabaseKind;
use symstream_tests::network::installed;

/// The names of all triggers on a table.
pub fn triggers_on(kind: DatabaseKind, table: &str) -> String {
    match kind {
        DatabaseKind::Sqlite => {
            format!(
                "select name from sqlite_master where type = 'trigger' and tbl_name = '{table}' order by name"
            )
        }
        DatabaseKind::Mysql => format!(
            "select trigger_name from information_schema.triggers where event_object_table = '{table}' \
             and trigger_schema = database() order by trigger_name"
        ),
        DatabaseKind::Postgres => format!(
            "select distinct trigger_name::text from information_schema.triggers \
             where event_object_table = '{table}' order by trigger_name::text"
        ),
    }
}

/// Triggers have the names that they are given.
pub async fn names_for_triggers(mut given: Given) {
    given.table("t_named", "id integer primary key");
    given.trigger(
        "t_named",
        &[
            ("trigger_id", "4711"),
            ("name_for_insert_trigger", "added"),
            ("name_for_update_trigger", "changed"),
            ("name_for_delete_trigger", "removed"),
        ],
    );
    let at = given.running().await;
    let hub = &at.hub.database;

    becomes(
        hub,
        &triggers_on(hub.kind(), "t_named"),
        [["added"], ["changed"], ["removed"]],
    )
    .await;
    let recorded = "select name_for_insert_trigger, name_for_update_trigger, name_for_delete_trigger \
                    from sym_trigger_hist where trigger_id = '4711'";
    assert_eq!(hub.rows(recorded).await, [["added", "changed", "removed"]]);

    at.write("insert into t_named values (1)").await;
    becomes(&at.near.database, "select id from t_named", [["1"]]).await;
}

/// A trigger is at the nodes of its source group, and its changes are for those of its target group.
pub async fn groups_of_a_trigger(mut given: Given) {
    given.table("t_depot", "id integer primary key");
    given.trigger("t_depot", &[("target_node_group_id", "depot")]);
    given.table("t_of_site", "id integer primary key");
    given.trigger(
        "t_of_site",
        &[("source_node_group_id", "site"), ("target_node_group_id", "hub")],
    );
    given.table("t_island", "id integer primary key");
    given.trigger("t_island", &[("target_node_group_id", "island")]);
    let at = given.running().await;
    installed(&at.near, &["t_of_site"]).await;

    at.write(
        "insert into t_depot values (1); insert into t_island values (1); insert into t_of_site values (1)",
    )
    .await;
    at.near.database.run("insert into t_of_site values (2)").await;

    let nodes = |table| {
        format!(
            "select e.node_id from sym_data d join sym_data_event e on e.data_id = d.data_id \
             where d.table_name = '{table}'"
        )
    };
    let hub = &at.hub.database;
    becomes(hub, &nodes("t_depot"), [["n-depot"]]).await;
    // No link leads to that group: the change is for nobody.
    becomes(hub, &nodes("t_island"), [["-1"]]).await;
    becomes(hub, "select id from t_of_site order by id", [["1"], ["2"]]).await;
    let captured = "select count(*) from sym_data where table_name = 't_of_site'";
    assert_eq!(hub.rows(captured).await, [["0"]]);
    for (database, table) in [(hub, "t_of_site"), (&at.near.database, "t_depot")] {
        let found = database.rows(&triggers_on(database.kind(), table)).await;
        assert!(found.is_empty(), "{table} in {}: {found:?}", database.kind());
    }
}
