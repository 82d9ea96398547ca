//! `sym_trigger_hist`: what was captured, by which triggers, since when, and why they were built.

use super::claims::{NULL, Since};
use symstream_shared::db::DatabaseKind;
use symstream_tests::configuration::Configuration;
use symstream_tests::database::TestDatabase;
use symstream_tests::eventually::eventually;
use symstream_tests::network::{PATIENCE, Site};
use symstream_tests::ring::Ring;

fn ddl(_: DatabaseKind) -> String {
    "create table item (id integer primary key, name varchar(50), secret varchar(50))".to_owned()
}

/// A row of `sym_trigger_hist`.
#[derive(Debug, Clone)]
struct Hist {
    /// `trigger_hist_id`, `trigger_id`, `source_table_name`
    ids: [String; 3],
    /// `source_catalog_name`, `source_schema_name`
    place: [String; 2],
    /// `name_for_insert_trigger`, `name_for_update_trigger`, `name_for_delete_trigger`
    names: [String; 3],
    /// `table_hash`
    hash: i64,
    /// `column_names`, `pk_column_names`
    columns: [String; 2],
    /// `last_trigger_build_reason`
    reason: String,
    /// `create_time` and `inactive_time` in UTC
    times: [String; 2],
}

/// All histories of a site, the oldest first.
async fn all(site: &Site) -> Vec<Hist> {
    let time = |column| site.database.kind().time_as_text(column);
    let sql = format!(
        "select trigger_hist_id, trigger_id, source_table_name, source_catalog_name, source_schema_name, \
         name_for_insert_trigger, name_for_update_trigger, name_for_delete_trigger, table_hash, column_names, \
         pk_column_names, last_trigger_build_reason, {}, {} from sym_trigger_hist order by trigger_hist_id",
        time("create_time"),
        time("inactive_time"),
    );
    let of = |row: Vec<String>| {
        let text = |index: usize| row[index].clone();
        Hist {
            ids: [0, 1, 2].map(text),
            place: [3, 4].map(text),
            names: [5, 6, 7].map(text),
            hash: row[8].parse().expect("a hash"),
            columns: [9, 10].map(text),
            reason: text(11),
            times: [12, 13].map(text),
        }
    };
    site.database.rows(&sql).await.into_iter().map(of).collect()
}

/// Waits until a site has as many histories as reasons, and holds them to these.
async fn built(site: &Site, reasons: &[&str]) -> Vec<Hist> {
    eventually(
        PATIENCE,
        format!("the histories {reasons:?} at {}", site.id()),
        || async {
            let all = all(site).await;
            let is_done = all.iter().filter(|hist| hist.times[1] == NULL).count() <= 1;
            let found: Vec<&str> = all.iter().map(|hist| hist.reason.as_str()).collect();
            if is_done && found == reasons {
                Ok(all)
            } else {
                Err(format!("{found:?}"))
            }
        },
    )
    .await
}

/// The database's triggers on `item`.
async fn triggers(database: &TestDatabase) -> Vec<String> {
    let sql = match database.kind() {
        DatabaseKind::Postgres => {
            "select tgname::text from pg_trigger where not tgisinternal and tgrelid = 'item'::regclass"
        }
        DatabaseKind::Mysql => {
            "select trigger_name from information_schema.triggers where event_object_table = 'item'"
        }
        DatabaseKind::Sqlite => "select name from sqlite_master where type = 'trigger' and tbl_name = 'item'",
    };
    database.rows(sql).await.into_iter().flatten().collect()
}

async fn drop_one(database: &TestDatabase, name: &str) {
    let name = database.kind().quote(name);
    let on = match database.kind() {
        DatabaseKind::Postgres => " on item",
        DatabaseKind::Mysql | DatabaseKind::Sqlite => "",
    };
    database.run(&format!("drop trigger {name}{on}")).await;
}

/// The catalog and the schema that the table is in, as the database's own programs name them.
async fn place(database: &TestDatabase) -> [String; 2] {
    let sql = match database.kind() {
        DatabaseKind::Postgres => "select current_database()::text, current_schema()::text",
        DatabaseKind::Mysql => "select database(), database()",
        DatabaseKind::Sqlite => "select null, null",
    };
    let row = database.rows(sql).await.remove(0);
    [row[0].clone(), row[1].clone()]
}

