//! A plain NATS client can follow a batch by its headers, and `symadmin decode` shows what is in it.

use async_nats::Message;
use futures_util::StreamExt;
use symstream_shared::db::DatabaseKind::Sqlite;
use symstream_tests::eventually::eventually;
use symstream_tests::network::PATIENCE;
use symstream_tests::pair::Pair;

const DDL: &str = "create table item (id integer primary key, name varchar(50))";

fn header<'a>(message: &'a Message, name: &str) -> &'a str {
    message
        .headers
        .as_ref()
        .and_then(|headers| headers.get(name))
        .map_or("", |value| value.as_str())
}

async fn next(messages: &mut async_nats::Subscriber, subject: &str) -> Message {
    let wanted = async {
        loop {
            let message = messages.next().await.expect("nats-server goes on");
            if message.subject.starts_with(subject) {
                return message;
            }
        }
    };
    tokio::time::timeout(PATIENCE, wanted)
        .await
        .unwrap_or_else(|_| panic!("no message on {subject}"))
}

#[tokio::test]
async fn a_plain_nats_client_follows_a_batch() {
    // GIVEN two nodes and a plain subscription
    let pair = Pair::start(Sqlite, Sqlite, DDL, &["item"]).await;
    pair.quiet().await;
    let client = async_nats::connect(pair.network.nats.url())
        .await
        .expect("connect");
    let subscribe = async || client.subscribe("sym.>").await.expect("subscribe");
    let mut captured = subscribe().await;
    let mut delivered = subscribe().await;
    let mut reported = subscribe().await;
    client.flush().await.expect("subscribe before the change");

    // WHEN a row is written
    pair.source
        .database
        .run("insert into item values (7, 'Łódź')")
        .await;

    // THEN the captured batch, the node's batch and its status tell by their headers what they are
    let capture = next(&mut captured, "sym.capture.000.main").await;
    let batch = header(&capture, "Sym-Batch").to_owned();
    assert!(batch.parse::<i64>().is_ok_and(|number| number > 0), "{capture:?}");
    for (name, value) in [
        ("Sym-Source", "000"),
        ("Sym-Channel", "main"),
        ("Sym-Type", "EV"),
        ("Sym-Rows", "1"),
        ("Sym-Part", "1/1"),
    ] {
        assert_eq!(header(&capture, name), value, "{name}");
    }
    assert!(header(&capture, "Nats-Msg-Id").contains(&batch));
    assert!(!header(&capture, "Sym-Time").is_empty());

    let delivery = next(&mut delivered, "sym.node.").await;
    assert!(
        delivery.subject.ends_with(".001.main.000"),
        "{}",
        delivery.subject
    );
    for (name, value) in [
        ("Sym-Batch", batch.as_str()),
        ("Sym-Source", "000"),
        ("Sym-Target", "001"),
        ("Sym-Channel", "main"),
        ("Sym-Type", "EV"),
        ("Sym-Rows", "1"),
        ("Sym-Part", "1/1"),
    ] {
        assert_eq!(header(&delivery, name), value, "{name}");
    }
    assert!(!header(&delivery, "Sym-Prev").is_empty());

    let status = next(&mut reported, "sym.status.000.001.main").await;
    assert_eq!(header(&status, "Sym-Batch"), batch);

    // AND their bodies can be read
    for message in [&capture, &delivery] {
        let engines = &pair.network.engines;
        let json = engines
            .filter("symadmin", &["decode"], &message.payload)
            .await
            .ok();
        let value: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        let text = value.to_string();
        assert!(text.contains("Łódź") && text.contains("item"), "{text}");
    }
    let broken = pair
        .network
        .engines
        .filter("symadmin", &["decode"], b"no message")
        .await;
    broken.one_error(1);
    eventually(PATIENCE, "the row", || async {
        let rows = pair
            .target
            .database
            .rows("select name from item where id = 7")
            .await;
        if rows == [["Łódź"]] {
            Ok(())
        } else {
            Err("it is not there")
        }
    })
    .await;
}
