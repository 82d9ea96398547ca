//! Nodes that were removed and go on sending.

use crate::world::{PATIENCE, World, channel, next_report, node};
use symstream_shared::model::LinkAction;

#[tokio::test(flavor = "multi_thread")]
async fn what_a_removed_node_sends_by_an_old_version_is_for_nobody() {
    let (world, router) = World::with_router().await;
    let old = world.version().await;
    world
        .database
        .run("update sym_node set sync_enabled = 0 where node_id = 'cloud'")
        .await;
    let disabled = world
        .version_with(|configuration| configuration.version > old)
        .await;
    world.capture("c0", 1, old, &[&[1]]).await;
    let a = world.receive("a", "c0", 1).await;
    assert_eq!(a.batches, [(1, 0, vec![1])], "a disabled node's changes go on");
    let mut reports = world.reports();
    assert_eq!(next_report(&mut reports).await.targets.len(), 2);

    world
        .database
        .run("update sym_node_security set registration_time = null where node_id = 'cloud'")
        .await;
    let removed = world
        .version_with(|configuration| configuration.version > disabled)
        .await;
    // A router takes a version for the newest for a moment longer; one that starts does not know it yet.
    router.stop().await;
    let router = world.start();
    world.capture("c0", 2, old, &[&[2], &[3, 5]]).await;
    let first = next_report(&mut reports).await;
    assert_eq!((first.last, first.unrouted), (false, vec![(2, 2)]));
    let last = next_report(&mut reports).await;
    assert_eq!((last.last, last.unrouted), (true, vec![(3, 3), (5, 5)]));
    assert!(last.targets.is_empty());
    assert!(world.is_quiet("a", "c0").await);

    world
        .database
        .run("update sym_node_security set registration_time = '2026-01-01 00:00:00' where node_id = 'cloud'")
        .await;
    world
        .version_with(|configuration| configuration.version > removed)
        .await;
    world.capture("c0", 3, old, &[&[4]]).await;
    let mut lane = world
        .bus
        .lane_deliveries(&node("a"), &channel("c0"), LinkAction::Push);
    let delivery = lane.next_within(PATIENCE).await.expect("a batch");
    let header = delivery.header().expect("header");
    assert_eq!((header.batch_id, header.previous_batch_id), (3, Some(1)));
    router.stop().await;
}
