//! Captured batches on their stream, and the marks of those that are held.

use crate::{Fixture, PATIENCE, channel, fixture, header, source};
use symstream_nats::{Bus, BusError, Hold, PARTITION_COUNT, PartHeader};
use symstream_shared::id::NodeId;
use symstream_tests::eventually::eventually;

/// The batches on all partitions, acknowledged as they come, until `count` have come.
async fn captured(bus: &Bus, count: usize) -> Vec<i64> {
    let mut tasks = tokio::task::JoinSet::new();
    let (batch_tx, mut batch_rx) = tokio::sync::mpsc::channel(16);
    for partition in 0..PARTITION_COUNT {
        let mut deliveries = bus.partition(partition);
        let batch_tx = batch_tx.clone();
        tasks.spawn(async move {
            loop {
                let delivery = deliveries.next().await;
                let batch_id = delivery.header().expect("header").batch_id;
                delivery.ack().await.expect("ack");
                batch_tx.send(batch_id).await.expect("receiver");
            }
        });
    }
    let mut batches = Vec::new();
    while batches.len() < count {
        batches.push(
            tokio::time::timeout(PATIENCE, batch_rx.recv())
                .await
                .expect("in time")
                .expect("sender"),
        );
    }
    batches
}

#[tokio::test]
async fn captured_batches_are_stored_once_and_in_order_though_the_server_is_killed() {
    let Fixture { mut server, bus } = fixture().await;
    let mut publisher = bus.captured(&source(), &channel());
    let (progress_tx, mut progress_rx) = tokio::sync::watch::channel(0);
    let publishing = tokio::spawn(async move {
        for batch_id in 1..=400 {
            publisher
                .publish(&header(batch_id, 1, 1), vec![0; 1000])
                .await
                .expect("publish");
            progress_tx.send_replace(batch_id);
        }
        publisher
    });
    for batch_id in [100, 250] {
        progress_rx
            .wait_for(|published| *published >= batch_id)
            .await
            .expect("publisher");
        server.kill();
        server.start_again().await;
    }
    let mut publisher = publishing.await.expect("publisher");
    assert_eq!(
        publisher.last().await.expect("last").map(|last| last.batch_id),
        Some(400)
    );
    assert_eq!(captured(&bus, 400).await, (1..=400).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_publisher_that_repeats_after_a_crash_adds_nothing_and_an_older_one_is_fenced() {
    let Fixture { server: _server, bus } = fixture().await;
    let mut first = bus.captured(&source(), &channel());
    assert_eq!(first.last().await.expect("last"), None);
    first.publish(&header(1, 1, 1), vec![1]).await.expect("publish");
    let mut second = bus.captured(&source(), &channel());
    second
        .publish(&header(1, 1, 1), vec![1])
        .await
        .expect("the same again is done");
    second.publish(&header(2, 1, 2), vec![2]).await.expect("publish");
    second.publish(&header(2, 2, 2), vec![3]).await.expect("publish");
    let fenced = first
        .publish(&header(2, 1, 1), vec![9])
        .await
        .expect_err("something newer is there");
    assert!(matches!(fenced, BusError::Fenced { .. }), "{fenced}");
    assert_eq!(captured(&bus, 3).await, [1, 2, 2]);
}

#[tokio::test]
async fn a_part_of_another_attempt_at_the_same_batch_is_not_taken_for_ones_own() {
    let Fixture { server: _server, bus } = fixture().await;
    let mut first = bus.captured(&source(), &channel());
    first.publish(&header(1, 1, 2), vec![1]).await.expect("publish");
    let mut second = bus.captured(&source(), &channel());
    let again = PartHeader {
        time_ms: 1,
        ..header(1, 1, 3)
    };
    let fenced = second.publish(&again, vec![2]).await.expect_err("other rows");
    assert!(matches!(fenced, BusError::Fenced { .. }), "{fenced}");
}

#[tokio::test]
async fn what_was_on_its_way_does_not_come_behind_an_unfinished_batch_that_was_looked_at_for_good() {
    let Fixture { server, bus } = fixture().await;
    let mut late = bus.captured(&source(), &channel());
    late.publish(&header(1, 1, 1), vec![1]).await.expect("publish");
    late.publish(&header(2, 1, 2), vec![2]).await.expect("publish");
    let mut next = bus.captured(&source(), &channel());
    let last = next.last_for_good().await.expect("last").expect("a part");
    assert_eq!((last.batch_id, last.part, last.part_last), (2, 1, 2));
    // What waited in the queue of a client names the sequence that it knew: that of batch 2's first part.
    let client = async_nats::connect(server.url()).await.expect("connect");
    let jetstream = async_nats::jetstream::new(client);
    let stream = jetstream.get_stream("SYM_CAPTURE").await.expect("stream");
    let first = stream.get_raw_message(2).await.expect("message");
    let mut headers = first.headers.clone();
    headers.insert("Nats-Msg-Id", "late");
    headers.insert("Nats-Expected-Last-Subject-Sequence", "2");
    let sent = jetstream
        .publish_with_headers("sym.capture.source=2E1.sale", headers, first.payload.clone())
        .await
        .expect("sent");
    let refused = sent.await.expect_err("another stands last");
    assert!(refused.to_string().contains("sequence"), "{refused}");
    next.publish(&header(3, 1, 1), vec![4]).await.expect("publish");
    // AND one that was faster is seen
    let mut faster = bus.captured(&source(), &channel());
    faster.publish(&header(4, 1, 2), vec![5]).await.expect("publish");
    let mut slower = bus.captured(&source(), &channel());
    slower.last().await.expect("last");
    faster.publish(&header(4, 2, 2), vec![6]).await.expect("publish");
    let fenced = slower
        .publish(&header(5, 1, 1), vec![7])
        .await
        .expect_err("somebody completed the batch");
    assert!(matches!(fenced, BusError::Fenced { .. }), "{fenced}");
}

#[tokio::test]
async fn sources_whose_ids_differ_in_no_ascii_letter_are_told_apart() {
    let Fixture { server: _server, bus } = fixture().await;
    for id in ["é", "è"] {
        let source = NodeId::new(id).expect("id");
        let mut publisher = bus.captured(&source, &channel());
        let header = PartHeader {
            source: source.clone(),
            ..header(1, 1, 1)
        };
        tokio::time::timeout(PATIENCE, publisher.publish(&header, vec![1]))
            .await
            .expect("in time")
            .expect("publish");
        let stored = bus.captured_next(&source, &channel(), 1).await.expect("stream");
        assert_eq!(stored.map(|stored| stored.header.source), Some(source));
    }
}

#[tokio::test]
async fn the_capture_stream_is_the_same_after_a_restart_and_another_one_when_made_again() {
    let Fixture { mut server, bus } = fixture().await;
    let first = bus.capture_stream().await.expect("stream");
    server.kill();
    server.start_again().await;
    let again = eventually(PATIENCE, "the stream", || async {
        bus.capture_stream().await.map_err(|err| err.to_string())
    })
    .await;
    assert_eq!(again, first);
    bus.ensure_streams().await.expect("an update");
    assert_eq!(bus.capture_stream().await.expect("stream").id, first.id);
    let client = async_nats::connect(server.url()).await.expect("connect");
    async_nats::jetstream::new(client)
        .delete_stream("SYM_CAPTURE")
        .await
        .expect("delete");
    bus.ensure_streams().await.expect("streams");
    assert_ne!(bus.capture_stream().await.expect("stream").id, first.id);
}

#[tokio::test]
async fn a_publisher_notices_that_the_stream_lost_what_it_stored() {
    let Fixture { server, bus } = fixture().await;
    let mut publisher = bus.captured(&source(), &channel());
    for batch_id in 1..=3 {
        publisher
            .publish(&header(batch_id, 1, 1), vec![1])
            .await
            .expect("publish");
    }
    let client = async_nats::connect(server.url()).await.expect("connect");
    let stream = async_nats::jetstream::new(client)
        .get_stream("SYM_CAPTURE")
        .await
        .expect("stream");
    stream.purge().await.expect("purge");

    let lost = publisher
        .publish(&header(4, 1, 1), vec![1])
        .await
        .expect_err("three are gone");

    assert!(matches!(lost, BusError::Lost { .. }), "{lost}");
    assert_eq!(publisher.last().await.expect("last"), None);
    publisher
        .publish(&header(1, 1, 1), vec![1])
        .await
        .expect("published again");
}

#[tokio::test]
async fn captured_messages_can_be_read_again_in_order() {
    let Fixture { server: _server, bus } = fixture().await;
    let mut publisher = bus.captured(&source(), &channel());
    for (batch_id, part, last) in [(1, 1, 1), (2, 1, 2), (2, 2, 2)] {
        publisher
            .publish(&header(batch_id, part, last), vec![])
            .await
            .expect("publish");
    }
    let mut read = Vec::new();
    let mut from = 0;
    while let Some(message) = bus
        .captured_next(&source(), &channel(), from)
        .await
        .expect("stream")
    {
        read.push((message.header.batch_id, message.header.part));
        from = message.sequence + 1;
    }
    assert_eq!(read, [(1, 1), (2, 1), (2, 2)]);
}

#[tokio::test]
async fn a_mark_is_written_over_the_version_that_was_read_only() {
    let Fixture { server: _server, bus } = fixture().await;
    assert!(bus.holds().await.expect("marks").is_empty());
    let none = bus.hold(&source(), &channel()).await.expect("mark");
    assert!(!none.is_active());
    let mark = Hold {
        from: 5,
        through: 7,
        configuration_version: Some(3),
        stream: 11,
        ..none.clone()
    };
    let revision = bus.set_hold(&mark).await.expect("first");
    let late = bus.set_hold(&Hold { through: 9, ..none }).await;
    assert!(matches!(late, Err(BusError::Fenced { .. })), "{late:?}");
    let stored = Hold { revision, ..mark };
    assert_eq!(bus.hold(&source(), &channel()).await.expect("mark"), stored);
    assert_eq!(bus.holds().await.expect("marks"), std::slice::from_ref(&stored));

    let done = Hold {
        from: 8,
        configuration_version: None,
        ..stored
    };
    bus.set_hold(&done).await.expect("done");
    assert!(bus.holds().await.expect("marks").is_empty());
}
