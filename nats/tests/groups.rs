//! Groups' lanes.

use crate::{Fixture, PATIENCE, channel, fixture, header, source, target};
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use symstream_nats::{BusError, GroupConsumer, PartHeader};
use symstream_shared::id::{GroupId, NodeId};
use symstream_shared::wire::{GroupTail, GroupTails};

fn group() -> GroupId {
    GroupId::new("shop.1").expect("id")
}

fn group_header(batch_id: i64) -> PartHeader {
    PartHeader {
        target: None,
        group: Some(group()),
        ..header(batch_id, 1, 1)
    }
}

fn consumer(registered_ms: i64) -> GroupConsumer {
    GroupConsumer {
        group: group(),
        channel: channel(),
        max_ack_pending: 10,
        registered_ms,
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock");
    i64::try_from(since.as_millis()).expect("in range")
}

#[tokio::test]
async fn each_node_of_a_group_has_what_came_since_it_was_registered() {
    let Fixture { server: _server, bus } = fixture().await;
    let other = NodeId::new("other").expect("id");
    for batch_id in 1..=3 {
        bus.publish_group(&group_header(batch_id), vec![0])
            .await
            .expect("publish");
    }
    // A repetition that comes soon is not stored again.
    bus.publish_group(&group_header(3), vec![0])
        .await
        .expect("publish");
    bus.ensure_group_consumers(&target(), &[consumer(now_ms())])
        .await
        .expect("consumer");
    bus.ensure_group_consumers(&other, &[consumer(now_ms() + 2 * 3_600_000)])
        .await
        .expect("consumer");
    let mut deliveries = bus.group_deliveries(&target(), &channel());
    for batch_id in 1..=3 {
        let delivery = deliveries.next_within(PATIENCE).await.expect("a message");
        let header = delivery.header().expect("header");
        assert_eq!((header.batch_id, header.group), (batch_id, Some(group())));
        if batch_id < 3 {
            delivery.ack().await.expect("ack");
        }
    }
    // What is there already goes on, also when the node was registered again.
    bus.ensure_group_consumers(&target(), &[consumer(now_ms() + 2 * 3_600_000)])
        .await
        .expect("again");
    deliveries.close();
    let delivery = deliveries.next_within(PATIENCE).await.expect("unacknowledged");
    assert_eq!(delivery.header().expect("header").batch_id, 3);
    delivery.ack().await.expect("ack");
    assert_eq!(deliveries.waiting().await.expect("count"), 0);
    let mut of_other = bus.group_deliveries(&other, &channel());
    assert!(of_other.next_within(Duration::from_millis(300)).await.is_none());
}

#[tokio::test]
async fn ends_of_groups_lanes_are_written_over_the_version_that_was_read() {
    let Fixture { server: _server, bus } = fixture().await;
    let (none, revision) = bus.group_tails(&source(), &channel()).await.expect("read");
    assert_eq!((none, revision), (GroupTails::default(), 0));
    let tail = GroupTail {
        batch_id: 7,
        previous_batch_id: 4,
        members: BTreeMap::from([(target(), 5)]),
        joined: [target()].into(),
    };
    let tails = GroupTails {
        groups: BTreeMap::from([(group(), tail)]),
    };
    let first = bus
        .set_group_tails(&source(), &channel(), &tails, 0)
        .await
        .expect("write");
    let late = bus.set_group_tails(&source(), &channel(), &tails, 0).await;
    assert!(matches!(late, Err(BusError::Fenced { .. })), "{late:?}");
    let read = bus.group_tails(&source(), &channel()).await.expect("read");
    assert_eq!(read, (tails, first));
    assert_eq!(bus.highest_batch(&source(), &[]).await.expect("highest"), 7);
}
