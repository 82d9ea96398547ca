//! A row that the target refuses holds its lane, tells both ends why, and goes through by itself once it can.

use symstream_shared::db::DatabaseKind::{self, Mysql, Postgres, Sqlite};
use symstream_tests::compare::{Part, become_equal};
use symstream_tests::configuration::Configuration;
use symstream_tests::database::TestDatabase;
use symstream_tests::eventually::eventually;
use symstream_tests::network::{Network, PATIENCE, Site, installed, quiet};

const DDL: &str = "create table fragile (id integer primary key, name varchar(50));
                   create table robust (id integer primary key, name varchar(50))";
const TABLES: [&str; 2] = ["fragile", "robust"];

/// How a target refuses the name `bad`, and what it says then: SQL state, code.
struct Refusal {
    forbid: &'static str,
    allow: &'static str,
    sql_state: &'static str,
    sql_code: &'static str,
}

fn refusal(kind: DatabaseKind) -> Refusal {
    match kind {
        Postgres => Refusal {
            forbid: "alter table fragile add constraint no_bad_names check (name <> 'bad')",
            allow: "alter table fragile drop constraint no_bad_names",
            sql_state: "23514",
            sql_code: "0",
        },
        Mysql => Refusal {
            forbid: "alter table fragile add constraint no_bad_names check (name <> 'bad')",
            allow: "alter table fragile drop constraint no_bad_names",
            sql_state: "23000",
            sql_code: "4025",
        },
        // SQLite adds no constraint to a table that is there.
        Sqlite => Refusal {
            forbid: "create trigger no_bad_names before insert on fragile when new.name = 'bad' \
                     begin select raise(abort, 'no_bad_names'); end",
            allow: "drop trigger no_bad_names",
            sql_state: "",
            sql_code: "1811",
        },
    }
}

async fn reaches(database: &TestDatabase, sql: &str, number: i64) {
    eventually(PATIENCE, format!("{number} from {sql}"), || async {
        let found = database.number(sql).await;
        if found == number {
            Ok(())
        } else {
            Err(format!("it is {found}"))
        }
    })
    .await;
}

/// Waits for a history row of an error, and returns it.
async fn error(site: &Site, sql: &str) -> Vec<String> {
    eventually(PATIENCE, format!("an error at {}", site.engine.name), || async {
        let rows = site.database.try_rows(sql).await.map_err(|err| err.to_string())?;
        rows.into_iter().next().ok_or_else(|| "there is none".to_owned())
    })
    .await
}

async fn holds_its_lane_alone(target_kind: DatabaseKind) {
    // GIVEN two nodes that send on two channels to a third, which refuses a certain name
    let mut network = Network::start().await;
    let mut cloud = network.server("cloud", "000", target_kind).await;
    let mut first = network.node(&cloud, "local", "001", Sqlite).await;
    let mut second = network.node(&cloud, "local", "002", Sqlite).await;
    for site in [&cloud, &first, &second] {
        site.database.run(DDL).await;
    }
    let refusal = refusal(target_kind);
    cloud.database.run(refusal.forbid).await;
    let configuration = Configuration::default()
        .link("local", "cloud")
        .table("fragile", "one")
        .table("robust", "two");
    network.configure(&cloud, &configuration.sql()).await;
    network.admit(&cloud, &first).await;
    network.admit(&cloud, &second).await;
    for site in [&mut cloud, &mut first, &mut second] {
        network.run(site);
    }
    installed(&first, &TABLES).await;
    installed(&second, &TABLES).await;
    first.database.run("insert into fragile values (1, 'good')").await;
    reaches(&cloud.database, "select count(*) from fragile", 1).await;

    // WHEN a transaction comes whose fourth row is refused, and others after it
    first
        .database
        .transaction(
            "insert into fragile values (11, 'a'); insert into fragile values (12, 'b');
             update fragile set name = 'better' where id = 1; insert into fragile values (13, 'bad');
             insert into fragile values (14, 'c')",
        )
        .await;
    first
        .database
        .run("insert into fragile values (15, 'behind it')")
        .await;
    first
        .database
        .run("insert into robust values (1, 'another channel')")
        .await;
    second
        .database
        .run("insert into fragile values (21, 'another source')")
        .await;

    // THEN the other channel and the other source go on, and nothing of the refused transaction is there
    reaches(&cloud.database, "select count(*) from robust", 1).await;
    reaches(&cloud.database, "select count(*) from fragile where id = 21", 1).await;
    assert_eq!(
        cloud
            .database
            .rows("select id, name from fragile where id < 20")
            .await,
        [["1", "good"]]
    );

    // AND both ends know which row it was, and why
    let incoming = error(
        &cloud,
        "select b.batch_id, h.failed_row_number, coalesce(h.sql_state, ''), h.sql_code, h.sql_message \
         from sym_incoming_batch b join sym_incoming_batch_hist h on h.batch_id = b.batch_id and h.node_id = b.node_id \
         where b.node_id = '001' and b.status = 'ER' and h.status = 'ER'",
    )
    .await;
    assert_eq!(
        incoming[1..4],
        ["4", refusal.sql_state, refusal.sql_code],
        "{incoming:?}"
    );
    assert!(incoming[4].contains("no_bad_names"), "{incoming:?}");
    let outgoing = error(
        &first,
        "select b.batch_id, d.row_data, coalesce(h.sql_state, ''), h.sql_code, h.sql_message \
         from sym_outgoing_batch b join sym_outgoing_batch_hist h on h.batch_id = b.batch_id and h.node_id = b.node_id \
         left join sym_data d on d.data_id = h.failed_data_id \
         where b.node_id = '000' and b.status = 'ER' and h.status = 'ER'",
    )
    .await;
    assert_eq!(outgoing[0], incoming[0], "the same batch at both ends");
    assert!(
        outgoing[1].contains("13") && outgoing[1].contains("bad"),
        "the refused row: {outgoing:?}"
    );
    assert_eq!(
        outgoing[2..4],
        [refusal.sql_state, refusal.sql_code],
        "{outgoing:?}"
    );
    assert!(outgoing[4].contains("no_bad_names"), "{outgoing:?}");

    // WHEN the cause is removed
    cloud.database.run(refusal.allow).await;

    // THEN it goes through by itself, with what waited behind it
    reaches(&cloud.database, "select count(*) from fragile", 7).await;
    for site in [&first, &second] {
        let condition = if site.id() == "001" { "id < 20" } else { "id > 20" };
        let part = Part {
            table: "fragile",
            columns: &["id", "name"],
            condition,
        };
        become_equal(&site.database, &cloud.database, part).await;
    }
    quiet(&[&cloud, &first, &second]).await;
}

#[tokio::test]
async fn a_row_that_postgres_refuses_holds_its_lane_alone() {
    holds_its_lane_alone(Postgres).await;
}

#[tokio::test]
async fn a_row_that_mariadb_refuses_holds_its_lane_alone() {
    holds_its_lane_alone(Mysql).await;
}

#[tokio::test]
async fn a_row_that_sqlite_refuses_holds_its_lane_alone() {
    holds_its_lane_alone(Sqlite).await;
}
