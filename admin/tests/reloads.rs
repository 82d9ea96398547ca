//! Loads of nodes: asked for, cancelled, and how they are shown.

use crate::site::Site;

/// Nodes 2 and 3 of the group `local`, registered, and 4, which is not.
fn site() -> Site {
    let site = Site::new();
    site.symadmin(&["create-sym-tables"]).ok();
    site.write(
        "nodes.sql",
        "insert into sym_node_group (node_group_id) values ('cloud'), ('local'); \
         insert into sym_node (node_id, node_group_id, external_id, sync_enabled) values ('1', 'cloud', '1', 1), \
           ('2', 'local', 'two', 1), ('3', 'local', 'three', 1), ('4', 'local', 'four', 1); \
         insert into sym_node_security (node_id, password, registration_time) values ('1', 'x', '2026-01-01'), \
           ('2', 'x', '2026-01-01'), ('3', 'x', '2026-01-01'), ('4', 'x', null); \
         insert into sym_node_identity (node_id) values ('1');",
    );
    site.dbimport(&["nodes.sql"]).ok();
    site
}

/// The nodes that a load is asked for.
fn asked(site: &Site) -> Vec<String> {
    let nodes = site.symadmin(&["list-nodes", "--json"]).ok().json();
    let nodes = nodes.as_array().expect("nodes").clone();
    nodes
        .iter()
        .filter(|node| node["load_requested"] == true)
        .map(|node| node["node_id"].as_str().expect("id").to_owned())
        .collect()
}

#[test]
fn loads_are_asked_for_many_nodes_and_cancelled() {
    let site = site();
    let told = site.symadmin(&["reload-node", "two", "3", "2"]).ok().stderr;
    assert_eq!(told.lines().count(), 2, "{told}");
    assert_eq!(asked(&site), ["2", "3"]);
    let told = site.symadmin(&["cancel-reload", "2", "3"]).ok().stderr;
    assert!(told.contains("rows that it got stay"), "{told}");
    assert!(asked(&site).is_empty());
    let error = site.symadmin(&["cancel-reload", "2"]).error(1);
    assert!(error.contains("no load of node 2"), "{error}");
    site.symadmin(&["reload-node", "--group", "local"]).ok();
    assert_eq!(asked(&site), ["2", "3"]);
    // All or nothing.
    site.symadmin(&["cancel-reload", "2", "3"]).ok();
    site.symadmin(&["reload-node", "2", "nobody"]).error(1);
    site.symadmin(&["reload-node", "2", "1"]).error(1);
    site.symadmin(&["reload-node", "--group", "nobody"]).error(1);
    site.symadmin(&["reload-node"]).error(2);
    assert!(asked(&site).is_empty());
}

