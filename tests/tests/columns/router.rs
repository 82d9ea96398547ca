//! `sym_router` and `sym_trigger_router`: rules that triggers share.

use super::deployment::{NOTHING, becomes, next, other_schema};
use super::given::{Given, NULL};
use symstream_tests::network::installed;

/// The columns of a trigger that takes its groups from its routers.
const BY_ROUTER: [(&str, &str); 2] = [("source_node_group_id", NULL), ("target_node_group_id", NULL)];

/// A table whose trigger has one router of this type.
fn routed(given: &mut Given, table: &str, router_type: &str, expression: &str) {
    given.table(table, "id integer primary key, owner varchar(20)");
    given.trigger(table, &BY_ROUTER);
    given.router(
        table,
        &[("router_type", router_type), ("router_expression", expression)],
    );
    given.trigger_router(table, table, &[]);
}

/// Each type of router selects nodes by its expression.
pub async fn router_types(mut given: Given) {
    routed(&mut given, "r_default", "default", "");
    routed(
        &mut given,
        "r_column",
        "column",
        "OWNER=:EXTERNAL_ID or old_owner=:NODE_ID or owner=:NODE_GROUP_ID",
    );
    routed(
        &mut given,
        "r_subselect",
        "subselect",
        "c.external_id = :owner or c.node_id = :OLD_OWNER",
    );
    routed(
        &mut given,
        "r_lookup",
        "lookuptable",
        "LOOKUP_TABLE=r_links KEY_COLUMN=owner LOOKUP_KEY_COLUMN=k EXTERNAL_ID_COLUMN=site",
    );
    given.at_hub("create table r_links (k varchar(20), site varchar(20))");
    given.at_hub("insert into r_links values ('both', 'near')");
    given.at_hub("insert into r_links values ('both', 'far')");
    given.at_hub("insert into r_links values ('one', 'far')");
    let at = given.running().await;

    at.write(
        "insert into r_default values (1, 'anybody'); insert into r_column values (1, 'near'); \
         insert into r_column values (2, 'site'); insert into r_column values (3, 'nobody'); \
         insert into r_column values (4, 'n-far'); update r_column set owner = 'other' where id = 4; \
         insert into r_subselect values (1, 'far'); insert into r_subselect values (2, 'n-near'); \
         update r_subselect set owner = 'other' where id = 2; insert into r_lookup values (1, 'both'); \
         insert into r_lookup values (2, 'one'); insert into r_lookup values (3, 'none')",
    )
    .await;

    let (one, far_only) = (["1", "far"], ["4", "other"]);
    let rows = |table| format!("select id, owner from {table} order by id");
    for site in [&at.near, &at.far] {
        becomes(&site.database, &rows("r_default"), [["1", "anybody"]]).await;
    }
    becomes(
        &at.near.database,
        &rows("r_column"),
        [["1", "near"], ["2", "site"]],
    )
    .await;
    becomes(&at.far.database, &rows("r_column"), [["2", "site"], far_only]).await;
    becomes(&at.near.database, &rows("r_subselect"), [["2", "other"]]).await;
    becomes(&at.far.database, &rows("r_subselect"), [one]).await;
    becomes(&at.near.database, &rows("r_lookup"), [["1", "both"]]).await;
    becomes(&at.far.database, &rows("r_lookup"), [["1", "both"], ["2", "one"]]).await;
}

/// A rule is for each event unless its flag is 0.
pub async fn sync_on_events_of_a_router(mut given: Given) {
    let events = ["insert", "update", "delete"];
    for event in events {
        let (table, column) = (format!("r_no_{event}"), format!("sync_on_{event}"));
        given.table(&table, "id integer primary key, a varchar(20)");
        given.trigger(&table, &BY_ROUTER);
        given.router(&table, &[(&column, "0")]);
        given.trigger_router(&table, &table, &[]);
        given.at_hub(&format!("insert into {table} values (1, 'loaded')"));
        given.at_hub(&format!("insert into {table} values (2, 'loaded')"));
    }
    let at = given.running().await;

    for event in events {
        let table = format!("r_no_{event}");
        at.write(&format!(
            "insert into {table} values (3, 'new'); update {table} set a = 'changed' where id = 1; \
             delete from {table} where id = 2"
        ))
        .await;
    }

    let rows = |event| format!("select id, a from r_no_{event} order by id");
    becomes(&at.near.database, &rows("insert"), [["1", "changed"]]).await;
    becomes(
        &at.near.database,
        &rows("update"),
        [["1", "loaded"], ["3", "new"]],
    )
    .await;
    let kept = [["1", "changed"], ["2", "loaded"], ["3", "new"]];
    becomes(&at.near.database, &rows("delete"), kept).await;
    // The trigger captures all of them; those that the rule is not for go to nobody.
    for (event, letter) in [("insert", "I"), ("update", "U"), ("delete", "D")] {
        let sql = format!(
            "select d.event_type from sym_data d join sym_data_event e on e.data_id = d.data_id \
             where d.table_name = 'r_no_{event}' and e.node_id = '-1'"
        );
        becomes(&at.hub.database, &sql, [[letter]]).await;
    }
}

