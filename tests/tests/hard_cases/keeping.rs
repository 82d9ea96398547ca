//! What waits, what stays, and what goes: cases 25 and 28.

use super::looking::reaches;
use super::refusing::{first_of, hold, release};
use futures_util::future::join_all;
use std::time::Duration;
use symstream_shared::db::DatabaseKind;
use symstream_tests::configuration::Configuration;
use symstream_tests::eventually::eventually;
use symstream_tests::firings::{firings, watch};
use symstream_tests::network::{PATIENCE, Site};
use symstream_tests::ring::Ring;

/// How long a test looks at something that must not happen.
const A_WHILE: Duration = Duration::from_secs(3);

fn ddl(_: DatabaseKind) -> String {
    ["item", "other"]
        .map(|table| format!("create table {table} (id integer primary key, name varchar(50));"))
        .concat()
}

fn configuration() -> Configuration {
    Configuration::default()
        .table("item", "one")
        .table("other", "two")
}

/// Parameters for all nodes.
fn parameters(all: &[(&str, &str)]) -> String {
    let row = |(key, value): &(&str, &str)| {
        format!(
            "insert into sym_parameter (external_id, node_group_id, param_key, param_value) \
             values ('ALL', 'ALL', '{key}', '{value}');"
        )
    };
    all.iter().map(row).collect()
}

/// A row that is captured, routed, and can not be loaded yet, and one behind it.
async fn two_rows_wait(source: &Site, target: &Site) {
    hold(source, target).await;
    let first = first_of(source);
    source
        .database
        .run(&format!("insert into item values ({first} + 1, 'behind it')"))
        .await;
    reaches(&target.database, "select count(*) from sym_incoming_spool", 2).await;
}

async fn at_all(ring: &Ring, sql: &str, number: i64) {
    for site in &ring.sites {
        reaches(&site.database, sql, number).await;
    }
}

#[tokio::test]
async fn what_was_captured_waits_while_a_node_is_disabled() {
    let ring = Ring::start(ddl, configuration()).await;
    // GIVEN rows on their way to each node
    join_all(ring.ways().map(|(source, target)| two_rows_wait(source, target))).await;
    // WHEN all nodes are disabled, and what holds the rows up is removed
    ring.server()
        .database
        .run("update sym_node set sync_enabled = 0")
        .await;
    at_all(&ring, "select count(*) from sym_node where sync_enabled = 0", 3).await;
    // The loaders read their tables again about once a second.
    tokio::time::sleep(A_WHILE).await;
    for site in &ring.sites {
        release(site).await;
    }
    // THEN they wait, and what is captured meanwhile is for nobody
    for (source, _) in ring.ways() {
        source
            .database
            .run(&format!(
                "insert into item values ({} + 2, 'meanwhile')",
                first_of(source)
            ))
            .await;
        let nobody = "select count(*) from sym_data_event where node_id = '-1'";
        reaches(&source.database, nobody, 1).await;
    }
    tokio::time::sleep(A_WHILE).await;
    let arrived = |source: &Site| {
        let first = first_of(source);
        format!("select count(*) from item where id between {first} and {first} + 999")
    };
    for (source, target) in ring.ways() {
        assert_eq!(
            target.database.number(&arrived(source)).await,
            0,
            "{}",
            target.id()
        );
    }
    // WHEN they are enabled THEN what waited arrives, and what comes then
    ring.server()
        .database
        .run("update sym_node set sync_enabled = 1")
        .await;
    at_all(&ring, "select count(*) from sym_node where sync_enabled = 1", 3).await;
    for (source, target) in ring.ways() {
        source
            .database
            .run(&format!(
                "insert into item values ({} + 3, 'afterwards')",
                first_of(source)
            ))
            .await;
        reaches(&target.database, &arrived(source), 3).await;
        let missed = format!("select count(*) from item where id = {} + 2", first_of(source));
        assert_eq!(target.database.number(&missed).await, 0);
    }
    // AND the operator is told what to do about the rest
    for site in &ring.sites {
        let advice = format!("symadmin reload-node {}", site.id());
        let complaints = ring.server().complaints(&[]);
        assert!(
            complaints.iter().any(|line| line.contains(&advice)),
            "{complaints:?}"
        );
    }
    ring.quiet().await;
}

