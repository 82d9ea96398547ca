//! Lanes: their tails, and taking what stands in them.

use crate::{Fixture, PATIENCE, channel, fixture, header, lane, source, target};
use std::time::Duration;
use symstream_nats::{BusError, LaneId, Report, Tail};
use symstream_shared::id::NodeId;
use symstream_shared::model::LinkAction;
use symstream_shared::wire::{Message, RoutedReport, StatusReport};

#[tokio::test]
async fn a_message_that_the_server_never_takes_is_given_back() {
    let Fixture { server: _server, bus } = fixture().await;
    let refused = tokio::time::timeout(
        PATIENCE,
        bus.publish_lane(&header(1, 1, 1), vec![0; 2_000_000], LinkAction::Push),
    )
    .await
    .expect("no endless attempts")
    .expect_err("too large");
    assert!(matches!(refused, BusError::Malformed { .. }), "{refused}");
    assert!(refused.to_string().contains("max_payload"), "{refused}");
}

#[tokio::test]
async fn what_was_not_acknowledged_comes_again_in_order() {
    let Fixture { server: _server, bus } = fixture().await;
    bus.ensure_node(&target(), &[lane(LinkAction::Push, 60)])
        .await
        .expect("consumers");
    bus.ensure_node(&target(), &[lane(LinkAction::Push, 60)])
        .await
        .expect("again");
    for batch_id in 1..=5 {
        bus.publish_lane(&header(batch_id, 1, 1), vec![0], LinkAction::Push)
            .await
            .expect("publish");
    }
    let mut deliveries = bus.lane_deliveries(&target(), &channel(), LinkAction::Push);
    let first = deliveries.next_within(PATIENCE).await.expect("first");
    first.ack().await.expect("ack");
    for _ in 2..=4 {
        deliveries.next_within(PATIENCE).await.expect("more");
    }
    deliveries.close();
    for batch_id in 2..=5 {
        let delivery = deliveries.next_within(PATIENCE).await.expect("again");
        assert_eq!(delivery.header().expect("header").batch_id, batch_id);
        delivery.ack().await.expect("ack");
    }
}

#[tokio::test]
async fn deliveries_go_on_at_once_when_the_server_is_back() {
    let Fixture { mut server, bus } = fixture().await;
    bus.ensure_node(&target(), &[lane(LinkAction::Push, 60)])
        .await
        .expect("consumers");
    let mut deliveries = bus.lane_deliveries(&target(), &channel(), LinkAction::Push);
    let mut idle = bus.routed_deliveries(&target());
    for (batch_id, down) in [(1, 0), (2, 4000), (3, 12_000)] {
        bus.publish_lane(&header(batch_id, 1, 1), vec![0], LinkAction::Push)
            .await
            .expect("publish");
        let delivery = deliveries.next_within(PATIENCE).await.expect("a batch");
        delivery.ack().await.expect("ack");
        assert!(idle.next_within(Duration::from_millis(100)).await.is_none());
        server.kill();
        let away = Duration::from_millis(down);
        let waiting = async { tokio::join!(deliveries.next_within(away), idle.next_within(away)) };
        waiting.await;
        server.start_again().await;
        let is_back = std::time::Instant::now();
        let report = RoutedReport {
            groups: Vec::new(),
            source: target(),
            channel: channel(),
            batch_id,
            created_ms: 0,
            started_ms: 0,
            sent_ms: 0,
            hostname: String::new(),
            targets: Vec::new(),
            unrouted: Vec::new(),
            last: true,
        };
        let told = async {
            bus.report(&report).await.expect("report");
        };
        let (delivery, ()) = tokio::join!(idle.next_within(PATIENCE), told);
        delivery.expect("a report").ack().await.expect("ack");
        let pause = is_back.elapsed();
        assert!(pause < Duration::from_secs(2), "{pause:?} after {away:?}");
    }
}

#[tokio::test]
async fn a_consumer_that_is_made_later_is_waited_for() {
    let Fixture { server: _server, bus } = fixture().await;
    let mut deliveries = bus.lane_deliveries(&target(), &channel(), LinkAction::Push);
    assert!(deliveries.next_within(Duration::from_millis(300)).await.is_none());
    bus.ensure_node(&target(), &[lane(LinkAction::Push, 60)])
        .await
        .expect("consumers");
    bus.publish_lane(&header(1, 1, 1), vec![0], LinkAction::Push)
        .await
        .expect("publish");
    assert!(deliveries.next_within(PATIENCE).await.is_some());
}

#[tokio::test]
async fn a_tail_is_written_by_one_router_only() {
    let Fixture { server: _server, bus } = fixture().await;
    let lane = LaneId {
        source: source(),
        target: target(),
        channel: channel(),
    };
    let none = bus.tail(&lane).await.expect("tail");
    assert_eq!(none, Tail::default());
    let revision = bus
        .set_tail(
            &lane,
            Tail {
                batch_id: 7,
                previous_batch_id: 0,
                ..none
            },
        )
        .await
        .expect("write");
    let late = bus
        .set_tail(
            &lane,
            Tail {
                batch_id: 7,
                previous_batch_id: 0,
                ..none
            },
        )
        .await;
    assert!(matches!(late, Err(BusError::Fenced { .. })), "{late:?}");
    let tail = bus.tail(&lane).await.expect("tail");
    assert_eq!(
        tail,
        Tail {
            batch_id: 7,
            previous_batch_id: 0,
            revision
        }
    );
}

