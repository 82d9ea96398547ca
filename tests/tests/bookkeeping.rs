//! What the `sym_` tables tell about a batch, at both ends.

use symstream_shared::db::DatabaseKind::{Mysql, Postgres, Sqlite};
use symstream_tests::clinic::{Clinic, LOCALS};
use symstream_tests::database::TestDatabase;
use symstream_tests::eventually::eventually;
use symstream_tests::firings::{firings, watch};
use symstream_tests::network::PATIENCE;
use symstream_tests::pair::Pair;

use futures_util::StreamExt;

const DDL: &str = "create table item (id integer primary key, name varchar(50))";

async fn one_row(database: &TestDatabase, sql: &str) -> Vec<String> {
    let rows = database.rows(sql).await;
    assert_eq!(rows.len(), 1, "{sql}: {rows:?}");
    rows.into_iter().next().expect("one row")
}

#[tokio::test]
async fn a_batch_is_followed_from_new_to_ok_at_both_ends() {
    let pair = Pair::start(Postgres, Mysql, DDL, &["item"]).await;
    pair.source
        .database
        .transaction("insert into item values (1, 'a'); update item set name = 'b'")
        .await;
    pair.quiet().await;
    let (source, target) = (&pair.source.database, &pair.target.database);

    // THEN the source has both changes with their batch, and what became of it
    let data = source
        .rows(
            "select d.event_type, e.node_id, e.channel_id, e.batched, e.batch_id from sym_data d \
               join sym_data_event e on e.data_id = d.data_id order by d.data_id",
        )
        .await;
    let batch = data[0][4].clone();
    assert_eq!(
        data,
        [
            ["I", "001", "main", "1", &batch],
            ["U", "001", "main", "1", &batch]
        ]
    );
    let outgoing = one_row(
        source,
        &format!(
            "select node_id, channel_id, batch_type, status from sym_outgoing_batch where batch_id = {batch}"
        ),
    )
    .await;
    assert_eq!(outgoing, ["001", "main", "EV", "OK"]);
    let history = source
        .rows(&format!(
            "select status, data_event_count, case when start_time is null or end_time is null or hostname is null \
             then 0 else 1 end, case when start_time <= end_time then 1 else 0 end from sym_outgoing_batch_hist \
             where batch_id = {batch} order by case status when 'NE' then 1 when 'SE' then 2 else 3 end"
        ))
        .await;
    assert_eq!(
        history,
        [
            ["NE", "2", "1", "1"],
            ["SE", "∅", "1", "1"],
            ["OK", "∅", "1", "1"]
        ]
    );

    // AND the target has the batch under the same number
    let incoming = one_row(target, &format!(
        "select b.node_id, b.status, h.status, h.failed_row_number, h.sql_message, \
         case when b.create_time is null or h.start_time is null or h.end_time is null or h.hostname is null \
         or h.database_millis is null or h.network_millis is null then 0 else 1 end \
         from sym_incoming_batch b join sym_incoming_batch_hist h on h.batch_id = b.batch_id and h.node_id = b.node_id \
         where b.batch_id = {batch}"
    ))
    .await;
    assert_eq!(incoming, ["000", "OK", "OK", "∅", "∅", "1"]);
}

#[tokio::test]
async fn a_row_for_nobody_is_recorded_as_such() {
    let clinic = Clinic::start(Sqlite, [Sqlite, Sqlite]).await;
    let cloud = &clinic.cloud.database;
    cloud
        .transaction("insert into patients values ('linked to nobody')")
        .await;
    cloud
        .transaction(&format!(
            "insert into locations values ('linked', '{}'); insert into patients values ('linked')",
            LOCALS[1]
        ))
        .await;
    let sql = "select e.node_id from sym_data d join sym_data_event e on e.data_id = d.data_id \
               where d.table_name = 'patients' order by d.data_id";
    eventually(PATIENCE, "both rows' nodes", || async {
        let nodes = cloud.rows(sql).await;
        if nodes == [["-1"], [LOCALS[1]]] {
            Ok(())
        } else {
            Err(format!("{nodes:?}"))
        }
    })
    .await;
}

#[tokio::test]
async fn a_message_that_comes_again_is_skipped() {
    // GIVEN a batch that was applied
    let pair = Pair::start(Sqlite, Sqlite, DDL, &["item"]).await;
    let target = &pair.target.database;
    watch(target, "item", "id", "name").await;
    let client = async_nats::connect(pair.network.nats.url())
        .await
        .expect("connect");
    let mut messages = client.subscribe("sym.node.>").await.expect("subscribe");
    client.flush().await.expect("subscribe before the change");
    pair.source.database.run("insert into item values (1, 'a')").await;
    let message = tokio::time::timeout(PATIENCE, messages.next())
        .await
        .expect("a message")
        .expect("a message");
    pair.quiet().await;

    // WHEN its message comes once more
    let headers = message.headers.expect("headers");
    let batch = headers.get("Sym-Batch").expect("a batch").as_str().to_owned();
    client
        .publish_with_headers(message.subject, headers, message.payload)
        .await
        .expect("publish");
    client.flush().await.expect("publish");

    // THEN it is recorded as skipped, and nothing is written again
    eventually(PATIENCE, "the skipped batch", || async {
        let sql =
            format!("select status from sym_incoming_batch_hist where batch_id = {batch} and status = 'SK'");
        if target.rows(&sql).await == [["SK"]] {
            Ok(())
        } else {
            Err("it is not recorded")
        }
    })
    .await;
    let sql = format!("select status from sym_incoming_batch where batch_id = {batch}");
    assert_eq!(target.rows(&sql).await, [["OK"]]);
    pair.source.database.run("insert into item values (2, 'b')").await;
    pair.quiet().await;
    let expected = ["1", "2"].map(|key| {
        (
            key.to_owned(),
            vec![format!("insert {}", if key == "1" { "a" } else { "b" })],
        )
    });
    assert_eq!(firings(target, "item").await, Ok(expected.to_vec()));
}
