//! What comes in goes out: lanes, parts, tails, reports.

use crate::world::{World, next_report, part};
use symstream_shared::cell::Cell;
use symstream_shared::wire::Message;

/// Lets `down` send rows only to the node whose external id is their place.
const BY_PLACE: &str = "update sym_router set router_type = 'column', router_expression = 'place=:EXTERNAL_ID' where router_id = 'down'";

#[tokio::test(flavor = "multi_thread")]
async fn rows_reach_the_lanes_of_the_nodes_that_the_rules_select() {
    let (world, router) = World::with_router().await;
    let before = world.version().await;
    world.database.run(BY_PLACE).await;
    let version = world
        .version_with(|configuration| configuration.version > before)
        .await;

    world.capture("c0", 1, version, &[&[11, 12, 14]]).await;
    world.capture("c0", 2, version, &[&[15]]).await;
    world.capture("c0", 4, version, &[&[16]]).await;
    // A batch that was captured by the version before is routed by that one.
    world.capture("c0", 5, before, &[&[17]]).await;

    let a = world.receive("a", "c0", 3).await;
    assert_eq!(
        a.batches,
        [(1, 0, vec![12, 14]), (4, 1, vec![16]), (5, 4, vec![17])]
    );
    let b = world.receive("b", "c0", 3).await;
    assert_eq!(b.batches, [(1, 0, vec![11]), (2, 1, vec![15]), (5, 2, vec![17])]);

    let mut reports = world.reports();
    let report = next_report(&mut reports).await;
    assert!(report.last);
    assert!(report.unrouted.is_empty());
    let targets: Vec<_> = report
        .targets
        .iter()
        .map(|target| (target.node.as_str(), target.ranges.clone(), target.change_count))
        .collect();
    assert_eq!(
        targets,
        [("a", vec![(12, 12), (14, 14)], 2), ("b", vec![(11, 11)], 1)]
    );
    router.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_several_parts_arrives_whole_at_nodes_that_get_only_some() {
    let (world, router) = World::with_router().await;
    let before = world.version().await;
    world.database.run(BY_PLACE).await;
    let version = world
        .version_with(|configuration| configuration.version > before)
        .await;

    // The parts lie between those of another channel, and behind an older batch.
    world.capture("c1", 1, version, &[&[2], &[4], &[6]]).await;
    world.capture("c2", 2, version, &[&[8]]).await;
    world
        .capture("c1", 3, version, &[&[10], &[11, 12], &[14], &[16]])
        .await;
    world.capture("c1", 9, version, &[&[21]]).await;

    let a = world.receive("a", "c1", 2).await;
    assert_eq!(a.batches, [(1, 0, vec![2, 4, 6]), (3, 1, vec![10, 12, 14, 16])]);
    let b = world.receive("b", "c1", 2).await;
    assert_eq!(b.batches, [(3, 0, vec![11]), (9, 3, vec![21])]);
    router.stop().await;
}

/// Publishes a batch of one row for `a` and `b` that takes this many bytes, however it is compressed.
async fn capture_noise(world: &World, batch_id: i64, version: i64, bytes: usize) {
    let mut part = part("c0", batch_id, version, &[2]);
    // Noise, so that compression does not make it small.
    let mut state = 1_u64;
    let noise = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        char::from(b'!' + (state >> 57) as u8 % 90)
    });
    let text: String = noise.take(bytes).collect();
    part.rows.changes[0]
        .new
        .as_mut()
        .expect("an insert")
        .push(Cell::Text(text));
    let bodies = Message::Captured(part)
        .encode_within(symstream_nats::BODY_BYTES_MAX)
        .expect("encode");
    world
        .publish(
            "c0",
            batch_id,
            version,
            bodies.into_iter().map(|body| (body, 0)).collect(),
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_row_goes_to_several_tables_of_a_node() {
    let (world, router) = World::with_router().await;
    let before = world.version().await;
    world
        .database
        .run(
            "insert into sym_router (router_id, source_node_group_id, target_node_group_id, target_table_name) values
                 ('copy1', 'cloud', 'local', 'copy1'), ('copy2', 'cloud', 'local', 'copy2');
             insert into sym_trigger_router (trigger_id, router_id) values ('sale', 'copy1'), ('sale', 'copy2')",
        )
        .await;
    let version = world
        .version_with(|configuration| configuration.version > before)
        .await;
    capture_noise(&world, 1, version, 5_000_000).await;
    capture_noise(&world, 2, version, 500_000).await;
    world.capture("c0", 3, version, &[&[4]]).await;
    for target in ["a", "b"] {
        assert_eq!(
            world.receive(target, "c0", 3).await.batches,
            [
                (1, 0, vec![2, 2, 2]),
                (2, 1, vec![2, 2, 2]),
                (3, 2, vec![4, 4, 4])
            ]
        );
    }
    router.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_larger_than_a_message_goes_in_fragments() {
    let (world, router) = World::with_router().await;
    let version = world.version().await;
    capture_noise(&world, 1, version, 5_000_000).await;
    world.capture("c0", 2, version, &[&[4]]).await;

    for target in ["a", "b"] {
        assert_eq!(
            world.receive(target, "c0", 2).await.batches,
            [(1, 0, vec![2]), (2, 1, vec![4])]
        );
    }
    router.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_for_nobody_are_reported_as_such() {
    let (world, router) = World::with_router().await;
    let before = world.version().await;
    world.database.run("delete from sym_node_group_link").await;
    let version = world
        .version_with(|configuration| configuration.version > before)
        .await;

    world.capture("c0", 1, version, &[&[1, 2], &[3, 7]]).await;

    let mut reports = world.reports();
    let first = next_report(&mut reports).await;
    assert_eq!((first.last, first.unrouted), (false, vec![(1, 2)]));
    let second = next_report(&mut reports).await;
    assert_eq!((second.last, second.unrouted), (true, vec![(3, 3), (7, 7)]));
    assert!(second.targets.is_empty());
    assert!(world.is_quiet("a", "c0").await);
    router.stop().await;
}
