//! `sym_trigger`: what is captured.

use super::deployment::{becomes, other_schema};
use super::given::Given;
use symstream_shared::db::DatabaseKind::Sqlite;

/// A change travels on its trigger's channel.
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

/// Excluded columns stay at home, and the target's own values in them stay as they are.
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

/// Each event is captured unless its flag is 0.
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

/// Only rows for which the event's condition holds are captured.
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

/// Of two tables of one name, the one in the named schema is captured.
pub async fn source_schema_name(mut given: Given) {
    let schema = other_schema(given.kind);
    given.at_sites("create table t_schema (id integer primary key)");
    if given.kind != Sqlite {
        given.at_hub("create table t_schema (id integer primary key)");
    }
    given.at_hub(&format!(
        "create table {schema}.t_schema (id integer primary key)"
    ));
    // Names are found whatever their case.
    let table = ("source_table_name", "T_Schema");
    given.trigger("t_schema", &[table, ("source_schema_name", schema)]);
    let at = given.running().await;

    if at.hub.database.kind() != Sqlite {
        at.write("insert into t_schema values (1)").await;
    }
    at.write(&format!("insert into {schema}.t_schema values (2)"))
        .await;

    becomes(&at.near.database, "select id from t_schema", [["2"]]).await;
    let recorded =
        "select source_schema_name, source_table_name from sym_trigger_hist where trigger_id = 't_schema'";
    let expected = if at.hub.database.kind() == Sqlite {
        "∅"
    } else {
        schema
    };
    assert_eq!(at.hub.database.rows(recorded).await, [[expected, "t_schema"]]);
}
