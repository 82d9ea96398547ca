//! What the loader writes: cases 10, 11 and 20.

use super::looking::reaches;
use super::refusing::{first_of, hold, release};
use futures_util::future::join_all;
use symstream_shared::db::DatabaseKind;
use symstream_tests::compare::{Part, become_equal};
use symstream_tests::configuration::Configuration;
use symstream_tests::firings::{firings, watch};
use symstream_tests::network::Site;
use symstream_tests::ring::Ring;

const ITEM: Part<'static> = Part {
    table: "item",
    columns: &["id", "name"],
    condition: "",
};
const FORWARD: &str = "update sym_trigger set sync_on_incoming_batch = 1";

fn ddl(_: DatabaseKind) -> String {
    "create table item (id integer primary key, name varchar(50))".to_owned()
}

/// Writes rows while the loader of the same database writes others.
async fn write_own_rows(site: &Site, count: i64) {
    let last = format!(
        "select coalesce(max(id), 0) from item where name = 'of {}'",
        site.id()
    );
    let last = site.database.number(&last).await;
    let first = last.max(first_of(site)) + 1;
    for id in first..first + count {
        let sql = format!("insert into item values ({id}, 'of {}')", site.id());
        site.database.run(&sql).await;
    }
}

#[tokio::test]
async fn what_the_loader_writes_is_not_captured_and_what_the_application_writes_beside_it_is() {
    let ring = Ring::start(ddl, Configuration::default().table("item", "main")).await;
    // GIVEN rows that the targets refuse, so that transactions of loaders end badly too
    for (source, target) in ring.ways() {
        hold(source, target).await;
    }
    // WHEN all sites write while their loaders try, and load what the site before them writes
    join_all(ring.sites.iter().map(|site| write_own_rows(site, 20))).await;
    for site in &ring.sites {
        release(site).await;
    }
    join_all(ring.sites.iter().map(|site| write_own_rows(site, 20))).await;
    for (source, target) in ring.ways() {
        let of_both = format!("name in ('of {}', 'of {}')", source.id(), target.id());
        reaches(
            &target.database,
            &format!("select count(*) from item where {of_both}"),
            80,
        )
        .await;
    }
    ring.quiet().await;
    // THEN each has captured what it wrote itself, all of it, and nothing else
    for site in &ring.sites {
        let captured = "select count(*) from sym_data where table_name = 'item'";
        let own = format!("{captured} and row_data like '%of {}%'", site.id());
        let database = &site.database;
        assert_eq!(database.number(&own).await, 40, "{}", site.id());
        assert_eq!(database.number(captured).await, 41, "{}", site.id());
    }
}

/// The rows of `item` whose triggers of the test's own fired at the site, and how often.
async fn fired(site: &Site) -> Vec<(String, Vec<String>)> {
    firings(&site.database, "item").await.expect("firings")
}

fn events(expected: &[(&str, &[&str])]) -> Vec<(String, Vec<String>)> {
    let own = |(key, events): &(&str, &[&str])| {
        let events = events.iter().map(|&event| event.to_owned()).collect();
        ((*key).to_owned(), events)
    };
    expected.iter().map(own).collect()
}

#[tokio::test]
async fn a_change_that_is_forwarded_in_a_ring_ends_where_it_began() {
    let forwarded = Configuration::default().table("item", "main").and(FORWARD);
    let ring = Ring::start(ddl, forwarded).await;
    join_all(
        ring.sites
            .iter()
            .map(|site| watch(&site.database, "item", "id", "name")),
    )
    .await;
    let [p, m, s] = &ring.sites;
    // WHEN a row begins at each site, is changed there, and one is deleted
    for (site, id) in [(p, 1), (m, 2), (s, 3)] {
        let sql = format!("insert into item values ({id}, 'a'); insert into item values ({id}0, 'x')");
        site.database.run(&sql).await;
    }
    for site in [p, m, s] {
        reaches(&site.database, "select count(*) from item", 6).await;
    }
    for (site, id) in [(p, 1), (m, 2), (s, 3)] {
        let sql = format!("update item set name = 'b' where id = {id}; delete from item where id = {id}0");
        site.database.run(&sql).await;
    }
    for site in [m, s] {
        become_equal(&p.database, &site.database, ITEM).await;
    }
    // THEN it was written at each site once
    ring.quiet().await;
    let (kept, gone): (&[&str], &[&str]) = (&["insert a", "update b"], &["insert x", "delete x"]);
    let once = [
        ("1", kept),
        ("10", gone),
        ("2", kept),
        ("20", gone),
        ("3", kept),
        ("30", gone),
    ];
    for site in [p, m, s] {
        reaches(&site.database, "select count(*) from item where name = 'b'", 3).await;
        assert_eq!(fired(site).await, events(&once), "{}", site.id());
    }
    // AND carries the way that it came
    let origins =
        "select distinct source_node_id from sym_data where table_name = 'item' and row_data like '%3%'
                   and event_type = 'I'";
    assert_eq!(s.database.rows(origins).await, [["∅"]]);
    assert_eq!(p.database.rows(origins).await, [["s"]]);
    assert_eq!(m.database.rows(origins).await, [["s,p"]]);
    // AND the last one sends it to nobody
    let last = "select distinct e.node_id from sym_data d join sym_data_event e on e.data_id = d.data_id
                where d.source_node_id = 's,p'";
    assert_eq!(m.database.rows(last).await, [["-1"]]);
}

/// p ⇄ m ⇄ s, with everything forwarded.
#[tokio::test]
async fn a_change_is_never_sent_back_to_the_node_it_came_from() {
    let forwarded = Configuration::default().table("item", "main").and(FORWARD);
    let links = [(0, 1), (1, 0), (1, 2), (2, 1)];
    let chain = Ring::start_linked(&links, ddl, forwarded).await;
    join_all(
        chain
            .sites
            .iter()
            .map(|site| watch(&site.database, "item", "id", "name")),
    )
    .await;
    for (site, id) in chain.sites.iter().zip(1..) {
        site.database
            .run(&format!(
                "insert into item values ({id}, 'a'); update item set name = 'b' where id = {id}"
            ))
            .await;
    }
    for site in &chain.sites {
        reaches(&site.database, "select count(*) from item where name = 'b'", 3).await;
    }
    chain.quiet().await;
    let row: &[&str] = &["insert a", "update b"];
    for site in &chain.sites {
        assert_eq!(
            fired(site).await,
            events(&[("1", row), ("2", row), ("3", row)]),
            "{}",
            site.id()
        );
    }
}
