//! Hard case 11 over three levels: what goes from the cloud to the region, from there to the shop and from there to
//! the cloud ends where it began.

use super::world::PATIENCE;
use symstream_shared::db::DatabaseKind::{Mysql, Postgres, Sqlite};
use symstream_tests::configuration::Configuration;
use symstream_tests::eventually::eventually;
use symstream_tests::firings::{firings, watch};
use symstream_tests::network::{Network, Site, installed};

const ITEM: &str = "create table item (id integer primary key, name varchar(50))";

/// Waits until each node knows all three and captures.
async fn ready(sites: &[Site; 3]) {
    for site in sites {
        eventually(PATIENCE, format!("{} to know all nodes", site.id()), || async {
            let sql = "select count(*) from sym_node_security where registration_time is not null";
            let known = site.database.try_rows(sql).await.map_err(|err| err.to_string())?;
            if known == [["3"]] {
                Ok(())
            } else {
                Err(format!("it knows {known:?}"))
            }
        })
        .await;
        installed(site, &["item"]).await;
    }
}

#[tokio::test]
async fn a_change_that_goes_round_three_levels_ends_where_it_began() {
    let mut network = Network::start().await;
    let cloud = network.server("cloud", "c", Postgres).await;
    let region = network.node(&cloud, "region", "r", Mysql).await;
    let shop = network.node(&cloud, "shop", "s", Sqlite).await;
    let mut sites = [cloud, region, shop];
    for site in &sites {
        site.database.run(ITEM).await;
        watch(&site.database, "item", "id", "name").await;
    }
    let configuration = Configuration::default()
        .link("cloud", "region")
        .link("region", "shop")
        .link("shop", "cloud")
        .table("item", "main")
        .and("update sym_trigger set sync_on_incoming_batch = 1")
        .and("insert into sym_registration_redirect (registrant_external_id, registration_node_id) values ('s', 'r')");
    network.configure(&sites[0], &configuration.sql()).await;
    for site in &sites[1..] {
        network.admit(&sites[0], site).await;
    }
    for site in &mut sites {
        let name = site.engine.name.clone();
        let roles = if site.id() == "s" {
            "capture,loader"
        } else {
            "capture,router,loader"
        };
        site.processes.push(
            network
                .engines
                .start(&name, "sym", &["--engine", &name, "--roles", roles]),
        );
    }
    ready(&sites).await;
    assert_eq!(
        sites[0]
            .database
            .rows("select created_at_node_id from sym_node where node_id = 's'")
            .await,
        [["r"]]
    );

    // WHEN a row begins at each level, and is changed there
    for (site, id) in sites.iter().zip(1..) {
        site.database
            .run(&format!("insert into item values ({id}, 'a')"))
            .await;
    }
    for site in &sites {
        arrives(site, "a").await;
    }
    for (site, id) in sites.iter().zip(1..) {
        site.database
            .run(&format!("update item set name = 'b' where id = {id}"))
            .await;
    }
    for site in &sites {
        arrives(site, "b").await;
    }
    for _ in 0..3 {
        for site in &sites {
            eventually(PATIENCE, format!("{} to be quiet", site.id()), || {
                site.check_quiet()
            })
            .await;
        }
    }
    // THEN it was written at each level once
    let events = vec!["insert a".to_owned(), "update b".to_owned()];
    let once: Vec<_> = ["1", "2", "3"]
        .map(|key| (key.to_owned(), events.clone()))
        .to_vec();
    for site in &sites {
        assert_eq!(
            firings(&site.database, "item").await.expect("firings"),
            once,
            "{}",
            site.id()
        );
    }
    // AND the last level sends it to nobody: the cloud has what came by the region and the shop, and keeps it
    let last = "select distinct e.node_id from sym_data d join sym_data_event e on e.data_id = d.data_id \
                where d.table_name = 'item' and d.source_node_id = 'r,s'";
    assert_eq!(sites[0].database.rows(last).await, [["-1"]]);
    for site in &mut sites {
        site.stop().await;
    }
}

/// Waits until all three rows have this name.
async fn arrives(site: &Site, name: &str) {
    let sql = format!("select count(*) from item where name = '{name}'");
    eventually(PATIENCE, format!("all rows at {}", site.id()), || async {
        match site.database.number(&sql).await {
            3 => Ok(()),
            found => Err(format!("{found} of 3")),
        }
    })
    .await;
}
