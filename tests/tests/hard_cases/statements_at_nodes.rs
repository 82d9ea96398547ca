//! Statements that run at nodes (case 33), and tables that can not be written as they must be (case 34).

use super::looking::becomes;
use symstream_shared::db::DatabaseKind::{self, Mysql, Postgres, Sqlite};
use symstream_tests::configuration::Configuration;
use symstream_tests::eventually::eventually;
use symstream_tests::network::{Network, PATIENCE, Site, installed};
use symstream_tests::pair::loaded;

const HUB: &str = "hub";
const NODE: &str = "node";

fn ddl(kind: DatabaseKind) -> String {
    let engine = if kind == Mysql { " engine = Aria" } else { "" };
    format!(
        "create table item (id integer primary key, name varchar(50));
         create table other (id integer primary key, name varchar(50)){engine};
         create table noted (what varchar(50), number integer)"
    )
}

/// A registration server on SQLite, and a node on each database.
struct Star {
    hub: Site,
    nodes: Vec<Site>,
    network: Network,
}

impl Star {
    async fn start(kinds: &[DatabaseKind]) -> Self {
        let mut network = Network::start().await;
        let mut hub = network.server(HUB, "h", Sqlite).await;
        hub.database.run(&ddl(Sqlite)).await;
        let configuration = Configuration::default()
            .link(HUB, NODE)
            .table("item", "one")
            .table("other", "two");
        network.configure(&hub, &configuration.sql()).await;
        let mut nodes = Vec::new();
        for (&kind, id) in kinds.iter().zip(["n1", "n2", "n3"]) {
            let site = network.node(&hub, NODE, id, kind).await;
            site.database.run(&ddl(kind)).await;
            network.admit(&hub, &site).await;
            network.symadmin(&hub, &["reload-node", id]).await.ok();
            nodes.push(site);
        }
        network.run(&mut hub);
        for node in &mut nodes {
            network.run_services(node);
        }
        installed(&hub, &["item", "other"]).await;
        for node in &nodes {
            loaded(&hub, node.id()).await;
        }
        Self { hub, nodes, network }
    }

    async fn send_sql(&self, node: &Site, sql: &str) {
        let args = ["send-sql", "--channel", "one", node.id(), sql];
        self.network.symadmin(&self.hub, &args).await.ok();
    }
}

#[tokio::test]
async fn a_statement_runs_once_between_the_changes_around_it() {
    let star = Star::start(&[Postgres, Mysql, Sqlite]).await;
    for (node, id) in star.nodes.iter().zip(1..) {
        // WHEN there are changes before and behind statements, DDL among them
        star.hub
            .database
            .run(&format!("insert into item values ({id}, 'before')"))
            .await;
        star.send_sql(node, "insert into noted select 'rows', count(*) from item")
            .await;
        star.send_sql(
            node,
            &format!("update item set name = 'by statement' where id = {id}"),
        )
        .await;
        star.send_sql(node, "alter table item add column extra varchar(10) default 'x'")
            .await;
        star.hub
            .database
            .run(&format!("insert into item values (10{id}, 'behind')"))
            .await;
        // THEN each saw what was before it, and nothing behind it
        becomes(
            &node.database,
            &format!("select name from item where id = 10{id}"),
            "behind",
        )
        .await;
        becomes(
            &node.database,
            "select number from noted where what = 'rows'",
            &(2 * id - 1).to_string(),
        )
        .await;
        becomes(
            &node.database,
            &format!("select name from item where id = {id}"),
            "by statement",
        )
        .await;
        becomes(
            &node.database,
            &format!("select extra from item where id = {id}"),
            "x",
        )
        .await;
        // AND each is a batch of its own
        let sql = format!(
            "select count(*), count(distinct e.batch_id) from sym_data d join sym_data_event e on e.data_id = d.data_id \
             where d.event_type = 'S' and e.node_id = '{}'",
            node.id()
        );
        assert_eq!(star.hub.database.rows(&sql).await, [["3", "3"]]);
        let beside = "select count(*) from sym_data d join sym_data_event e on e.data_id = d.data_id \
                      join sym_data_event f on f.batch_id = e.batch_id and f.data_id <> e.data_id where d.event_type = 'S'";
        assert_eq!(star.hub.database.number(beside).await, 0);
    }
    for node in &star.nodes {
        // A statement that fails holds its lane, says why at both ends, and goes on when it can.
        star.send_sql(node, "insert into later values (1)").await;
        let error = "select count(*) from sym_incoming_batch where status = 'ER'";
        becomes(&node.database, error, "1").await;
        let why = "select max(sql_message) from sym_incoming_batch_hist where status = 'ER'";
        let said = node.database.rows(why).await;
        assert!(said[0][0].contains("later"), "{said:?}");
        node.database.run("create table later (id integer)").await;
        becomes(&node.database, "select count(*) from later", "1").await;
        becomes(&node.database, error, "0").await;
        // No node but the registration server's sends statements.
        let refused = star.network.symadmin(node, &["send-sql", "h", "select 1"]).await;
        refused.one_error(1);
    }
}

