//! What the columns say about backlogs: a hub and a site that were away.

use super::deployment::{Deployment, becomes};
use super::given::Wanted;
use symstream_shared::db::DatabaseKind;
use symstream_tests::compare::{Part, become_equal};
use symstream_tests::database::TestDatabase;
use symstream_tests::eventually::eventually;
use symstream_tests::firings::watch;
use symstream_tests::network::{PATIENCE, installed};

/// Rows that wait in each of the channels with a `processing_order`.
const WAITING: i64 = 5;

/// A hub and sites, one after the other away.
pub async fn backlogs(kind: DatabaseKind) {
    let mut wanted = Wanted::new(kind);
    for (table, order, size) in [
        ("a_size", "1", "2"),
        ("a_late", "20", "1"),
        ("a_early", "10", "1"),
    ] {
        wanted.channel(table, &[("processing_order", order), ("max_batch_size", size)]);
        wanted.table(table, "id integer primary key");
        wanted.trigger(table, &[("channel_id", table)]);
    }
    wanted.channel("a_order", &[("max_batch_size", "2")]);
    wanted.table("a_order", "id integer primary key, order_id varchar(20)");
    let by_order = [("channel_id", "a_order"), ("tx_id_expression", "new.order_id")];
    wanted.trigger(
        "a_order",
        &[
            by_order.as_slice(),
            &[("sync_on_update", "0"), ("sync_on_delete", "0")],
        ]
        .concat(),
    );
    for table in ["a_offline", "a_new_name"] {
        wanted.table(table, "id integer primary key");
    }
    wanted.trigger(
        "a_offline",
        &[("source_node_group_id", "site"), ("target_node_group_id", "hub")],
    );
    let mut at = Deployment::start(&wanted).await;
    installed(&at.hub, &["a_size", "a_late", "a_early", "a_order"]).await;
    installed(&at.near, &["a_offline"]).await;

    max_batch_size_and_tx_id_expression(&mut at).await;
    processing_order_and_configuration_before_data(&mut at).await;
    a_wrong_value_is_refused(&at).await;
}

/// How the rows of a table were put into batches for the near site.
fn batches(table: &str) -> String {
    format!(
        "select count(*) from sym_data d join sym_data_event e on e.data_id = d.data_id and e.node_id = 'n-near' \
         where d.table_name = '{table}' group by e.batch_id order by e.batch_id"
    )
}

/// What was captured while the agent was away is cut at ends of transactions, where a batch is full; what
/// `tx_id_expression` calls one transaction is never cut.
async fn max_batch_size_and_tx_id_expression(at: &mut Deployment) {
    at.hub.stop().await;
    for id in 1..=6 {
        // Transactions of different connections, because MariaDB can not tell apart those of one.
        let application = TestDatabase::open(at.hub.database.url());
        let order = if id <= 3 { "A" } else { "B" };
        application
            .run(&format!(
                "insert into a_size values ({id}); insert into a_order values ({id}, '{order}')"
            ))
            .await;
        application.close().await;
    }
    at.network.run(&mut at.hub);

    becomes(&at.hub.database, &batches("a_size"), [["2"], ["2"], ["2"]]).await;
    becomes(&at.hub.database, &batches("a_order"), [["3"], ["3"]]).await;
    become_equal(&at.hub.database, &at.near.database, whole("a_order")).await;
}

fn whole(table: &str) -> Part<'_> {
    Part {
        table,
        columns: &["id"],
        condition: "",
    }
}

/// A site that comes back takes the channel of the lower order first, and sends what it captured by the rules that
/// are in force now.
async fn processing_order_and_configuration_before_data(at: &mut Deployment) {
    at.near.stop().await;
    let near = at.near.database.clone();
    near.run("insert into a_offline values (1)").await;
    for table in ["a_late", "a_early"] {
        watch(&near, table, "id", "id").await;
        for id in 1..=WAITING {
            at.write(&format!("insert into {table} values ({id})")).await;
        }
    }
    at.write("update sym_trigger set target_table_name = 'a_new_name' where trigger_id = 'a_offline'")
        .await;
    let on_the_way = "select count(*) from sym_data d join sym_data_event e on e.data_id = d.data_id \
                      and e.node_id = 'n-near' where d.table_name in ('a_late', 'a_early')";
    let both = (2 * WAITING).to_string();
    becomes(&at.hub.database, on_the_way, [[both.as_str()]]).await;
    let published = "select target_table_name from sym_trigger where trigger_id = 'a_offline'";
    becomes(&at.far.database, published, [["a_new_name"]]).await;

    at.network.run(&mut at.near);

    for table in ["a_late", "a_early"] {
        become_equal(&at.hub.database, &near, whole(table)).await;
    }
    let order = near
        .rows("select table_name from firings order by id")
        .await
        .concat();
    let last_early = order
        .iter()
        .rposition(|table| table == "a_early")
        .expect("rows of a_early");
    let late_before = order[..last_early]
        .iter()
        .filter(|table| *table == "a_late")
        .count();
    // A channel that waits gets a batch a second all the same, so that none starves.
    assert!(order[0] == "a_early" && late_before <= 3, "{order:?}");

    becomes(&at.hub.database, "select id from a_new_name", [["1"]]).await;
    assert!(at.hub.database.rows("select id from a_offline").await.is_empty());
}

/// A configuration that is not valid is refused with the place and the reason, and the one before stays in force until it
/// is corrected.
async fn a_wrong_value_is_refused(at: &Deployment) {
    let edits = [
        (
            "insert into sym_parameter (external_id, node_group_id, param_key, param_value) \
             values ('near', 'ALL', 'heartbeat.interval', 'often')",
            "delete from sym_parameter where param_value = 'often'",
            ["heartbeat.interval", "often"],
        ),
        (
            "update sym_node_group_link set data_event_action = 'X' where target_node_group_id = 'depot'",
            "update sym_node_group_link set data_event_action = 'P' where target_node_group_id = 'depot'",
            ["data_event_action", "\"X\""],
        ),
    ];
    for (wrong, right, words) in edits {
        at.write(wrong).await;
        eventually(PATIENCE, format!("an error about {words:?}"), || async {
            let log = at.hub.log();
            let mut errors = log.lines().filter(|line| line.contains(" ERROR "));
            let named = errors.any(|line| words.iter().all(|word| line.contains(word)));
            named.then_some(()).ok_or("no such line")
        })
        .await;
        at.edit(right).await;
    }
}
