//! `sym_trigger`: where captured changes go, and what they do there.

use super::deployment::{NEAR, NOTHING, becomes, next, other_schema};
use super::given::Given;
use symstream_tests::network::installed;

/// Rows are written to the table and schema that the trigger names.
pub async fn target_schema_and_table_name(mut given: Given) {
    let schema = other_schema(next(given.kind));
    given.at_hub("create table t_moved (id integer primary key)");
    given.at_near(&format!(
        "create table {schema}.t_arrived (id integer primary key)"
    ));
    given.trigger(
        "t_moved",
        &[
            ("target_schema_name", schema),
            ("target_table_name", "t_arrived"),
            // The far site has no such schema.
            ("node_select", "c.node_id = 'n-near'"),
        ],
    );
    given.table("t_here", "id integer primary key");
    given.at_sites("create table t_there (id integer primary key)");
    given.trigger("t_here", &[("target_table_name", "t_there")]);
    let at = given.running().await;

    at.write("insert into t_moved values (1); insert into t_here values (1)")
        .await;

    becomes(
        &at.near.database,
        &format!("select id from {schema}.t_arrived"),
        [["1"]],
    )
    .await;
    becomes(&at.near.database, "select id from t_there", [["1"]]).await;
    assert_eq!(at.near.database.rows("select id from t_here").await, NOTHING);
}

/// A condition over nodes and values of the row selects who gets it.
pub async fn node_select(mut given: Given) {
    given.table(
        "t_owned",
        "id integer primary key, owner varchar(20), a varchar(20)",
    );
    given.trigger(
        "t_owned",
        &[(
            "node_select",
            "where c.external_id = :OWNER or c.external_id = :OLD_owner",
        )],
    );
    given.at_hub("create table t_guests (id integer, node varchar(20))");
    given.at_hub("insert into t_guests values (7, 'n-far')");
    given.table("t_party", "id integer primary key");
    given.trigger(
        "t_party",
        &[(
            "node_select",
            "c.node_group_id = :NODE_GROUP_ID and c.node_id in (select g.node from t_guests g where g.id = :id)",
        )],
    );
    let at = given.running().await;
    let (near, far) = (&at.near.database, &at.far.database);

    at.write(
        "insert into t_owned values (1, 'near', 'a'); insert into t_owned values (2, 'far', 'b'); \
         insert into t_owned values (3, 'nobody', 'c'); insert into t_party values (7); insert into t_party values (8)",
    )
    .await;
    let rows = "select id, owner, a from t_owned order by id";
    becomes(near, rows, [["1", "near", "a"]]).await;
    becomes(far, rows, [["2", "far", "b"]]).await;
    becomes(far, "select id from t_party", [["7"]]).await;
    let nobody = "select d.pk_data, e.node_id from sym_data d join sym_data_event e on e.data_id = d.data_id \
                  where d.table_name = 't_party' order by d.data_id";
    becomes(&at.hub.database, nobody, [["∅", "n-far"], ["∅", "-1"]]).await;

    // An update is for those of the old and of the new values, a delete for those of the row that it removed.
    at.write("update t_owned set owner = 'far', a = 'd' where id = 1")
        .await;
    becomes(near, rows, [["1", "far", "d"]]).await;
    becomes(far, rows, [["1", "far", "d"], ["2", "far", "b"]]).await;
    at.write("delete from t_owned where id = 2; insert into t_owned values (4, 'near', 'e')")
        .await;
    becomes(far, rows, [["1", "far", "d"]]).await;
    becomes(near, rows, [["1", "far", "d"], ["4", "near", "e"]]).await;
    assert_eq!(near.rows("select id from t_party").await, NOTHING);
}

/// Only what an update changed is written, where the trigger says so.
pub async fn sync_column_level(mut given: Given) {
    for (table, level) in [("t_columns", "1"), ("t_rows", "0")] {
        given.table(table, "id integer primary key, a varchar(20), b varchar(20)");
        given.trigger(table, &[("sync_column_level", level)]);
        given.at_hub(&format!("insert into {table} values (1, 'a', 'b')"));
    }
    let at = given.running().await;
    let near = &at.near.database;

    for table in ["t_columns", "t_rows"] {
        near.run(&format!("update {table} set b = 'of the site'")).await;
        at.write(&format!("update {table} set a = 'of the hub'")).await;
    }

    becomes(
        near,
        "select * from t_columns",
        [["1", "of the hub", "of the site"]],
    )
    .await;
    becomes(near, "select * from t_rows", [["1", "of the hub", "b"]]).await;
    // The whole row was sent all the same: where it is missing, it comes back.
    near.run("delete from t_columns").await;
    at.write("update t_columns set a = 'again'").await;
    becomes(near, "select * from t_columns", [["1", "again", "b"]]).await;
}

/// What a batch brings is forwarded, where the trigger says so.
pub async fn sync_on_incoming_batch(mut given: Given) {
    for (table, incoming) in [("t_relay", "1"), ("t_end", "0")] {
        let from_site = format!("{table}_from_site");
        given.table(table, "id integer primary key");
        given.trigger(table, &[("sync_on_incoming_batch", incoming)]);
        given.trigger(
            table,
            &[
                ("trigger_id", &from_site),
                ("source_node_group_id", "site"),
                ("target_node_group_id", "hub"),
            ],
        );
    }
    let at = given.running().await;
    installed(&at.near, &["t_relay", "t_end"]).await;

    at.near
        .database
        .run("insert into t_end values (1); insert into t_relay values (1)")
        .await;

    becomes(&at.hub.database, "select id from t_end", [["1"]]).await;
    becomes(&at.far.database, "select id from t_relay", [["1"]]).await;
    at.write("insert into t_end values (2)").await;
    becomes(&at.far.database, "select id from t_end", [["2"]]).await;
    // What was forwarded says where it comes from, and does not go back there.
    let events = "select d.source_node_id, e.node_id from sym_data d join sym_data_event e \
                  on e.data_id = d.data_id where d.table_name = 't_relay'";
    becomes(&at.hub.database, events, [[NEAR, "n-far"]]).await;
}
