//! A batch that can not be routed waits, with what follows it; everything else goes on.

use crate::world::{World, channel, node, part};
use std::time::Duration;
use symstream_nats::{BatchType, Hold, PartHeader};
use symstream_shared::model::LinkAction;
use symstream_shared::wire::Message;
use symstream_tests::eventually::eventually;

async fn hold(world: &World, channel_id: &str) -> Hold {
    world
        .bus
        .hold(&node("cloud"), &channel(channel_id))
        .await
        .expect("mark")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_fails_holds_its_lane_until_it_is_put_right() {
    let (world, router) = World::with_router().await;
    let good = world.version().await;

    // GIVEN a rule that names a column which the table does not have
    world
        .database
        .run("update sym_router set router_type = 'column', router_expression = 'nix=:EXTERNAL_ID'")
        .await;
    let bad = world
        .version_with(|configuration| configuration.version > good)
        .await;
    world.capture("c0", 1, good, &[&[2]]).await;
    world.capture("c0", 2, bad, &[&[4], &[5]]).await;
    world.capture("c0", 3, bad, &[&[6]]).await;
    // Captured by the good one, but behind a batch that waits.
    world.capture("c0", 4, good, &[&[8]]).await;
    for number in 1..10 {
        world.capture(&format!("c{number}"), 5, good, &[&[10]]).await;
    }

    // THEN nothing overtakes, and all other channels go on, those of the same partition too
    eventually(Duration::from_secs(20), "the mark to cover batch 4", || async {
        let hold = hold(&world, "c0").await;
        let last = world
            .bus
            .captured_next(&node("cloud"), &channel("c0"), hold.through + 1)
            .await
            .expect("stream");
        if hold.is_active() && last.is_none() {
            Ok(())
        } else {
            Err(format!("{hold:?}"))
        }
    })
    .await;
    for number in 1..10 {
        assert_eq!(
            world.receive("a", &format!("c{number}"), 1).await.batches,
            [(5, 0, vec![10])]
        );
    }
    assert_eq!(world.receive("a", "c0", 1).await.batches, [(1, 0, vec![2])]);
    assert!(world.is_quiet("a", "c0").await);

    // WHEN the rule is put right THEN what waited goes out in order
    world
        .database
        .run("update sym_router set router_expression = 'place=:EXTERNAL_ID'")
        .await;
    let mut deliveries = world
        .bus
        .lane_deliveries(&node("a"), &channel("c0"), LinkAction::Push);
    let mut batches = Vec::new();
    while batches.len() < 4 {
        let delivery = deliveries
            .next_within(Duration::from_secs(30))
            .await
            .expect("a batch");
        let header = delivery.header().expect("headers");
        batches.push((
            header.batch_id,
            header.previous_batch_id,
            header.part,
            header.part_last,
        ));
        delivery.ack().await.expect("acknowledge");
    }
    assert_eq!(
        batches,
        [
            (2, Some(1), 1, 2),
            (2, Some(1), 2, 2),
            (3, Some(2), 1, 1),
            (4, Some(3), 1, 1)
        ]
    );
    eventually(Duration::from_secs(10), "the mark to go", || async {
        let hold = hold(&world, "c0").await;
        if hold.is_active() {
            Err(format!("{hold:?}"))
        } else {
            Ok(())
        }
    })
    .await;

    // AND what comes now is routed at once
    world.capture("c0", 7, good, &[&[12]]).await;
    let header = deliveries
        .next_within(Duration::from_secs(10))
        .await
        .expect("batch 7")
        .header()
        .expect("headers");
    assert_eq!((header.batch_id, header.previous_batch_id), (7, Some(4)));
    router.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_not_understood_is_never_passed_over() {
    let (world, router) = World::with_router().await;
    let version = world.version().await;
    world.publish("c0", 1, version, vec![(b"junk".to_vec(), 1)]).await;
    world.capture("c0", 2, version, &[&[2]]).await;
    world.capture("c1", 3, version, &[&[4]]).await;
    eventually(Duration::from_secs(20), "the mark", || async {
        let hold = hold(&world, "c0").await;
        if hold.through > hold.from {
            Ok(())
        } else {
            Err(format!("{hold:?}"))
        }
    })
    .await;
    assert_eq!(world.receive("a", "c1", 1).await.batches, [(3, 0, vec![4])]);
    assert!(world.is_quiet("a", "c0").await);
    router.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_sends_as_another_holds_up_itself_only() {
    let (world, router) = World::with_router().await;
    let version = world.version().await;
    let channels: Vec<String> = (0..10).map(|number| format!("c{number}")).collect();
    // GIVEN batches on the subjects of node a whose headers and bodies say that they are cloud's, for b too
    for channel_id in &channels {
        let header = PartHeader {
            source: node("cloud"),
            target: None,
            channel: channel(channel_id),
            batch_id: 1,
            previous_batch_id: None,
            batch_type: BatchType::Event,
            rows: 1,
            part: 1,
            part_last: 1,
            configuration_version: version,
            time_ms: 0,
            load_id: None,
            group: None,
        };
        let body = Message::Captured(part(channel_id, 1, version, &[666]));
        let mut publisher = world.bus.captured(&node("a"), &channel(channel_id));
        publisher
            .publish(&header, body.encode().expect("encode"))
            .await
            .expect("publish");
    }
    // THEN each waits under a's own mark
    eventually(Duration::from_secs(20), "the marks", || async {
        let holds = world.bus.holds().await.expect("marks");
        let of_a = holds.iter().filter(|hold| hold.source == node("a")).count();
        if holds.len() == 10 && of_a == 10 {
            Ok(())
        } else {
            Err(format!("{holds:?}"))
        }
    })
    .await;
    // AND what cloud itself sends is all that arrives, whichever partition it shares with a
    for channel_id in &channels {
        world.capture(channel_id, 5, version, &[&[2]]).await;
    }
    for channel_id in &channels {
        assert_eq!(world.receive("b", channel_id, 1).await.batches, [(5, 0, vec![2])]);
        assert!(!hold(&world, channel_id).await.is_active());
    }
    router.stop().await;
}

/// A world in which batch 1 of `c0` is routed, batches 2 and 3 are held because of a bad rule, and no router runs.
/// Returns the good version.
async fn held_batches() -> (World, i64) {
    let (world, router) = World::with_router().await;
    let good = world.version().await;
    world
        .database
        .run("update sym_router set router_type = 'column', router_expression = 'nix=:EXTERNAL_ID'")
        .await;
    let bad = world
        .version_with(|configuration| configuration.version > good)
        .await;
    world.capture("c0", 1, good, &[&[1]]).await;
    world.capture("c0", 2, bad, &[&[2]]).await;
    world.capture("c0", 3, bad, &[&[3]]).await;
    eventually(Duration::from_secs(20), "the mark", || async {
        let hold = hold(&world, "c0").await;
        if hold.through > hold.from {
            Ok(())
        } else {
            Err(format!("{hold:?}"))
        }
    })
    .await;
    router.stop().await;
    (world, good)
}

async fn capture_stream(world: &World) -> async_nats::jetstream::stream::Stream {
    let client = async_nats::connect(world.nats.url()).await.expect("nats");
    async_nats::jetstream::new(client)
        .get_stream("SYM_CAPTURE")
        .await
        .expect("stream")
}

#[tokio::test(flavor = "multi_thread")]
async fn held_batches_that_the_stream_lost_are_never_jumped_over() {
    let (world, good) = held_batches().await;
    let before = hold(&world, "c0").await;

    // WHEN what is held grows too old, and the rule is put right
    capture_stream(&world)
        .await
        .purge()
        .sequence(before.through)
        .await
        .expect("purge");
    world
        .database
        .run("update sym_router set router_type = 'default'")
        .await;
    let router = world.start();
    world.capture("c0", 4, good, &[&[4]]).await;

    // THEN what follows waits, and the mark stands
    eventually(Duration::from_secs(20), "batch 4 to wait", || async {
        let hold = hold(&world, "c0").await;
        if hold.through > before.through {
            Ok(())
        } else {
            Err(format!("{hold:?}"))
        }
    })
    .await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(hold(&world, "c0").await.from, before.from);
    assert_eq!(world.receive("a", "c0", 1).await.batches, [(1, 0, vec![1])]);
    assert!(world.is_quiet("a", "c0").await);
    router.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mark_of_a_stream_that_was_made_again_holds_nothing_back() {
    let (world, good) = held_batches().await;

    // GIVEN a new stream, whose sequences begin at 1 and soon reach the mark's
    let client = async_nats::connect(world.nats.url()).await.expect("nats");
    async_nats::jetstream::new(client)
        .delete_stream("SYM_CAPTURE")
        .await
        .expect("delete");
    world.bus.ensure_streams().await.expect("streams");
    world
        .database
        .run("update sym_router set router_type = 'default'")
        .await;
    for (batch_id, id) in [(2, 2), (3, 3), (4, 4), (5, 5), (6, 6)] {
        world.capture("c0", batch_id, good, &[&[id]]).await;
    }

    // THEN the source's batches go out in order
    let router = world.start();
    let received = world.receive("a", "c0", 6).await;
    assert_eq!(
        received.batches,
        (1..=6).map(|id| (id, id - 1, vec![id])).collect::<Vec<_>>()
    );
    router.stop().await;
}
