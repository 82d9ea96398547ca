//! Crashes, repeated messages, several routers: every lane stays whole and in order.

use crate::world::{PATIENCE, World, channel, next_report, node};
use std::collections::HashSet;
use std::time::Duration;
use symstream_nats::{LaneId, Tail};
use symstream_shared::model::LinkAction;
use symstream_tests::eventually::eventually;

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_is_done_again_keeps_the_predecessors_it_was_given() {
    let world = World::new().await;
    let router = world.start();
    let version = world.version().await;
    world.capture("c0", 3, version, &[&[1]]).await;
    assert_eq!(world.receive("a", "c0", 1).await.batches, [(3, 0, vec![1])]);
    assert_eq!(world.receive("b", "c0", 1).await.batches, [(3, 0, vec![1])]);
    router.stop().await;

    // GIVEN a router that crashed between the tails of a and b
    let lane = |target: &str| LaneId {
        source: node("cloud"),
        target: node(target),
        channel: channel("c0"),
    };
    let tail = world.bus.tail(&lane("a")).await.expect("tail");
    assert_eq!((tail.batch_id, tail.previous_batch_id), (3, 0));
    let next = Tail {
        batch_id: 7,
        previous_batch_id: 3,
        revision: tail.revision,
    };
    world.bus.set_tail(&lane("a"), next).await.expect("tail");
    world.capture("c0", 7, version, &[&[2]]).await;
    world.capture("c0", 8, version, &[&[3]]).await;

    // WHEN the next router does the batch again THEN both lanes have the same chain
    let router = world.start();
    for target in ["a", "b"] {
        let mut deliveries = world
            .bus
            .lane_deliveries(&node(target), &channel("c0"), LinkAction::Push);
        for expected in [(7, 3), (8, 7)] {
            let delivery = deliveries.next_within(PATIENCE).await.expect("a batch");
            let header = delivery.header().expect("headers");
            assert_eq!(
                (header.batch_id, header.previous_batch_id),
                (expected.0, Some(expected.1)),
                "{target}"
            );
            delivery.ack().await.expect("acknowledge");
        }
        // The tail follows what stands in the lane.
        eventually(PATIENCE, "the tail", || async {
            let tail = world.bus.tail(&lane(target)).await.expect("tail");
            if (tail.batch_id, tail.previous_batch_id) == (8, 7) {
                Ok(())
            } else {
                Err(format!("{tail:?}"))
            }
        })
        .await;
    }
    router.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn routers_that_crash_anywhere_lose_nothing_and_keep_the_order() {
    let (world, router) = World::with_router().await;
    let version = world.version().await;
    router.crash().await;
    let batches: i64 = 20;
    let channels: Vec<String> = (0..10).map(|number| format!("c{number}")).collect();

    // WHEN a router runs for some milliseconds, crashes, and the next one takes over, again and again
    let publish = async {
        for batch_id in 1..=batches {
            let first = batch_id * 10;
            for channel_id in &channels {
                world
                    .capture(
                        channel_id,
                        batch_id,
                        version,
                        &[&[first], &[first + 1, first + 2], &[first + 3]],
                    )
                    .await;
            }
        }
    };
    let crash = async {
        for round in 0..25_u64 {
            let router = world.start();
            tokio::time::sleep(Duration::from_millis(60 + round * 37 % 90)).await;
            router.crash().await;
        }
    };
    tokio::join!(publish, crash);
    let router = world.start();

    // THEN every lane has every batch whole and in order
    let expected: Vec<(i64, i64, Vec<i64>)> = (1..=batches)
        .map(|id| (id, id - 1, (id * 10..id * 10 + 4).collect()))
        .collect();
    for target in ["a", "b"] {
        for channel_id in &channels {
            let received = world.receive(target, channel_id, expected.len()).await;
            assert_eq!(received.batches, expected, "{target} {channel_id}");
        }
    }
    // AND every batch is reported as done
    let mut open: HashSet<(String, i64)> = channels
        .iter()
        .flat_map(|channel_id| (1..=batches).map(|id| (channel_id.clone(), id)))
        .collect();
    let mut reports = world.reports();
    while !open.is_empty() {
        let report = next_report(&mut reports).await;
        if report.last {
            assert_eq!(
                report
                    .targets
                    .iter()
                    .map(|target| target.change_count)
                    .collect::<Vec<_>>(),
                [4, 4]
            );
            open.remove(&(report.channel.to_string(), report.batch_id));
        }
    }
    router.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_routers_share_the_work_and_every_lane_stays_in_order() {
    let (world, first) = World::with_router().await;
    let second = world.start();
    let version = world.version().await;
    let batches: i64 = 30;
    let channels: Vec<String> = (0..10).map(|number| format!("c{number}")).collect();
    let publish = channels.iter().map(|channel_id| async {
        for batch_id in 1..=batches {
            world.capture(channel_id, batch_id, version, &[&[batch_id]]).await;
        }
    });
    futures_util::future::join_all(publish).await;

    let expected: Vec<(i64, i64, Vec<i64>)> = (1..=batches).map(|id| (id, id - 1, vec![id])).collect();
    for channel_id in &channels {
        for target in ["a", "b"] {
            let received = world.receive(target, channel_id, expected.len()).await;
            assert_eq!(received.batches, expected, "{target} {channel_id}");
            assert_eq!(received.repeated, 0);
        }
    }
    first.stop().await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn routing_goes_on_after_nats_was_away() {
    let (mut world, router) = World::with_router().await;
    let version = world.version().await;
    world.capture("c0", 1, version, &[&[1]]).await;
    assert_eq!(world.receive("a", "c0", 1).await.batches.len(), 1);
    world.nats.kill();
    world.nats.start_again().await;
    world.capture("c0", 2, version, &[&[2]]).await;
    // The server may have forgotten that batch 1 was acknowledged.
    let mut deliveries = world
        .bus
        .lane_deliveries(&node("a"), &channel("c0"), LinkAction::Push);
    loop {
        let delivery = deliveries.next_within(PATIENCE).await.expect("batch 2");
        let header = delivery.header().expect("headers");
        delivery.ack().await.expect("acknowledge");
        if header.batch_id == 2 {
            assert_eq!(header.previous_batch_id, Some(1));
            break;
        }
    }
    router.stop().await;
}
