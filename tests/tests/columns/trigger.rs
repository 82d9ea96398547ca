//! `sym_trigger`: what is captured, and what becomes of it.

use super::deployment::{NEAR, becomes, next, other_schema};
use super::given::Given;
use symstream_shared::db::DatabaseKind::Sqlite;

/// No rows.
pub const NOTHING: [[&str; 1]; 0] = [];

pub async fn channel_id(mut given: Given) {
    given.channel("aside", &[]);
    given.table("t_channel", "id integer primary key");
    given.trigger("t_channel", &[("channel_id", "aside")]);
    let at = given.running().await;

    at.write("insert into t_channel values (1)").await;

    let sql = "select d.channel_id, e.channel_id, b.channel_id, b.status from sym_data d \
               join sym_data_event e on e.data_id = d.data_id \
               join sym_outgoing_batch b on b.batch_id = e.batch_id and b.node_id = e.node_id \
               where d.table_name = 't_channel' and e.node_id = 'n-near'";
    becomes(&at.hub.database, sql, [["aside", "aside", "aside", "OK"]]).await;
    becomes(&at.near.database, "select id from t_channel", [["1"]]).await;
}

pub async fn excluded_column_names(mut given: Given) {
    given.table(
        "t_excluded",
        "id integer primary key, a varchar(20), b varchar(20), c varchar(20)",
    );
    given.trigger("t_excluded", &[("excluded_column_names", "B, c")]);
    let at = given.running().await;

    at.write("insert into t_excluded values (1, 'a', 'b', 'c')").await;

    becomes(
        &at.near.database,
        "select * from t_excluded",
        [["1", "a", "∅", "∅"]],
    )
    .await;
    // What the target has in such a column is its own.
    at.near.database.run("update t_excluded set b = 'own'").await;
    at.write("update t_excluded set a = 'a2', b = 'b2'").await;
    becomes(
        &at.near.database,
        "select * from t_excluded",
        [["1", "a2", "own", "∅"]],
    )
    .await;
    let columns = "select column_names from sym_trigger_hist where trigger_id = 't_excluded'";
    assert_eq!(at.hub.database.rows(columns).await, [["id,a"]]);
}

pub async fn sync_on_events(mut given: Given) {
    let events = ["insert", "update", "delete"];
    for event in events {
        let (table, column) = (format!("t_no_{event}"), format!("sync_on_{event}"));
        given.table(&table, "id integer primary key, a varchar(20)");
        given.trigger(&table, &[(&column, "0")]);
        // What was there before any trigger arrives by the initial load, whatever the triggers are for.
        given.at_hub(&format!("insert into {table} values (1, 'loaded')"));
        given.at_hub(&format!("insert into {table} values (2, 'loaded')"));
    }
    let at = given.running().await;

    for event in events {
        let table = format!("t_no_{event}");
        at.write(&format!(
            "insert into {table} values (3, 'new'); update {table} set a = 'changed' where id = 1; \
             delete from {table} where id = 2"
        ))
        .await;
    }

    let rows = |event| format!("select id, a from t_no_{event} order by id");
    becomes(&at.near.database, &rows("insert"), [["1", "changed"]]).await;
    becomes(
        &at.near.database,
        &rows("update"),
        [["1", "loaded"], ["3", "new"]],
    )
    .await;
    becomes(
        &at.near.database,
        &rows("delete"),
        [["1", "changed"], ["2", "loaded"], ["3", "new"]],
    )
    .await;
    for (event, captured) in [
        ("insert", ["D", "U"]),
        ("update", ["D", "I"]),
        ("delete", ["I", "U"]),
    ] {
        let sql =
            format!("select event_type from sym_data where table_name = 't_no_{event}' order by event_type");
        let found = at.hub.database.rows(&sql).await.concat();
        assert_eq!(found, captured, "{event}");
    }
}

pub async fn sync_on_conditions(mut given: Given) {
    given.table("t_condition", "id integer primary key, a varchar(20), n integer");
    given.trigger(
        "t_condition",
        &[
            ("sync_on_insert_condition", "new.n > 10 and new.a <> 'it''s'"),
            ("sync_on_update_condition", "new.n > old.n"),
            ("sync_on_delete_condition", "old.n < 100 or old.a is null"),
        ],
    );
    let at = given.running().await;

    let kept = "insert into t_condition values (1, 'a', 11); insert into t_condition values (2, 'a', 10); \
                insert into t_condition values (3, 'it''s', 99); insert into t_condition values (4, 'b', 50); \
                insert into t_condition values (5, null, 12); insert into t_condition values (6, 'c', 200)";
    at.write(kept).await;
    // A condition that is null holds as little as a false one.
    let rows = "select id, a, n from t_condition order by id";
    let (one, four, six) = (["1", "a", "11"], ["4", "b", "50"], ["6", "c", "200"]);
    becomes(&at.near.database, rows, [one, four, six]).await;

    at.write(
        "update t_condition set a = 'same' where id = 1; update t_condition set a = 'more', n = n + 1 where id = 4",
    )
    .await;
    becomes(&at.near.database, rows, [one, ["4", "more", "51"], six]).await;

    at.write("delete from t_condition where id = 6; delete from t_condition where id = 1")
        .await;
    becomes(&at.near.database, rows, [["4", "more", "51"], six]).await;
    let captured = "select event_type, count(*) from sym_data where table_name = 't_condition' \
                    group by event_type order by event_type";
    assert_eq!(
        at.hub.database.rows(captured).await,
        [["D", "1"], ["I", "3"], ["U", "1"]]
    );
}

pub async fn source_schema_name(mut given: Given) {
    let schema = other_schema(given.kind);
    given.at_sites("create table t_schema (id integer primary key)");
    if given.kind != Sqlite {
        given.at_hub("create table t_schema (id integer primary key)");
    }
    given.at_hub(&format!(
        "create table {schema}.t_schema (id integer primary key)"
    ));
    given.trigger("t_schema", &[("source_schema_name", schema)]);
    let at = given.running().await;

    if at.hub.database.kind() != Sqlite {
        at.write("insert into t_schema values (1)").await;
    }
    at.write(&format!("insert into {schema}.t_schema values (2)"))
        .await;

    becomes(&at.near.database, "select id from t_schema", [["2"]]).await;
    let recorded = "select source_schema_name from sym_trigger_hist where trigger_id = 't_schema'";
    let expected = if at.hub.database.kind() == Sqlite {
        "∅"
    } else {
        schema
    };
    assert_eq!(at.hub.database.rows(recorded).await, [[expected]]);
}

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
    super::given::capturing(&at.near, &["t_relay", "t_end"]).await;

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
