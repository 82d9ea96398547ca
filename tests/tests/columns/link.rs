//! `sym_node_group_link`: whether changes flow from one group to another, and when they are fetched.

use super::deployment::{Guest, NOTHING, becomes};
use super::given::Given;

/// Without a link nothing flows; from when on there is one, it does.
pub async fn a_link_that_is_missing(mut given: Given) {
    given.at_hub("create table l_island (id integer primary key)");
    given.trigger("l_island", &[("target_node_group_id", "lonely")]);
    given.row("node_group", &[], &[("node_group_id", "lonely")]);
    let at = given.running().await;
    let guest = at.guest("lonely", "robinson");
    let mut guest = Guest::start(&at, guest, "create table l_island (id integer primary key)").await;

    at.write("insert into l_island values (1)").await;
    let events = "select e.node_id from sym_data d join sym_data_event e on e.data_id = d.data_id \
                  where d.table_name = 'l_island' order by d.data_id";
    becomes(&at.hub.database, events, [["-1"]]).await;
    at.edit(
        "insert into sym_node_group_link (source_node_group_id, target_node_group_id) values ('hub', 'lonely')",
    )
    .await;
    at.write("insert into l_island values (2)").await;
    becomes(&at.hub.database, events, [["-1"], ["robinson"]]).await;
    becomes(&guest.site.database, "select id from l_island", [["2"]]).await;
    guest.process.kill();
}

/// `W` and `P` are as fast as each other, until `pull.interval` says when to fetch what waits: `P` does not ask it.
pub async fn data_event_action(mut given: Given) {
    for (group, action) in [("metered", "W"), ("pushed", "P")] {
        let table = format!("l_{group}");
        given.at_hub(&format!("create table {table} (id integer primary key)"));
        given.row("node_group", &[], &[("node_group_id", group)]);
        given.row(
            "node_group_link",
            &[],
            &[
                ("source_node_group_id", "hub"),
                ("target_node_group_id", group),
                ("data_event_action", action),
            ],
        );
        given.trigger(&table, &[("target_node_group_id", group)]);
        given.parameter("ALL", group, "pull.interval", "12h");
    }
    let at = given.running().await;
    let mut guests = Vec::new();
    for group in ["metered", "pushed"] {
        let guest = at.guest(group, &format!("of-{group}"));
        guests.push(
            Guest::start(
                &at,
                guest,
                &format!("create table l_{group} (id integer primary key)"),
            )
            .await,
        );
    }
    let [metered, pushed] = guests.as_mut_slice() else {
        unreachable!("two were pushed above")
    };

    at.write("insert into l_metered values (1); insert into l_pushed values (1)")
        .await;
    becomes(&pushed.site.database, "select id from l_pushed", [["1"]]).await;
    let sent =
        "select count(*) from sym_outgoing_batch where node_id = 'of-metered' and status in ('NE', 'SE')";
    becomes(&at.hub.database, sent, [["1"]]).await;
    assert_eq!(
        metered.site.database.rows("select id from l_metered").await,
        NOTHING
    );

    // Fetched each second, and without any interval at once.
    let rows = "select id from l_metered order by id";
    at.edit("update sym_parameter set param_value = '1s' where node_group_id = 'metered'")
        .await;
    becomes(&metered.site.database, rows, [["1"]]).await;
    at.edit("delete from sym_parameter where node_group_id = 'metered'")
        .await;
    at.write("insert into l_metered values (2)").await;
    becomes(&metered.site.database, rows, [["1"], ["2"]]).await;

    // What still waits when the link begins to push comes with the rest, in order.
    let interval = "insert into sym_parameter (external_id, node_group_id, param_key, param_value) \
                    values ('ALL', 'metered', 'pull.interval', '12h')";
    at.edit(interval).await;
    at.write("insert into l_metered values (3)").await;
    at.edit("update sym_node_group_link set data_event_action = 'P' where target_node_group_id = 'metered'")
        .await;
    at.write("insert into l_metered values (4)").await;
    becomes(&metered.site.database, rows, [["1"], ["2"], ["3"], ["4"]]).await;
}
