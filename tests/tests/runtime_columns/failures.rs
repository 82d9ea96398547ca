//! What the tables say of a batch that fails, and of one that comes again.

use super::claims::{End, History, NULL, Since, histories, one_row};
use futures_util::StreamExt;
use symstream_shared::db::DatabaseKind;
use symstream_tests::configuration::Configuration;
use symstream_tests::eventually::eventually;
use symstream_tests::network::{PATIENCE, Site};
use symstream_tests::ring::Ring;

fn ddl(_: DatabaseKind) -> String {
    "create table item (id integer primary key, name varchar(50))".to_owned()
}

/// How a target is made to refuse the name `bad`, and to take it, and what it says then: state, code.
fn refusal(kind: DatabaseKind) -> [&'static str; 4] {
    let add = "alter table item add constraint no_bad_names check (name <> 'bad')";
    let drop = "alter table item drop constraint no_bad_names";
    match kind {
        DatabaseKind::Postgres => [add, drop, "23514", "0"],
        DatabaseKind::Mysql => [add, drop, "23000", "4025"],
        DatabaseKind::Sqlite => [
            "create trigger no_bad_names before insert on item when new.name = 'bad' \
             begin select raise(abort, 'no_bad_names'); end",
            "drop trigger no_bad_names",
            "",
            "1811",
        ],
    }
}

/// Waits until a batch is in error at an end, and gives its number.
async fn in_error(site: &Site, table: &str, node: &str) -> String {
    let sql = format!("select batch_id from {table} where status = 'ER' and node_id = '{node}'");
    eventually(
        PATIENCE,
        format!("a batch in error in {table} of {}", site.id()),
        || async {
            let rows = site.database.rows(&sql).await;
            rows.first().map(|row| row[0].clone()).ok_or("there is none")
        },
    )
    .await
}

/// Holds the histories of errors to what they have to say; the failed row is `failed`.
fn say_why(errors: &[History], failed: &str, [state, code]: [&str; 2]) {
    assert!(!errors.is_empty());
    for error in errors {
        assert_eq!(error.failed, failed, "{error:?}");
        let said = [error.error[0].replace(NULL, ""), error.error[1].clone()];
        assert_eq!(said, [state, code], "{error:?}");
        assert!(error.error[2].contains("no_bad_names"), "{error:?}");
        assert!(
            error.error[2].contains("item") && error.error[2].contains("id=4"),
            "{error:?}"
        );
        assert_eq!(error.data_event_count, NULL);
    }
}

fn of_status<'a>(all: &'a [History], status: &str) -> Vec<History> {
    let chosen: Vec<&'a History> = all.iter().filter(|history| history.status == status).collect();
    chosen.into_iter().cloned().collect()
}

async fn fails_and_goes_on(source: &Site, target: &Site) {
    let since = Since::now();
    let [forbid, allow, state, code] = refusal(target.database.kind());
    target.database.run(forbid).await;
    source
        .database
        .transaction(
            "insert into item values (1, 'a'); insert into item values (2, 'b'); update item set name = 'c' where id = 1;
             insert into item values (4, 'bad'); insert into item values (5, 'e')",
        )
        .await;
    let batch = in_error(target, "sym_incoming_batch", source.id()).await;
    assert_eq!(in_error(source, "sym_outgoing_batch", target.id()).await, batch);
    let incoming = histories(target, End::Incoming, &batch, source.id(), since).await;
    say_why(&of_status(&incoming, "ER"), "4", [state, code]);
    let refused = one_row(
        &source.database,
        "select data_id from sym_data where row_data like '4,%' and event_type = 'I'",
    )
    .await;
    let outgoing = histories(source, End::Outgoing, &batch, target.id(), since).await;
    say_why(&of_status(&outgoing, "ER"), &refused[0], [state, code]);
    for history in of_status(&outgoing, "ER")
        .iter()
        .chain(&of_status(&incoming, "ER"))
    {
        for millis in &history.millis {
            since.check_millis("a measure of ER", millis);
        }
    }
    target.database.run(allow).await;
    eventually(PATIENCE, "the rows that waited", || async {
        let found = target.database.number("select count(*) from item").await;
        if found == 4 {
            Ok(())
        } else {
            Err(format!("{found}"))
        }
    })
    .await;
    for (site, end, node) in [
        (target, End::Incoming, source.id()),
        (source, End::Outgoing, target.id()),
    ] {
        eventually(PATIENCE, format!("OK at {}", site.id()), || async {
            let all = histories(site, end, &batch, node, since).await;
            let last = all.last().expect("histories").clone();
            if last.status == "OK" && last.error == [NULL; 3] && last.failed == NULL {
                Ok(())
            } else {
                Err(format!("{last:?}"))
            }
        })
        .await;
    }
    source.database.run("delete from item").await;
}

#[tokio::test]
async fn a_failed_batch_says_at_both_ends_which_row_it_was_and_why() {
    let ring = Ring::start(ddl, Configuration::default().table("item", "main")).await;
    for (source, target) in ring.ways() {
        fails_and_goes_on(source, target).await;
        ring.quiet().await;
    }
}

#[tokio::test]
async fn a_batch_that_comes_again_is_skipped_and_says_so() {
    let ring = Ring::start(ddl, Configuration::default().table("item", "main")).await;
    let client = async_nats::connect(ring.network.nats.url())
        .await
        .expect("connect");
    for ((source, target), id) in ring.ways().into_iter().zip(1..) {
        // GIVEN a batch that was applied
        let mut messages = client.subscribe("sym.node.>").await.expect("subscribe");
        client.flush().await.expect("subscribe before the change");
        let first_sent = Since::now();
        source
            .database
            .run(&format!("insert into item values ({id}, 'a')"))
            .await;
        let message = tokio::time::timeout(PATIENCE, messages.next())
            .await
            .expect("in time")
            .expect("a message");
        ring.quiet().await;
        // WHEN its message comes once more
        let since = Since::now();
        let headers = message.headers.expect("headers");
        let batch = headers.get("Sym-Batch").expect("a batch").as_str().to_owned();
        client
            .publish_with_headers(message.subject, headers, message.payload)
            .await
            .expect("publish");
        client.flush().await.expect("publish");
        // THEN a history says so, and the batch is what it was
        let skipped = format!(
            "select count(*) from sym_incoming_batch_hist where batch_id = {batch} and node_id = '{}' and status = 'SK'",
            source.id()
        );
        eventually(
            PATIENCE,
            format!("the skipped batch at {}", target.id()),
            || async {
                if target.database.number(&skipped).await == 1 {
                    Ok(())
                } else {
                    Err("it is not recorded")
                }
            },
        )
        .await;
        let before = format!(
            "delete from sym_incoming_batch_hist where batch_id = {batch} and node_id = '{}' and status <> 'SK'",
            source.id()
        );
        target.database.run(&before).await;
        let all = histories(target, End::Incoming, &batch, source.id(), since).await;
        assert_eq!(
            (all[0].failed.as_str(), &all[0].error),
            (NULL, &[NULL; 3].map(str::to_owned))
        );
        // How long the network took is what the first delivery says.
        for millis in &all[0].millis {
            first_sent.check_millis("a measure of SK", millis);
        }
        let sql = format!(
            "select status from sym_incoming_batch where batch_id = {batch} and node_id = '{}'",
            source.id()
        );
        assert_eq!(target.database.rows(&sql).await, [["OK"]]);
        let sql = format!("select status from sym_outgoing_batch where batch_id = {batch}");
        assert_eq!(source.database.rows(&sql).await, [["OK"]]);
    }
    ring.quiet().await;
}
