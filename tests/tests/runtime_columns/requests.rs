//! What the tables say of events that no trigger wrote: `R` and `S`.

use super::claims::{NULL, Since};
use symstream_shared::db::DatabaseKind;
use symstream_tests::configuration::Configuration;
use symstream_tests::eventually::eventually;
use symstream_tests::network::{PATIENCE, Site};
use symstream_tests::ring::Ring;

fn ddl(_: DatabaseKind) -> String {
    "create table item (id integer primary key, name varchar(50))".to_owned()
}

/// The only event of a kind at a site: its columns, those of its route, and what became of its batch.
async fn event(site: &Site, letter: &str, since: Since) -> Vec<String> {
    let time = site.database.kind().time_as_text("d.create_time");
    let sql = format!(
        "select d.table_name, d.row_data, d.pk_data, d.old_data, d.trigger_hist_id, d.channel_id, d.source_node_id, \
         e.node_id, e.channel_id, e.batched, b.batch_type, b.status, {time}, e.batch_id from sym_data d \
         join sym_data_event e on e.data_id = d.data_id \
         join sym_outgoing_batch b on b.batch_id = e.batch_id and b.node_id = e.node_id \
         where d.event_type = '{letter}' and b.status = 'OK'"
    );
    let mut row = eventually(
        PATIENCE,
        format!("an {letter} event at {}", site.id()),
        || async {
            let mut rows = site.database.rows(&sql).await;
            if rows.len() == 1 {
                Ok(rows.remove(0))
            } else {
                Err(format!("{rows:?}"))
            }
        },
    )
    .await;
    let batch = row.pop().expect("a batch");
    since.check("create_time", &row.pop().expect("a time"));
    let others = format!("select count(*) from sym_data_event where batch_id = {batch}");
    assert_eq!(site.database.number(&others).await, 1, "a batch of its own");
    row
}

async fn reload(ring: &Ring, source: &Site, target: &Site) {
    let since = Since::now();
    // GIVEN rows that the target has lost
    for id in [1, 2, 3] {
        let sql = format!("insert into item values ({id}, 'of {}')", source.id());
        source.database.run(&sql).await;
    }
    ring.quiet().await;
    target.database.run("delete from item").await;
    ring.quiet().await;
    // WHEN some of them are asked for
    let args = ["reload-table", target.id(), "item", "--where", "t.id > 1"];
    ring.network.symadmin(source, &args).await.ok();
    // THEN the event says so
    let hist = source
        .database
        .rows("select trigger_hist_id from sym_trigger_hist where inactive_time is null")
        .await;
    let event = event(source, "R", since).await;
    assert_eq!(event[1].replace('"', ""), "t.id > 1");
    let others: Vec<&str> = event.iter().map(String::as_str).collect();
    assert_eq!(others[0], "item");
    assert_eq!(others[2..7], [target.id(), NULL, &hist[0][0], "main", NULL]);
    assert_eq!(others[7..], [target.id(), "main", "1", "EV", "OK"]);
    // AND the rows are there
    let rows = target.database.rows("select id from item order by id").await;
    assert_eq!(rows, [["2"], ["3"]]);
    source.database.run("delete from item").await;
    ring.quiet().await;
}

async fn statement(ring: &Ring) {
    let since = Since::now();
    let [hub, target, _] = &ring.sites;
    let args = [
        "send-sql",
        target.id(),
        "insert into item values (9, 'said \"so\"')",
    ];
    ring.network.symadmin(hub, &args).await.ok();
    let event = event(hub, "S", since).await;
    let others: Vec<&str> = event.iter().map(String::as_str).collect();
    assert_eq!(others[0], "");
    assert_eq!(
        others[1].replace("\"\"", "'").replace('"', ""),
        "insert into item values (9, 'said 'so'')"
    );
    assert_eq!(others[2..7], [target.id(), NULL, "0", "main", NULL]);
    assert_eq!(others[7..], [target.id(), "main", "1", "EV", "OK"]);
    let rows = target.database.rows("select name from item").await;
    assert_eq!(rows, [["said \"so\""]]);
}

#[tokio::test]
async fn statements_and_reloads_are_rows_and_batches_of_their_own() {
    let ring = Ring::start(ddl, Configuration::default().table("item", "main")).await;
    for (source, target) in ring.ways() {
        reload(&ring, source, target).await;
    }
    statement(&ring).await;
    ring.quiet().await;
}
