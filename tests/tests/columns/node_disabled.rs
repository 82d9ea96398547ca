//! `sym_node.sync_enabled`.

use super::deployment::{Guest, NOTHING, becomes};
use super::given::Given;
use symstream_tests::network::installed;

/// A disabled node is sent nothing new; what was captured for it before waits, and so nothing of that is lost. What it
/// captures itself goes its way.
pub async fn sync_enabled(mut given: Given) {
    let table = "create table n_disabled (id integer primary key)";
    given.at_hub(table);
    given.trigger("n_disabled", &[("target_node_group_id", "guest")]);
    given.at_hub("create table n_back (id integer primary key)");
    given.row(
        "node_group_link",
        &[],
        &[("source_node_group_id", "guest"), ("target_node_group_id", "hub")],
    );
    given.trigger(
        "n_back",
        &[("source_node_group_id", "guest"), ("target_node_group_id", "hub")],
    );
    let at = given.running().await;
    let guest = at.guest("guest", "on-and-off");
    let ddl = format!("{table}; create table n_back (id integer primary key)");
    let mut guest = Guest::start(&at, guest, &ddl).await;
    installed(&guest.site, &["n_back"]).await;
    at.write("insert into n_disabled values (1)").await;
    let rows = "select id from n_disabled order by id";
    becomes(&guest.site.database, rows, [["1"]]).await;

    // GIVEN a change that was routed to the node while it was away
    guest.process.kill();
    at.write("insert into n_disabled values (2)").await;
    let nodes = "select e.node_id from sym_data d join sym_data_event e on e.data_id = d.data_id \
                 where d.table_name = 'n_disabled' order by d.data_id";
    becomes(&at.hub.database, nodes, [["on-and-off"], ["on-and-off"]]).await;

    // WHEN it is disabled, and runs again
    at.edit("update sym_node set sync_enabled = 0 where node_id = 'on-and-off'")
        .await;
    at.write("insert into n_disabled values (3)").await;
    becomes(&at.hub.database, nodes, [["on-and-off"], ["on-and-off"], ["-1"]]).await;
    guest.start_again(&at);
    guest.site.database.run("insert into n_back values (1)").await;
    becomes(&at.hub.database, "select id from n_back", [["1"]]).await;
    let version = "select sync_enabled from sym_node where node_id = 'on-and-off'";
    becomes(&guest.site.database, version, [["0"]]).await;

    // THEN what was for it waits, and arrives when it is enabled again; what was captured meanwhile was not for it
    assert_eq!(
        guest
            .site
            .database
            .rows("select id from n_disabled where id > 1")
            .await,
        NOTHING
    );
    at.edit("update sym_node set sync_enabled = 1 where node_id = 'on-and-off'")
        .await;
    at.write("insert into n_disabled values (4)").await;
    becomes(&guest.site.database, rows, [["1"], ["2"], ["4"]]).await;
    becomes(
        &at.hub.database,
        nodes,
        [["on-and-off"], ["on-and-off"], ["-1"], ["on-and-off"]],
    )
    .await;
    let log = at.hub.log();
    let told = log
        .lines()
        .any(|line| line.contains(" WARN ") && line.contains("reload-node") && line.contains("on-and-off"));
    assert!(told, "the log names nobody to reload");
    guest.process.kill();
}
