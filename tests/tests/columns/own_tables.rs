//! The tables that SymStream has beyond the seed's.

use super::deployment::{NOTHING, becomes};
use super::given::Given;
use symstream_tests::eventually::eventually;
use symstream_tests::network::PATIENCE;

/// `sym_state`: among others the version of the configuration that a node has.
pub async fn state(given: Given) {
    let at = given.running().await;
    let version = "select state_value from sym_state where state_key = 'config_version'";
    for site in [&at.near, &at.far] {
        eventually(PATIENCE, "the hub's version", || async {
            let (hub, own) = (
                at.hub.database.rows(version).await,
                site.database.rows(version).await,
            );
            if hub.len() == 1 && hub == own {
                Ok(())
            } else {
                Err(format!("{own:?} of {hub:?}"))
            }
        })
        .await;
    }
}

/// `sym_capture_batch`: what each batch is made of, written before it is sent.
pub async fn capture_batch(mut given: Given) {
    given.channel("o_batch", &[]);
    given.table("o_batch", "id integer primary key");
    given.trigger("o_batch", &[("channel_id", "o_batch")]);
    let at = given.running().await;
    let hub = &at.hub.database;

    hub.transaction("insert into o_batch values (1); insert into o_batch values (2)")
        .await;
    becomes(&at.near.database, "select count(*) from o_batch", [["2"]]).await;

    let data = "select data_id from sym_data where table_name = 'o_batch' order by data_id";
    let data = hub.rows(data).await.concat();
    // Another transaction may have taken a number in between.
    let ids: Vec<i64> = data.iter().map(|id| id.parse().expect("a number")).collect();
    let ranges = data.join(if ids[0] + 1 == ids[1] { "-" } else { "," });
    let batch = "select batch_type, target_node_id, data_ranges, data_count, routed, \
                 case when configuration_version > 0 and create_time is not null then 'yes' else 'no' end \
                 from sym_capture_batch where channel_id = 'o_batch'";
    becomes(hub, batch, [["EV", "∅", ranges.as_str(), "2", "1", "yes"]]).await;
    let same = "select count(*) from sym_capture_batch c join sym_outgoing_batch b on b.batch_id = c.batch_id \
                and b.channel_id = c.channel_id and b.node_id = 'n-near' where c.channel_id = 'o_batch'";
    assert_eq!(hub.number(same).await, 1);
    let load = "select distinct c.batch_type from sym_capture_batch c join sym_load l on l.load_id = c.load_id \
                and l.node_id = 'n-near' where c.channel_id = 'reload'";
    assert_eq!(hub.rows(load).await, [["IL"]]);
}

/// `sym_incoming_lane` says how far a lane is and what holds it, `sym_incoming_spool` keeps what waits.
pub async fn incoming_lane_and_spool(mut given: Given) {
    given.channel("o_held", &[]);
    given.table("o_held", "id integer primary key, a varchar(20) unique");
    given.trigger("o_held", &[("channel_id", "o_held")]);
    let at = given.running().await;
    let (hub, near) = (&at.hub.database, &at.near.database);
    let rows = "select id from o_held order by id";
    let lane = "select batch_id, held_batch_id, case when attempt_count > 0 then 'tried' else 'fine' end, \
                case when next_attempt_time is null then 'never' else 'soon' end, \
                case when update_time is null then 'no' else 'yes' end, statement_batch_id \
                from sym_incoming_lane where source_node_id = 'hub' and channel_id = 'o_held'";
    let spool = "select batch_id, previous_batch_id, part, part_last, case when length(body) > 0 \
                 and receive_time is not null and sent_ms > 0 then 'whole' else 'broken' end \
                 from sym_incoming_spool where source_node_id = 'hub' and channel_id = 'o_held' order by batch_id";

    // GIVEN a site with a row of its own that is in the way
    near.run("insert into o_held values (100, 'taken')").await;
    for (id, a) in [(1, "first"), (2, "taken"), (3, "last")] {
        at.write(&format!("insert into o_held values ({id}, '{a}')"))
            .await;
        becomes(&at.far.database, "select max(id) from o_held", [[id.to_string()]]).await;
    }
    let batches = "select e.batch_id from sym_data d join sym_data_event e on e.data_id = d.data_id \
                   and e.node_id = 'n-near' where d.table_name = 'o_held' order by d.data_id";
    eventually(PATIENCE, "three batches", || async {
        let found = hub.rows(batches).await.len();
        if found == 3 { Ok(()) } else { Err(found) }
    })
    .await;
    let batches = hub.rows(batches).await.concat();
    let [one, two, three] = [0, 1, 2].map(|row| batches[row].as_str());

    // THEN the lane is held by the second batch, and the rest waits
    becomes(near, lane, [[one, two, "tried", "soon", "yes", "∅"]]).await;
    becomes(
        near,
        spool,
        [[two, one, "1", "1", "whole"], [three, two, "1", "1", "whole"]],
    )
    .await;
    assert_eq!(near.rows(rows).await, [["1"], ["100"]]);

    // AND it goes on by itself when nothing is in the way any more
    near.run("delete from o_held where id = 100").await;
    becomes(near, rows, [["1"], ["2"], ["3"]]).await;
    becomes(near, lane, [[three, "∅", "fine", "never", "yes", "∅"]]).await;
    becomes(near, spool, NOTHING).await;
}
