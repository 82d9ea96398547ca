//! `sym_channel` and `sym_node_channel_ctl`: what flows, what waits, what is thrown away.

use super::deployment::{Deployment, NEAR, NOTHING, becomes};
use super::given::Given;
use std::time::Duration;
use symstream_tests::compare::Part;
use symstream_tests::database::TestDatabase;
use symstream_tests::eventually::{eventually, within};
use symstream_tests::network::PATIENCE;

/// How long a row may take that is not held back.
const AT_ONCE: Duration = Duration::from_secs(3);

/// A table on a channel of its own.
fn table_on_channel(given: &mut Given, name: &str, channel: &[(&str, &str)]) {
    given.channel(name, channel);
    given.table(name, "id integer primary key");
    given.trigger(name, &[("channel_id", name)]);
}

/// Writes row after row until one of them does not come to `site`; returns how many were written.
async fn until_held_back(at: &Deployment, site: &TestDatabase, table: &str, first: i64) -> i64 {
    for id in first.. {
        at.write(&format!("insert into {table} values ({id})")).await;
        let sql = format!("select count(*) from {table} where id = {id}");
        let arrived = within(AT_ONCE, || async {
            if site.number(&sql).await == 1 {
                Ok(())
            } else {
                Err(())
            }
        });
        if arrived.await.is_err() {
            return id;
        }
    }
    unreachable!("the numbers do not end")
}

/// Waits until `site` has all rows of the hub's table.
async fn complete(at: &Deployment, site: &TestDatabase, table: &str) {
    let part = Part {
        table,
        columns: &["id"],
        condition: "",
    };
    symstream_tests::compare::become_equal(&at.hub.database, site, part).await;
}

/// What is captured in a channel that is off waits, and goes its way when it is on again.
pub async fn enabled(mut given: Given) {
    table_on_channel(&mut given, "c_off", &[("enabled", "0")]);
    table_on_channel(&mut given, "c_on", &[]);
    let at = given.running().await;
    let (hub, near) = (&at.hub.database, &at.near.database);

    at.write("insert into c_off values (1); insert into c_off values (2); insert into c_on values (1)")
        .await;
    becomes(near, "select id from c_on", [["1"]]).await;
    assert_eq!(near.rows("select id from c_off").await, NOTHING);
    let routed = "select e.node_id from sym_data d join sym_data_event e on e.data_id = d.data_id \
                  where d.table_name = 'c_off'";
    assert_eq!(hub.rows(routed).await, NOTHING);
    assert_eq!(
        hub.rows("select count(*) from sym_data where table_name = 'c_off'")
            .await,
        [["2"]]
    );

    at.edit("update sym_channel set enabled = 1 where channel_id = 'c_off'")
        .await;
    complete(&at, near, "c_off").await;
    at.edit("update sym_channel set enabled = 0 where channel_id = 'c_off'")
        .await;
    until_held_back(&at, near, "c_off", 3).await;
    at.edit("update sym_channel set enabled = 1 where channel_id = 'c_off'")
        .await;
    complete(&at, near, "c_off").await;
}

/// The server keeps a loader from having more batches in hand than that; it says so itself.
pub async fn max_batch_to_send(mut given: Given) {
    table_on_channel(&mut given, "c_few", &[("max_batch_to_send", "7")]);
    table_on_channel(&mut given, "c_sixty", &[]);
    let at = given.running().await;

    in_hand(&at, "c_few", 7).await;
    in_hand(&at, "c_sixty", 60).await;
    at.edit("update sym_channel set max_batch_to_send = 3 where channel_id = 'c_few'")
        .await;
    in_hand(&at, "c_few", 3).await;
    at.write("insert into c_few values (1)").await;
    complete(&at, &at.near.database, "c_few").await;
}

