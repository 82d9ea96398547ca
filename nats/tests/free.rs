//! Freeing lanes of nodes that need a reload, and what the streams know of a source's batch ids.

use crate::{Fixture, PATIENCE, channel, fixture, header, lane, source, target};
use symstream_nats::{LaneId, Tail};
use symstream_shared::id::{EngineName, NodeId};
use symstream_shared::model::LinkAction;

#[tokio::test]
async fn only_what_waited_from_that_source_before_the_question_is_freed() {
    let Fixture { server: _server, bus } = fixture().await;
    let server = EngineName::new("cloud-1").expect("name");
    bus.ensure_node(&target(), &[lane(LinkAction::Push, 60)])
        .await
        .expect("consumers");
    let other = NodeId::new("other").expect("id");
    for (batch_id, from) in [(1, source()), (2, source()), (7, other)] {
        let mut header = header(batch_id, 1, 1);
        header.source = from;
        bus.publish_lane(&header, vec![0], LinkAction::Push)
            .await
            .expect("publish");
    }
    let mut frees = bus.frees(&server).await.expect("subscribed");
    bus.flush().await.expect("flush");
    let registrar = tokio::spawn(async move {
        while let Some(call) = frees.next().await {
            call.serve().await.expect("served");
        }
    });
    let end = bus
        .lanes_end(&server, &source(), &target())
        .await
        .expect("an end");
    // WHEN something is sent between the two questions
    bus.publish_lane(&header(3, 1, 1), vec![0], LinkAction::Push)
        .await
        .expect("publish");
    for _ in 0..2 {
        bus.free_lanes(&server, &source(), &target(), end)
            .await
            .expect("freed");
    }
    // THEN it stays, and what other sources sent
    let mut deliveries = bus.lane_deliveries(&target(), &channel(), LinkAction::Push);
    for batch_id in [7, 3] {
        let delivery = deliveries.next_within(PATIENCE).await.expect("a batch");
        assert_eq!(delivery.header().expect("header").batch_id, batch_id);
    }
    registrar.abort();
}

#[tokio::test]
async fn the_highest_batch_is_known_also_of_lanes_alone() {
    let Fixture { server: _server, bus } = fixture().await;
    let highest = async || {
        bus.highest_batch(&source(), &[channel()])
            .await
            .expect("a number")
    };
    assert_eq!(highest().await, 0);
    for (id, batch_id) in [("b", 40), ("a", 30), ("=", 12)] {
        let lane = LaneId {
            source: source(),
            target: NodeId::new(id).expect("id"),
            channel: channel(),
        };
        let tail = Tail {
            batch_id,
            ..Tail::default()
        };
        bus.set_tail(&lane, tail).await.expect("tail");
    }
    assert_eq!(highest().await, 40);
    let mut captured = header(55, 1, 2);
    captured.target = None;
    captured.previous_batch_id = None;
    let mut publisher = bus.captured(&source(), &channel());
    publisher.publish(&captured, vec![0]).await.expect("published");
    assert_eq!(highest().await, 55);
}
