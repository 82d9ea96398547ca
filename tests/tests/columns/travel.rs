//! How edits of the configuration tables travel.

use super::deployment::becomes;
use super::given::Given;
use std::time::{Duration, Instant};
use symstream_tests::network::installed;

/// On a machine that runs nothing else it takes less than two seconds; five are promised.
const IN_FORCE: Duration = Duration::from_secs(30);

/// Edits by plain SQL, as somebody makes them in `psql`: each is in force at a connected node within seconds.
pub async fn plain_sql_is_in_force_within_seconds(mut given: Given) {
    for table in ["v_first", "v_second", "v_new_name"] {
        given.table(table, "id integer primary key, a varchar(20), b varchar(20)");
    }
    given.channel("v_channel", &[]);
    let at = given.running().await;
    let (hub, near) = (&at.hub.database, &at.near.database);
    let mut slowest = Duration::ZERO;
    let mut took = |time: Duration| slowest = slowest.max(time);

    for table in ["v_first", "v_second"] {
        let start = Instant::now();
        at.write(&format!(
            "insert into sym_trigger (trigger_id, source_table_name, source_node_group_id, target_node_group_id, \
             channel_id) values ('{table}', '{table}', 'site', 'hub', 'v_channel')"
        ))
        .await;
        installed(&at.near, &[table]).await;
        took(start.elapsed());
    }
    near.run("insert into v_first values (1, 'a', 'b')").await;
    becomes(hub, "select * from v_first", [["1", "a", "b"]]).await;

    let histories = "select count(*) from sym_trigger_hist where trigger_id = 'v_first'";
    for (column, value, rebuilt) in [("excluded_column_names", "b", "2"), ("sync_on_update", "0", "3")] {
        let start = Instant::now();
        at.write(&format!(
            "update sym_trigger set {column} = '{value}' where trigger_id = 'v_first'"
        ))
        .await;
        becomes(near, histories, [[rebuilt]]).await;
        took(start.elapsed());
    }
    let renamed = "update sym_trigger set target_table_name = 'v_new_name' where trigger_id = 'v_first'";
    took(at.edit(renamed).await);
    near.run("update v_first set a = 'not captured'; insert into v_first values (2, 'a', 'b')")
        .await;
    becomes(hub, "select * from v_new_name", [["2", "a", "∅"]]).await;
    assert_eq!(hub.rows("select * from v_first").await, [["1", "a", "b"]]);

    let start = Instant::now();
    at.write("delete from sym_trigger where trigger_id = 'v_second'")
        .await;
    let active =
        "select count(*) from sym_trigger_hist where trigger_id = 'v_second' and inactive_time is null";
    becomes(near, active, [["0"]]).await;
    took(start.elapsed());
    eprintln!("the slowest edit was in force after {slowest:?}");
    assert!(slowest < IN_FORCE, "{slowest:?}");
}