/// Waits until the near site's consumer of a channel allows so many messages in hand.
async fn in_hand(at: &Deployment, channel: &str, wanted: i64) {
    let client = async_nats::connect(at.network.nats.url()).await.expect("connect");
    let jetstream = async_nats::jetstream::new(client);
    eventually(PATIENCE, format!("{wanted} in hand of {channel}"), || async {
        let stream = jetstream
            .get_stream("SYM_NODE_0")
            .await
            .map_err(|err| err.to_string())?;
        let info = stream.consumer_info(format!("{NEAR}=={channel}==wait")).await;
        let found = info.map_err(|err| err.to_string())?.config.max_ack_pending;
        if found == wanted {
            Ok(())
        } else {
            Err(found.to_string())
        }
    })
    .await;
}

/// A suspended channel of a node waits for it, in order and complete; other nodes do not notice.
pub async fn suspend_enabled(mut given: Given) {
    table_on_channel(&mut given, "c_suspend", &[]);
    table_on_channel(&mut given, "c_beside", &[]);
    given.control(NEAR, "c_suspend", "suspend_enabled");
    let at = given.running().await;
    let (near, far) = (&at.near.database, &at.far.database);
    symstream_tests::firings::watch(near, "c_suspend", "id", "id").await;

    at.write(
        "insert into c_suspend values (1); insert into c_suspend values (2); insert into c_beside values (1)",
    )
    .await;
    complete(&at, far, "c_suspend").await;
    complete(&at, near, "c_beside").await;
    assert_eq!(near.rows("select id from c_suspend").await, NOTHING);

    at.edit("delete from sym_node_channel_ctl where channel_id = 'c_suspend'")
        .await;
    complete(&at, near, "c_suspend").await;
    at.edit("insert into sym_node_channel_ctl (node_id, channel_id, suspend_enabled) values ('n-near', 'c_suspend', 1)")
        .await;
    let last = until_held_back(&at, near, "c_suspend", 3).await;
    complete(&at, far, "c_suspend").await;
    at.edit("update sym_node_channel_ctl set suspend_enabled = 0 where channel_id = 'c_suspend'")
        .await;
    complete(&at, near, "c_suspend").await;
    let expected: Vec<String> = (1..=last).map(|id| format!("insert {id}")).collect();
    let fired = "select row_key from firings where table_name = 'c_suspend' order by id";
    let fired = near.rows(fired).await.concat();
    let fired: Vec<String> = fired.into_iter().map(|id| format!("insert {id}")).collect();
    assert_eq!(fired, expected);
}

/// An ignored channel's batches are `OK` at once, and are not sent.
pub async fn ignore_enabled(mut given: Given) {
    table_on_channel(&mut given, "c_ignore", &[]);
    given.control(NEAR, "c_ignore", "ignore_enabled");
    let at = given.running().await;
    let (hub, near, far) = (&at.hub.database, &at.near.database, &at.far.database);

    at.write("insert into c_ignore values (1)").await;
    complete(&at, far, "c_ignore").await;
    let batches = "select b.batch_id, b.status from sym_outgoing_batch b where b.node_id = 'n-near' \
                   and b.channel_id = 'c_ignore'";
    eventually(PATIENCE, "a batch that is OK", || async {
        let found = hub.rows(batches).await;
        if found.len() == 1 && found[0][1] == "OK" {
            Ok(())
        } else {
            Err(format!("{found:?}"))
        }
    })
    .await;
    let batch = hub.rows(batches).await[0][0].clone();
    let history = format!(
        "select status from sym_outgoing_batch_hist where node_id = 'n-near' and batch_id = {batch} order by status"
    );
    assert_eq!(hub.rows(&history).await, [["NE"], ["OK"]]);
    let event = format!("select batched from sym_data_event where node_id = 'n-near' and batch_id = {batch}");
    assert_eq!(hub.rows(&event).await, [["1"]]);

    at.edit("update sym_node_channel_ctl set ignore_enabled = 0 where channel_id = 'c_ignore'")
        .await;
    at.write("insert into c_ignore values (2)").await;
    becomes(near, "select id from c_ignore", [["2"]]).await;
    becomes(far, "select id from c_ignore order by id", [["1"], ["2"]]).await;
    let incoming = format!("select batch_id from sym_incoming_batch where batch_id = {batch}");
    assert_eq!(near.rows(&incoming).await, NOTHING);
}
