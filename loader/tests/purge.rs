//! Records of applied batches are removed once they are old.

use crate::fixture::{Fixture, PATIENCE, Running, batch};
use crate::node::KINDS;
use std::time::Duration;
use symstream_shared::db::DatabaseKind;
use symstream_tests::eventually::eventually;

#[tokio::test]
async fn only_old_records_of_applied_batches_are_purged_and_never_a_lanes_newest() {
    for kind in KINDS {
        // GIVEN lanes at batch 500 of `cloud` and batch 7 of `depot`, and old records of all before, of which one was
        // seen again lately and one has failed
        let fixture = Fixture::of(kind, &["default"]).await;
        fixture.register().await;
        let db = &fixture.db;
        let old = "'2020-01-01 00:00:00'";
        for (source, last) in [("cloud", 500), ("depot", 7)] {
            db.run(&format!(
                "insert into sym_incoming_lane (source_node_id, channel_id, batch_id) values ('{source}', 'default', {last})"
            ))
            .await;
            let ids: Vec<i64> = (1..=last).collect();
            let batches: Vec<String> = ids
                .iter()
                .map(|id| format!("({id}, '{source}', 'OK', {old})"))
                .collect();
            let history: Vec<String> = ids
                .iter()
                .map(|id| format!("({id}, '{source}', 'OK', {old}, {old})"))
                .collect();
            db.run(&format!(
                "insert into sym_incoming_batch (batch_id, node_id, status, create_time) values {}",
                batches.join(", ")
            ))
            .await;
            db.run(&format!(
                "insert into sym_incoming_batch_hist (batch_id, node_id, status, start_time, end_time) values {}",
                history.join(", ")
            ))
            .await;
        }
        db.run("update sym_incoming_batch set status = 'ER' where node_id = 'depot' and batch_id = 3")
            .await;
        db.run(
            "update sym_incoming_batch_hist set end_time = '2037-01-01 00:00:00' \
             where node_id = 'cloud' and batch_id = 20",
        )
        .await;

        // WHEN the loader runs, and retention is what it is by default
        let agent = Running::start(&fixture.engine);
        let left = ["cloud|20", "cloud|500", "depot|3", "depot|7"];
        for table in ["sym_incoming_batch", "sym_incoming_batch_hist"] {
            eventually(PATIENCE, format!("{kind}: {table}"), || async {
                let rows = db
                    .rows(&format!(
                        "select node_id, batch_id from {table} order by node_id, batch_id"
                    ))
                    .await;
                let rows: Vec<String> = rows.into_iter().map(|row| row.join("|")).collect();
                if rows == left {
                    Ok(())
                } else {
                    Err(format!("{} rows", rows.len()))
                }
            })
            .await;
        }
        assert_eq!(
            db.rows("select batch_id from sym_incoming_lane order by 1")
                .await
                .concat(),
            ["7", "500"],
            "{kind}"
        );

        // THEN a batch that comes again is still known, and a shorter retention takes effect at once
        fixture.publish(&batch("cloud", 20, 19, &["20", "again"])).await;
        fixture.publish(&batch("cloud", 501, 500, &["501", "new"])).await;
        fixture.publish(&batch("cloud", 502, 501, &["502", "new"])).await;
        fixture.has(&["501", "502"]).await;
        db.run(
            "insert into sym_parameter (external_id, node_group_id, param_key, param_value) values \
             ('ALL', 'ALL', 'purge.retention', '0'), ('ALL', 'ALL', 'purge.interval', '1s')",
        )
        .await;
        eventually(PATIENCE, format!("{kind}: 501 is purged"), || async {
            let count = db
                .number("select count(*) from sym_incoming_batch where batch_id = 501")
                .await;
            if count == 0 { Ok(()) } else { Err(count) }
        })
        .await;
        agent.stop().await;
    }
}

#[tokio::test]
async fn nothing_is_purged_by_default_while_a_parameter_is_wrong() {
    // GIVEN an old record, and a parameter without its unit
    let fixture = Fixture::of(DatabaseKind::Sqlite, &["default"]).await;
    fixture.register().await;
    let db = &fixture.db;
    for statement in [
        "insert into sym_incoming_batch (batch_id, node_id, status, create_time) values \
         (1, 'cloud', 'OK', '2020-01-01 00:00:00')",
        "insert into sym_parameter (external_id, node_group_id, param_key, param_value) values \
         ('ALL', 'ALL', 'purge.retention', 'ten years')",
    ] {
        db.run(statement).await;
    }
    // WHEN the loader is at work THEN the record stays
    let agent = Running::start(&fixture.engine);
    fixture.publish(&batch("depot", 1, 0, &["100", "applied"])).await;
    fixture.has(&["100"]).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let old = "select count(*) from sym_incoming_batch where batch_id = 1 and node_id = 'cloud'";
    assert_eq!(db.number(old).await, 1);
    // and is purged by what was meant
    db.run("update sym_parameter set param_value = '365d'").await;
    eventually(PATIENCE, "purged", || async {
        let count = db.number(old).await;
        if count == 0 { Ok(()) } else { Err(count) }
    })
    .await;
    agent.stop().await;
}