#[tokio::test]
async fn batches_that_wait_to_be_asked_for_and_pushed_ones_do_not_meet() {
    let Fixture { server: _server, bus } = fixture().await;
    let (push, wait) = (LinkAction::Push, LinkAction::WaitForPull);
    bus.ensure_node(&target(), &[lane(push, 60), lane(wait, 60)])
        .await
        .expect("consumers");
    for (batch_id, action) in [(1, push), (2, wait), (3, wait), (4, push), (5, wait)] {
        bus.publish_lane(&header(batch_id, 1, 1), vec![0], action)
            .await
            .expect("publish");
    }
    for (action, batches) in [(push, vec![1, 4]), (wait, vec![2, 3, 5])] {
        let mut deliveries = bus.lane_deliveries(&target(), &channel(), action);
        assert_eq!(
            deliveries.waiting().await.expect("consumer"),
            batches.len() as u64
        );
        for (batch_id, behind) in batches.iter().zip((0..batches.len() as u64).rev()) {
            let delivery = deliveries.next_within(PATIENCE).await.expect("a batch");
            assert_eq!(delivery.header().expect("header").batch_id, *batch_id);
            assert_eq!(delivery.pending, behind);
            delivery.ack().await.expect("ack");
        }
        assert!(deliveries.next_within(Duration::from_millis(200)).await.is_none());
        assert_eq!(deliveries.waiting().await.expect("consumer"), 0);
    }
}

#[tokio::test]
async fn a_closed_consumer_takes_nothing_until_it_is_asked_again() {
    let Fixture { server: _server, bus } = fixture().await;
    let wait = LinkAction::WaitForPull;
    let mut deliveries = bus.lane_deliveries(&target(), &channel(), wait);
    let missing = deliveries.waiting().await.expect_err("no consumer");
    assert!(matches!(missing, BusError::Missing(_)), "{missing}");
    bus.ensure_node(&target(), &[lane(wait, 60)])
        .await
        .expect("consumers");
    for batch_id in 1..=3 {
        bus.publish_lane(&header(batch_id, 1, 1), vec![0], wait)
            .await
            .expect("publish");
    }
    let first = deliveries.next_within(PATIENCE).await.expect("first");
    first.ack().await.expect("ack");
    deliveries.close();
    bus.publish_lane(&header(4, 1, 1), vec![0], wait)
        .await
        .expect("publish");
    assert_eq!(deliveries.waiting().await.expect("consumer"), 3);
    for batch_id in 2..=4 {
        let delivery = deliveries.next_within(PATIENCE).await.expect("again");
        assert_eq!(delivery.header().expect("header").batch_id, batch_id);
        delivery.ack().await.expect("ack");
    }
}

#[tokio::test]
async fn how_many_batches_a_loader_may_hold_is_as_was_said_last() {
    let Fixture { server: _server, bus } = fixture().await;
    let push = LinkAction::Push;
    for batch_id in 1..=5 {
        bus.publish_lane(&header(batch_id, 1, 1), vec![0], push)
            .await
            .expect("publish");
    }
    // 0 is no number of batches to send; one is.
    for (max_batch_to_send, held) in [(3, 3), (1, 1), (0, 1), (4, 4)] {
        bus.ensure_node(&target(), &[lane(push, max_batch_to_send)])
            .await
            .expect("consumers");
        let mut deliveries = bus.lane_deliveries(&target(), &channel(), push);
        for _ in 0..held {
            deliveries.next_within(PATIENCE).await.expect("a batch");
        }
        let more = deliveries.next_within(Duration::from_millis(300)).await;
        assert!(more.is_none(), "more than {held} at {max_batch_to_send}");
    }
}

#[tokio::test]
async fn a_report_on_another_nodes_batches_is_refused() {
    let Fixture { server, bus } = fixture().await;
    bus.ensure_node(&source(), &[]).await.expect("consumers");
    let report = |target: &str| StatusReport {
        contact: None,
        source: source(),
        target: NodeId::new(target).expect("id"),
        channel: channel(),
        results: Vec::new(),
    };
    // GIVEN a report on the victim's batches, and a router's, where `target` may publish
    let client = async_nats::connect(server.url()).await.expect("connect");
    let routed = RoutedReport {
        groups: Vec::new(),
        source: source(),
        channel: channel(),
        batch_id: 1,
        created_ms: 0,
        started_ms: 0,
        sent_ms: 0,
        hostname: String::new(),
        targets: Vec::new(),
        unrouted: Vec::new(),
        last: true,
    };
    for forged in [Message::Status(report("victim")), Message::Routed(routed)] {
        let body = forged.encode().expect("encode");
        client
            .publish("sym.status.source=2E1.target.sale", body.into())
            .await
            .expect("publish");
    }
    client.flush().await.expect("flush");
    // WHEN its own follows THEN that is the only one
    bus.status(&report("target")).await.expect("publish");
    let mut deliveries = bus.status_deliveries(&source());
    let mut reports = Vec::new();
    for _ in 0..3 {
        let delivery = deliveries.next_within(PATIENCE).await.expect("a report");
        reports.extend(delivery.report());
        delivery.ack().await.expect("acknowledge");
    }
    assert_eq!(reports, [Report::Status(report("target"))]);
}