/// The statement commits by itself, and then takes long enough to be interrupted.
#[tokio::test]
async fn a_statement_that_committed_by_itself_is_not_repeated_after_a_crash() {
    let mut star = Star::start(&[Mysql]).await;
    let database = star.nodes[0].database.clone();
    database
        .run(
            "create procedure slowly() begin insert into noted values ('ran', 1);
             create table if not exists made_by_statement (id integer); do sleep(6); end",
        )
        .await;
    star.hub
        .database
        .run("insert into item values (1, 'before')")
        .await;
    star.send_sql(&star.nodes[0], "call slowly()").await;
    star.hub
        .database
        .run("insert into item values (2, 'behind')")
        .await;
    // GIVEN that it has begun, and committed a part
    becomes(&database, "select count(*) from noted", "1").await;
    // WHEN the loader is killed, and started again
    let loader = star.nodes[0]
        .processes
        .iter()
        .position(|process| process.name().ends_with("sym-loader"));
    drop(star.nodes[0].processes.remove(loader.expect("a loader")));
    let loader = star.network.start_service(&star.nodes[0], "sym-loader");
    star.nodes[0].processes.push(loader);
    // THEN the batch is in error, and stays so however often it is looked at
    let attempts = "select case when attempt_count > 2 then 1 else 0 end from sym_incoming_lane \
                    where held_batch_id is not null";
    becomes(&database, attempts, "1").await;
    assert_eq!(
        database.number("select count(*) from noted").await,
        1,
        "it was repeated"
    );
    let why = database
        .rows("select max(sql_message) from sym_incoming_batch_hist where status = 'ER'")
        .await;
    assert!(why[0][0].contains("begun before"), "{why:?}");
    becomes(
        &star.hub.database,
        "select count(*) from sym_outgoing_batch where status = 'ER'",
        "1",
    )
    .await;
    assert_eq!(database.rows("select id from item order by id").await, [["1"]]);
    // UNTIL the operator says that it is to run again
    database
        .run("update sym_incoming_lane set statement_batch_id = null")
        .await;
    becomes(&database, "select count(*) from item", "2").await;
    assert_eq!(database.number("select count(*) from noted").await, 2);
}

#[tokio::test]
async fn a_table_without_transactions_is_refused_until_it_has_them() {
    let star = Star::start(&[Mysql]).await;
    let node = &star.nodes[0].database;
    star.hub
        .database
        .run("insert into other values (1, 'a'), (2, 'b')")
        .await;
    let why = "select count(*) from sym_incoming_batch_hist where status = 'ER' and sql_message like '%other%' \
               and sql_message like '%Aria%'";
    eventually(PATIENCE, "an error that names table and engine", || async {
        if node.number(why).await > 0 {
            Ok(())
        } else {
            Err("there is none")
        }
    })
    .await;
    assert_eq!(node.number("select count(*) from other").await, 0);
    node.run("alter table other engine = InnoDB").await;
    becomes(node, "select count(*) from other", "2").await;
}