async fn first_of(site: &Site, since: Since) -> Hist {
    let hist = built(site, &["N"]).await.remove(0);
    let trigger = format!("item_{}", site.group());
    assert!(hist.ids[1].starts_with(&trigger), "{hist:?}");
    assert_eq!(hist.ids[2], "item");
    assert_eq!(hist.place, place(&site.database).await, "{}", site.id());
    assert_eq!(hist.columns, ["id,name,secret", "id"]);
    since.check("create_time", &hist.times[0]);
    assert_eq!(hist.times[1], NULL);
    let installed = triggers(&site.database).await;
    for name in &hist.names {
        assert!(installed.contains(name), "{name} is none of {installed:?}");
    }
    hist
}

/// Holds a history to have ended the one before it.
fn follows(before: &Hist, after: &Hist, since: Since) {
    let ended = since.check("inactive_time", &before.times[1]);
    let made = since.check("create_time", &after.times[0]);
    assert!(ended >= made - 1000, "{before:?} {after:?}");
    assert!(before.ids[0].parse::<i64>().expect("an id") < after.ids[0].parse::<i64>().expect("an id"));
}

#[tokio::test]
async fn each_history_says_what_was_captured_and_why_it_was_made() {
    let since = Since::now();
    let ring = Ring::start(ddl, Configuration::default().table("item", "main")).await;
    let mut firsts = Vec::new();
    for site in &ring.sites {
        firsts.push(first_of(site, since).await);
    }
    // WHEN the table changes at one node after the other, THEN its hash does
    for (site, first) in ring.sites.iter().zip(&firsts) {
        let since = Since::now();
        site.database
            .run("alter table item add column extra varchar(20)")
            .await;
        let hists = built(site, &["N", "S"]).await;
        assert_eq!(hists[1].columns, ["id,name,secret,extra", "id"]);
        assert_ne!(hists[1].hash, first.hash);
        follows(&hists[0], &hists[1], since);
    }
    // WHEN a trigger is gone
    for site in &ring.sites {
        let since = Since::now();
        drop_one(&site.database, &all(site).await[1].names[1]).await;
        ring.network.symadmin(site, &["sync-triggers"]).await.ok();
        let hists = built(site, &["N", "S", "T"]).await;
        assert_eq!(hists[2].hash, hists[1].hash);
        follows(&hists[1], &hists[2], since);
        assert!(triggers(&site.database).await.contains(&hists[2].names[1]));
    }
    // WHEN the configuration changes, for all of them
    let since = Since::now();
    let sql = "update sym_trigger set excluded_column_names = 'secret', name_for_delete_trigger = 'farewell'";
    ring.server().database.run(sql).await;
    for (site, id) in ring.sites.iter().zip(1..) {
        let hists = built(site, &["N", "S", "T", "C"]).await;
        assert_eq!(hists[3].columns, ["id,name,extra", "id"]);
        assert_eq!(hists[3].hash, hists[2].hash, "the table is what it was");
        assert_eq!(hists[3].names[2], "farewell");
        follows(&hists[2], &hists[3], since);
        assert!(triggers(&site.database).await.contains(&"farewell".to_owned()));
        // What is captured from now on names it.
        let insert = format!("insert into item (id, name, secret, extra) values ({id}, 'a', 'hidden', 'b')");
        site.database.run(&insert).await;
        let captured = site
            .database
            .rows("select trigger_hist_id, row_data from sym_data")
            .await;
        assert_eq!(captured.len(), 1);
        assert_eq!(captured[0][0], hists[3].ids[0]);
        assert_eq!(captured[0][1].replace('"', ""), format!("{id},a,b"));
    }
    ring.quiet().await;
    // WHEN a trigger is made inactive, THEN its history ends, and nothing is captured
    let since = Since::now();
    let sql = format!(
        "update sym_trigger set inactive_time = {}",
        ring.server().database.kind().now()
    );
    ring.server().database.run(&sql).await;
    for site in &ring.sites {
        eventually(
            PATIENCE,
            format!("no history in force at {}", site.id()),
            || async {
                let hists = all(site).await;
                if hists.iter().all(|hist| hist.times[1] != NULL) {
                    Ok(())
                } else {
                    Err(format!("{hists:?}"))
                }
            },
        )
        .await;
        since.check("inactive_time", &all(site).await[3].times[1]);
        assert_eq!(triggers(&site.database).await, [""; 0]);
    }
}
