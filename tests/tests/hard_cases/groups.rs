//! What is the same for all nodes of a group is stored once, whatever happens to them meanwhile.

use super::looking::reaches;
use symstream_shared::db::DatabaseKind;
use symstream_tests::compare::{Part, become_equal};
use symstream_tests::configuration::Configuration;
use symstream_tests::network::{Network, Site, installed, quiet};
use symstream_tests::pair::loaded;
use symstream_tests::stored::Stored;

const ITEM: Part<'static> = Part {
    table: "item",
    columns: &["id", "name"],
    condition: "",
};
const DDL: &str = "create table item (id integer primary key, name varchar(50))";

/// Writes rows `first..first + count` and changes each once.
async fn write(site: &Site, first: i64, count: i64) {
    for id in first..first + count {
        let sql = format!("insert into item values ({id}, 'a')");
        site.database.run(&sql).await;
        let sql = format!("update item set name = 'b' where id = {id}");
        site.database.run(&sql).await;
    }
}

#[tokio::test]
async fn nodes_that_come_go_and_return_have_what_their_group_gets_stored_once() {
    let mut network = Network::start().await;
    let mut cloud = network.server("cloud", "000", DatabaseKind::Postgres).await;
    let mut shops = Vec::new();
    for (id, kind) in [
        ("p", DatabaseKind::Postgres),
        ("m", DatabaseKind::Mysql),
        ("s", DatabaseKind::Sqlite),
    ] {
        let shop = network.node(&cloud, "shop", id, kind).await;
        shop.database.run(DDL).await;
        shops.push(shop);
    }
    cloud.database.run(DDL).await;
    let configuration = Configuration::default()
        .link("cloud", "shop")
        .table("item", "main")
        .and("update sym_node_group_link set data_event_action = 'P'")
        .and(
            "insert into sym_parameter (external_id, node_group_id, param_key, param_value) \
             values ('ALL', 'ALL', 'group.broadcast.nodes.min', '2')",
        );
    network.configure(&cloud, &configuration.sql()).await;
    network.run(&mut cloud);
    installed(&cloud, &["item"]).await;
    // WHEN two nodes of three are there, and the third one is admitted and loaded beside writes
    let register = async |network: &Network, cloud: &Site, shop: &mut Site| {
        network.admit(cloud, shop).await;
        network.symadmin(cloud, &["reload-node", shop.id()]).await.ok();
        network.run(shop);
        loaded(cloud, shop.id()).await;
    };
    for shop in &mut shops[..2] {
        register(&network, &cloud, shop).await;
    }
    write(&cloud, 0, 10).await;
    tokio::join!(register(&network, &cloud, &mut shops[2]), write(&cloud, 100, 30));
    // AND one is disabled, enabled and loaded again
    let enable = |enabled: i64| format!("update sym_node set sync_enabled = {enabled} where node_id = 'm'");
    cloud.database.run(&enable(0)).await;
    write(&cloud, 200, 20).await;
    cloud.database.run(&enable(1)).await;
    network.symadmin(&cloud, &["reload-node", "m"]).await.ok();
    write(&cloud, 300, 20).await;
    // AND the rule becomes one that is not the same for all, and back again, and so does the link
    for (first, edit) in [
        (
            400,
            "update sym_trigger set node_select = 'c.node_id is not null'",
        ),
        (500, "update sym_trigger set node_select = null"),
        (600, "update sym_node_group_link set data_event_action = 'W'"),
        (700, "update sym_node_group_link set data_event_action = 'P'"),
    ] {
        cloud.database.run(edit).await;
        write(&cloud, first, 20).await;
    }
    // THEN all have all of it
    loaded(&cloud, "m").await;
    for shop in &shops {
        become_equal(&cloud.database, &shop.database, ITEM).await;
    }
    quiet(&[&cloud]).await;

    // AND once all are there, what is captured is stored once and not once for each.
    let before = Stored::look(&network.nats.url()).await;
    let batches = "select count(*) from sym_capture_batch where channel_id = 'main'";
    let first = cloud.database.number(batches).await;
    write(&cloud, 1000, 20).await;
    for shop in &shops {
        reaches(
            &shop.database,
            "select count(*) from item where id >= 1000 and name = 'b'",
            20,
        )
        .await;
    }
    quiet(&[&cloud]).await;
    let captured = cloud.database.number(batches).await - first;
    let stored = Stored::look(&network.nats.url()).await.since(&before);
    assert_eq!(i64::try_from(stored["SYM_GROUP"]).expect("few"), captured);
    assert_eq!(stored["SYM_NODE_0"], 0);
}