/// A router's target goes before its trigger's.
pub async fn target_of_a_router(mut given: Given) {
    let place = other_schema(next(given.kind));
    given.at_hub("create table r_moved (id integer primary key, site varchar(20))");
    given.at_near(&format!(
        "create table {place}.r_arrived (id integer primary key, site varchar(20))"
    ));
    let of_trigger = [
        ("target_schema_name", "nowhere"),
        ("target_table_name", "nowhere"),
    ];
    given.trigger("r_moved", &[BY_ROUTER, of_trigger].concat());
    let of_router = [("target_schema_name", place), ("target_table_name", "r_arrived")];
    let near_only = [("router_type", "column"), ("router_expression", "site=:NODE_ID")];
    given.router("r_moved", &[of_router, near_only].concat());
    given.trigger_router("r_moved", "r_moved", &[]);
    let at = given.running().await;

    at.write("insert into r_moved values (1, 'n-near')").await;

    becomes(
        &at.near.database,
        &format!("select id from {place}.r_arrived"),
        [["1"]],
    )
    .await;
}

/// A trigger without groups of its own is where its routers' source groups are.
pub async fn groups_of_a_router(mut given: Given) {
    // One trigger, two rules: one of another target group, one of another source group.
    given.table("r_groups", "id integer primary key");
    given.trigger("r_groups", &BY_ROUTER);
    given.router("r_to_depot", &[("target_node_group_id", "depot")]);
    given.router(
        "r_from_site",
        &[("source_node_group_id", "site"), ("target_node_group_id", "hub")],
    );
    for router in ["r_to_depot", "r_from_site"] {
        given.trigger_router("r_groups", router, &[]);
    }
    let at = given.running().await;
    installed(&at.near, &["r_groups"]).await;

    at.write("insert into r_groups values (1)").await;
    at.near.database.run("insert into r_groups values (2)").await;

    let hub = &at.hub.database;
    becomes(hub, "select id from r_groups order by id", [["1"], ["2"]]).await;
    let nodes = "select e.node_id from sym_data d join sym_data_event e on e.data_id = d.data_id \
                 where d.table_name = 'r_groups'";
    becomes(hub, nodes, [["n-depot"]]).await;
    becomes(&at.near.database, nodes, [["hub"]]).await;
}

/// A row that is not enabled is as good as none.
pub async fn enabled_of_a_trigger_router(mut given: Given) {
    given.table("r_disabled", "id integer primary key");
    given.trigger("r_disabled", &BY_ROUTER);
    given.router(
        "r_on",
        &[("router_type", "column"), ("router_expression", "id=1")],
    );
    given.router("r_off", &[]);
    given.trigger_router("r_disabled", "r_on", &[]);
    given.trigger_router("r_disabled", "r_off", &[("enabled", "0")]);
    let at = given.running().await;

    at.write("insert into r_disabled values (1); insert into r_disabled values (2)")
        .await;

    let nodes = "select e.node_id from sym_data d join sym_data_event e on e.data_id = d.data_id \
                 where d.table_name = 'r_disabled' order by d.data_id, e.node_id";
    becomes(&at.hub.database, nodes, [["n-far"], ["n-near"], ["-1"]]).await;
    becomes(&at.near.database, "select id from r_disabled", [["1"]]).await;
}

/// Only with this flag a change goes back to where it came from.
pub async fn ping_back_enabled(mut given: Given) {
    for (table, ping_back) in [("r_ping", "1"), ("r_quiet", "0")] {
        given.table(table, "id integer primary key, a varchar(20)");
        given.trigger(
            table,
            &[BY_ROUTER.as_slice(), &[("sync_on_incoming_batch", "1")]].concat(),
        );
        given.router(table, &[]);
        given.trigger_router(table, table, &[("ping_back_enabled", ping_back)]);
        given.trigger(
            table,
            &[
                ("trigger_id", &format!("{table}_from_site")),
                ("source_node_group_id", "site"),
                ("target_node_group_id", "hub"),
            ],
        );
    }
    let at = given.running().await;
    installed(&at.near, &["r_ping", "r_quiet"]).await;

    at.near
        .database
        .run("insert into r_ping values (1, 'a'); insert into r_quiet values (1, 'a')")
        .await;

    let nodes = |table| {
        format!(
            "select e.node_id, b.status from sym_data d join sym_data_event e on e.data_id = d.data_id \
             join sym_outgoing_batch b on b.batch_id = e.batch_id and b.node_id = e.node_id \
             where d.table_name = '{table}' order by e.node_id"
        )
    };
    becomes(
        &at.hub.database,
        &nodes("r_ping"),
        [["n-far", "OK"], ["n-near", "OK"]],
    )
    .await;
    becomes(&at.hub.database, &nodes("r_quiet"), [["n-far", "OK"]]).await;
    assert_eq!(
        at.near.database.rows("select id from r_quiet where id > 1").await,
        NOTHING
    );
}