#[tokio::test]
async fn what_was_captured_waits_while_a_channel_is_switched_off() {
    let ring = Ring::start(ddl, configuration()).await;
    join_all(
        ring.sites
            .iter()
            .map(|site| watch(&site.database, "other", "id", "name")),
    )
    .await;
    let switch = async |on: i64| {
        let sql = format!("update sym_channel set enabled = {on} where channel_id = 'two'");
        ring.server().database.run(&sql).await;
        let known = format!("select count(*) from sym_channel where channel_id = 'two' and enabled = {on}");
        at_all(&ring, &known, 1).await;
    };
    switch(0).await;
    let write = async |source: &Site| {
        let first = first_of(source);
        let sql = format!(
            "insert into other values ({first}, 'a'); update other set name = 'b' where id = {first};
             delete from other where id = {first}; insert into other values ({first}, 'c');
             insert into item values ({first}, 'on the other channel')"
        );
        source.database.run(&sql).await;
    };
    for (source, target) in ring.ways() {
        write(source).await;
        let arrived = format!("select count(*) from item where id = {}", first_of(source));
        reaches(&target.database, &arrived, 1).await;
        let fired = format!(
            "select count(*) from firings where row_key = '{}'",
            first_of(source)
        );
        assert_eq!(target.database.number(&fired).await, 0, "{}", target.id());
    }
    switch(1).await;
    for (source, target) in ring.ways() {
        let expected: Vec<String> = ["insert a", "update b", "delete b", "insert c"]
            .map(str::to_owned)
            .to_vec();
        let key = first_of(source).to_string();
        eventually(
            PATIENCE,
            format!("all changes, in order, at {}", target.id()),
            || async {
                let fired = firings(&target.database, "other").await?;
                let fired = fired
                    .into_iter()
                    .find(|(row, _)| *row == key)
                    .map(|(_, events)| events);
                if fired.as_ref() == Some(&expected) {
                    Ok(())
                } else {
                    Err(format!("{fired:?}"))
                }
            },
        )
        .await;
    }
    ring.quiet().await;
}

#[tokio::test]
async fn only_what_every_target_has_is_purged() {
    let purge = parameters(&[("purge.interval", "1s"), ("purge.retention", "1s")]);
    let ring = Ring::start(ddl, configuration().and(&purge)).await;
    // GIVEN rows that wait, and others that arrived
    join_all(ring.ways().map(|(source, target)| two_rows_wait(source, target))).await;
    for (source, target) in ring.ways() {
        let first = first_of(source);
        let arrived = format!("select count(*) from other where id between {first} and {first} + 1");
        // In two batches, because the record of a lane's newest one stays at the target.
        for (before, name) in [(0, "a"), (1, "b")] {
            let insert = format!("insert into other values ({first} + {before}, '{name}')");
            source.database.run(&insert).await;
            reaches(&target.database, &arrived, before + 1).await;
        }
    }
    // THEN these are gone, with all that is said of them at both ends
    for (source, target) in ring.ways() {
        let (own, from) = (&source.database, source.id());
        reaches(own, "select count(*) from sym_data where table_name = 'other'", 0).await;
        for table in ["sym_data_event", "sym_outgoing_batch", "sym_capture_batch"] {
            let sql = format!("select count(*) from {table} where channel_id = 'two'");
            reaches(own, &sql, 0).await;
        }
        for table in ["sym_incoming_batch", "sym_incoming_batch_hist"] {
            let applied = format!(
                "{} and b.status = 'OK' and b.node_id = '{from}'",
                but_the_newest(table)
            );
            reaches(&target.database, &applied, 0).await;
        }
        // AND the others are there
        assert_eq!(
            own.number("select count(*) from sym_data where table_name = 'item'")
                .await,
            2
        );
        assert_eq!(
            own.number("select count(*) from sym_data_event where channel_id = 'one'")
                .await,
            2
        );
        assert_eq!(
            own.number("select count(distinct batch_id) from sym_outgoing_batch where channel_id = 'one'")
                .await,
            2
        );
        let histories = "select count(distinct h.batch_id) from sym_outgoing_batch_hist h join sym_outgoing_batch b \
                         on b.batch_id = h.batch_id and b.node_id = h.node_id";
        assert_eq!(own.number(histories).await, 2);
        let refused = "select count(*) from sym_incoming_batch where status = 'ER'";
        assert_eq!(target.database.number(refused).await, 1);
        assert!(source.log().contains("purge"), "no figures in the log of {from}");
    }
    // UNTIL they arrive
    for (source, target) in ring.ways() {
        release(target).await;
        let first = first_of(source);
        let arrived = format!("select count(*) from item where id between {first} and {first} + 1");
        reaches(&target.database, &arrived, 2).await;
    }
    for site in &ring.sites {
        for table in [
            "sym_data",
            "sym_data_event",
            "sym_outgoing_batch",
            "sym_outgoing_batch_hist",
        ] {
            reaches(&site.database, &format!("select count(*) from {table}"), 0).await;
        }
        reaches(&site.database, &but_the_newest("sym_incoming_batch"), 0).await;
    }
}

/// How many rows of a table are of batches that are not the newest of their lane.
fn but_the_newest(table: &str) -> String {
    format!(
        "select count(*) from {table} b where not exists (select 1 from sym_incoming_lane l \
         where l.source_node_id = b.node_id and l.batch_id = b.batch_id)"
    )
}
