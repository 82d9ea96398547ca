//! What a node gets by its link, and what it does not get because its channel is ignored.

use crate::world::{PATIENCE, World, channel, next_report, node};
use symstream_nats::{Deliveries, LaneId};
use symstream_shared::model::LinkAction;
use symstream_shared::wire::TargetRows;

/// Makes an edit and returns the version of the configuration that has it.
async fn edit(world: &World, sql: &str) -> i64 {
    let before = world.version().await;
    world.database.run(sql).await;
    world
        .version_with(|configuration| configuration.version > before)
        .await
}

/// The next batch in a lane and the one before it.
async fn next_batch(deliveries: &mut Deliveries) -> (i64, Option<i64>) {
    let delivery = deliveries.next_within(PATIENCE).await.expect("a batch");
    delivery.ack().await.expect("acknowledge");
    let header = delivery.header().expect("headers");
    (header.batch_id, header.previous_batch_id)
}

/// What a report says of a node whose rows in it are one range.
fn target(id: &str, range: (i64, i64), change_count: u64, ignored: bool) -> TargetRows {
    TargetRows {
        node: node(id),
        ranges: vec![range],
        change_count,
        ignored,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_asks_for_its_batches_finds_them_apart_from_those_that_are_pushed() {
    let (world, router) = World::with_router().await;
    let version = edit(
        &world,
        "insert into sym_node_group (node_group_id) values ('asking');
         insert into sym_node_group_link (source_node_group_id, target_node_group_id, data_event_action) values
             ('cloud', 'asking', 'W');
         insert into sym_router (router_id, source_node_group_id, target_node_group_id) values
             ('ask', 'cloud', 'asking');
         insert into sym_trigger_router (trigger_id, router_id) values ('sale', 'ask');
         update sym_node set node_group_id = 'asking' where node_id = 'b'",
    )
    .await;

    world.capture("c0", 1, version, &[&[11], &[12]]).await;
    world.capture("c0", 2, version, &[&[13]]).await;

    let both = [(1, 0, vec![11, 12]), (2, 1, vec![13])];
    assert_eq!(world.receive("a", "c0", 2).await.batches, both);
    let asked = world.receive_by(LinkAction::WaitForPull, "b", "c0", 2).await;
    assert_eq!(asked.batches, both);
    assert!(world.is_quiet("b", "c0").await);
    router.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_becomes_another_kind_keeps_its_lanes_chain() {
    let (world, router) = World::with_router().await;
    let pushed = world.version().await;
    world.capture("c0", 1, pushed, &[&[11]]).await;
    let waiting = edit(&world, "update sym_node_group_link set data_event_action = 'W'").await;
    world.capture("c0", 2, waiting, &[&[12]]).await;
    let pushed_again = edit(&world, "update sym_node_group_link set data_event_action = 'P'").await;
    world.capture("c0", 5, pushed_again, &[&[13]]).await;

    let lane = |action| world.bus.lane_deliveries(&node("a"), &channel("c0"), action);
    let (mut push, mut wait) = (lane(LinkAction::Push), lane(LinkAction::WaitForPull));
    assert_eq!(next_batch(&mut push).await, (1, Some(0)));
    assert_eq!(next_batch(&mut wait).await, (2, Some(1)));
    assert_eq!(next_batch(&mut push).await, (5, Some(2)));
    router.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_channel_is_ignored_is_reported_and_gets_nothing() {
    let (world, router) = World::with_router().await;
    let before = world.version().await;
    world.capture("c0", 1, before, &[&[11]]).await;
    let ignoring = edit(
        &world,
        "insert into sym_node_channel_ctl (node_id, channel_id, ignore_enabled) values ('b', 'c0', 1)",
    )
    .await;
    world.capture("c0", 2, ignoring, &[&[12, 13], &[15]]).await;
    world.capture("c1", 3, ignoring, &[&[16]]).await;
    let after = edit(&world, "update sym_node_channel_ctl set ignore_enabled = 0").await;
    world.capture("c0", 4, after, &[&[17]]).await;

    // The lane goes on as if the ignored batch had not been.
    assert_eq!(
        world.receive("b", "c0", 2).await.batches,
        [(1, 0, vec![11]), (4, 1, vec![17])]
    );
    assert_eq!(
        world.receive("a", "c0", 3).await.batches,
        [(1, 0, vec![11]), (2, 1, vec![12, 13, 15]), (4, 2, vec![17])]
    );
    assert_eq!(world.receive("b", "c1", 1).await.batches, [(3, 0, vec![16])]);
    let mut reports = world.reports();
    let mut of_ignored = Vec::new();
    while of_ignored.len() < 2 {
        let report = next_report(&mut reports).await;
        if report.batch_id == 2 {
            assert!(report.unrouted.is_empty());
            of_ignored.push(report);
        }
    }
    let first = [target("a", (12, 13), 0, false), target("b", (12, 13), 0, true)];
    let last = [target("a", (15, 15), 3, false), target("b", (15, 15), 3, true)];
    assert_eq!(of_ignored[0].targets, first);
    assert_eq!(of_ignored[1].targets, last);
    router.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_that_was_ignored_from_the_first_batch_on_has_no_tail() {
    let (world, router) = World::with_router().await;
    let ignoring = edit(
        &world,
        "insert into sym_node_channel_ctl (node_id, channel_id, ignore_enabled) values ('b', 'c0', 1)",
    )
    .await;
    world.capture("c0", 1, ignoring, &[&[11]]).await;
    let report = next_report(&mut world.reports()).await;
    assert!(report.last);
    let lane = LaneId {
        source: node("cloud"),
        target: node("b"),
        channel: channel("c0"),
    };
    assert_eq!(world.bus.tail(&lane).await.expect("tail").batch_id, 0);
    assert!(world.is_quiet("b", "c0").await);
    router.stop().await;
}