#[test]
fn a_node_that_needs_a_reload_and_a_load_are_shown_everywhere() {
    let site = site();
    site.write(
        "loads.sql",
        "insert into sym_reload_need (node_id, reason, create_time, contact_time, freed) values \
           ('3', '9 batches wait for it', '2026-01-02 00:00:00', '2026-01-03 00:00:00', 1); \
         insert into sym_load (load_id, node_id, status, table_count, tables_sent, current_table, row_estimate, rows_sent, \
           create_time) values (6, '2', 'AB', 5, 5, null, 9, 9, '2026-01-01 00:00:00'), \
           (7, '2', 'NE', 5, 1, 'item', 1000, 400, '2026-01-02 00:00:00'), \
           (8, '3', 'OK', 5, 5, null, 1000, 900, '2026-01-02 00:00:00');",
    );
    site.dbimport(&["loads.sql"]).ok();
    let status = site.symadmin(&["status", "--json"]).ok().json();
    let need = &status["needs_reload"][0];
    assert_eq!(
        (&need["node"], &need["reason"], &need["since"]),
        (
            &"3".into(),
            &"9 batches wait for it".into(),
            &"2026-01-02 00:00:00".into()
        )
    );
    assert_eq!(need["last_contact"], "2026-01-03 00:00:00");
    // Those that ended long ago, or that another one followed, are not.
    assert_eq!(status["loads"].as_array().map(Vec::len), Some(1));
    let load = &status["loads"][0];
    assert_eq!(
        (&load["node"], &load["load"], &load["status"]),
        (&"2".into(), &7.into(), &"NE".into())
    );
    assert_eq!((&load["tables_sent"], &load["tables"]), (&1.into(), &5.into()));
    assert_eq!((&load["rows_sent"], &load["rows"]), (&400.into(), &1000.into()));
    let text = site.symadmin(&["status"]).ok().stdout;
    assert!(
        text.contains("need a reload") && text.contains("initial loads"),
        "{text}"
    );

    let nodes = site.symadmin(&["list-nodes", "--json"]).ok().json();
    let of = |id: &str, column: &str| {
        let nodes = nodes.as_array().expect("nodes");
        nodes.iter().find(|node| node["node_id"] == id).expect("the node")[column].clone()
    };
    assert_eq!(of("2", "loading"), "NE");
    assert_eq!(of("2", "needs_reload"), serde_json::Value::Null);
    assert_eq!(of("3", "needs_reload"), "9 batches wait for it");
    assert_eq!(
        (of("3", "registered"), of("4", "registered")),
        (true.into(), false.into())
    );
    // A node that needs it is not let go without it.
    site.symadmin(&["reload-node", "3"]).ok();
    let error = site.symadmin(&["cancel-reload", "3"]).error(1);
    assert!(error.contains("9 batches"), "{error}");
    // Nor when the load has begun.
    site.write(
        "owed.sql",
        "delete from sym_reload_need; insert into sym_load (load_id, node_id, status, clear_first) values (18, '3', 'SE', 1);",
    );
    site.dbimport(&["owed.sql"]).ok();
    let error = site.symadmin(&["cancel-reload", "3"]).error(1);
    assert!(error.contains("were kept from it"), "{error}");
    // Nothing is owed any more once it is over.
    site.write(
        "over.sql",
        "update sym_load set status = 'OK' where load_id = 18;",
    );
    site.dbimport(&["over.sql"]).ok();
    site.symadmin(&["cancel-reload", "3"]).ok();
}

#[test]
fn a_watch_without_a_terminal_prints_what_has_changed() {
    use std::io::{BufRead, BufReader};
    let site = site();
    let mut child = site.spawn(&["status", "--watch"]);
    let lines = BufReader::new(child.stdout.take().expect("stdout")).lines();
    let mut lines = lines.map(|line| line.expect("a line"));
    assert_eq!(lines.next().as_deref(), Some("no node needs a reload"));
    site.write(
        "load.sql",
        "insert into sym_load (load_id, node_id, status, table_count, tables_sent, row_estimate, rows_sent) \
         values (7, '2', 'NE', 5, 1, 1000, 400);",
    );
    site.dbimport(&["load.sql"]).ok();
    let line = lines.find(|line| line.starts_with("node 2")).expect("a line");
    assert_eq!(line, "node 2: load 7 being sent, 1 of 5 tables, 400 of 1000 rows");
    child.kill().expect("killed");
    child.wait().expect("ended");
}

#[test]
fn rows_for_a_whole_group_are_shown_with_each_of_its_nodes() {
    let site = site();
    site.write(
        "rows.sql",
        "insert into sym_data (data_id, table_name, event_type, row_data, trigger_hist_id, channel_id) \
           values (41, 't', 'I', '1', 1, 'c'), (42, 't', 'I', '2', 1, 'c'), (43, 't', 'I', '3', 1, 'c'); \
         insert into sym_data_event (data_id, node_id, channel_id, batch_id) values (41, '*local', 'c', 6), \
           (42, '3', 'c', 6), (43, '*cloud', 'c', 6); \
         insert into sym_outgoing_batch (batch_id, node_id, channel_id, status) values (6, '2', 'c', 'SE'), \
           (6, '3', 'c', 'SE');",
    );
    site.dbimport(&["rows.sql"]).ok();
    let shown = |node: &str| {
        let batch = site
            .symadmin(&["show-batch", "6", "--node", node, "--json"])
            .ok()
            .json();
        let rows = batch["rows"].as_array().expect("rows").clone();
        rows.iter()
            .map(|row| row["data_id"].as_i64().expect("id"))
            .collect::<Vec<_>>()
    };
    assert_eq!(shown("2"), [41]);
    assert_eq!(shown("3"), [41, 42]);
}
