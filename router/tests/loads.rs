//! Initial loads, and the batches behind them.

use crate::world::{PATIENCE, World, channel, next_report, node, part};
use symstream_nats::LaneId;
use symstream_shared::model::LinkAction;
use symstream_shared::wire::{LanePart, LoadBegin, LoadPart, LoadStep, Loading, Message, Part};

async fn publish(world: &World, part: Part) {
    let (channel, batch_id, version) = (
        part.channel.to_string(),
        part.batch_id,
        part.configuration_version,
    );
    let body = Message::Captured(part).encode().expect("encode");
    world.publish(&channel, batch_id, version, vec![(body, 0)]).await;
}

/// The next message of a lane, with its header `Sym-Load`.
async fn next(world: &World, target: &str, channel_id: &str) -> (Option<i64>, LanePart) {
    let mut deliveries = world
        .bus
        .lane_deliveries(&node(target), &channel(channel_id), LinkAction::Push);
    let delivery = deliveries.next_within(PATIENCE).await.expect("a batch");
    delivery.ack().await.expect("acknowledge");
    let header = delivery.header().expect("header");
    match Message::decode(delivery.body()).expect("message") {
        Message::Lane(part) => (header.load_id, part),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_goes_to_each_of_its_nodes_in_a_lane_of_its_own() {
    let (world, router) = World::with_router().await;
    let version = world.version().await;
    let load = |batch_id, ids: &[i64], step| Part {
        targets: ["a", "gone", "b"].map(node).to_vec(),
        load: Some(LoadPart { load_id: 5, step }),
        ..part("reload", batch_id, version, ids)
    };
    publish(&world, load(5, &[], LoadStep::Begin(LoadBegin::default()))).await;
    publish(&world, load(6, &[0, 0, 0], LoadStep::Rows)).await;
    for target in ["a", "b"] {
        let (load_id, begin) = next(&world, target, "reload").await;
        assert_eq!(
            (load_id, begin.batch_id, begin.previous_batch_id),
            (Some(5), 5, 0)
        );
        assert_eq!(
            begin.load.map(|load| load.step),
            Some(LoadStep::Begin(LoadBegin::default()))
        );
        let (load_id, rows) = next(&world, target, "reload").await;
        assert_eq!((load_id, rows.batch_id, rows.previous_batch_id), (Some(5), 6, 5));
        assert_eq!((rows.rows.changes.len(), rows.change_count), (3, 3));
    }
    let mut reports = world.reports();
    for change_count in [0, 3] {
        let report = next_report(&mut reports).await;
        let targets: Vec<_> = report
            .targets
            .iter()
            .map(|target| (target.node.as_str(), target.change_count, target.ranges.len()))
            .collect();
        assert_eq!(targets, [("a", change_count, 0), ("b", change_count, 0)]);
        assert!(report.last && report.unrouted.is_empty());
    }
    router.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_behind_a_load_names_it_and_an_absent_node_gets_nothing() {
    let (world, router) = World::with_router().await;
    let version = world.version().await;
    let loading = |load_id| Loading {
        load_id,
        nodes: vec![node("b")],
    };
    let behind = Part {
        loading: vec![loading(4), loading(3)],
        ..part("c0", 7, version, &[1])
    };
    let without_a = Part {
        absent: vec![node("a")],
        ..part("c0", 8, version, &[2])
    };
    publish(&world, behind).await;
    publish(&world, without_a).await;
    let (load_id, of_a) = next(&world, "a", "c0").await;
    assert_eq!((load_id, of_a.after_load), (None, None));
    let (load_id, of_b) = next(&world, "b", "c0").await;
    assert_eq!((load_id, of_b.after_load), (Some(4), Some(4)));
    let (load_id, of_b) = next(&world, "b", "c0").await;
    assert_eq!(
        (load_id, of_b.after_load, of_b.previous_batch_id),
        (None, None, 7)
    );
    assert!(world.is_quiet("a", "c0").await);
    let lane = LaneId {
        source: node("cloud"),
        target: node("a"),
        channel: channel("c0"),
    };
    assert_eq!(world.bus.tail(&lane).await.expect("tail").batch_id, 7);
    router.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_a_load_goes_to_a_node_whole_or_not_at_all() {
    let (world, router) = World::with_router().await;
    let version = world.version().await;
    let rows = |batch_id, table: &str| {
        let mut part = Part {
            targets: vec![node("a")],
            load: Some(LoadPart {
                load_id: 5,
                step: LoadStep::Rows,
            }),
            ..part("reload", batch_id, version, &[0])
        };
        part.rows.tables[0].target_table = table.to_owned();
        (Message::Captured(part).encode().expect("encode"), 1)
    };
    let (fitting, other) = (rows(6, "sale"), rows(6, "sym_node_security"));
    world
        .publish("reload", 6, version, vec![fitting.clone(), other, fitting])
        .await;
    world
        .publish("reload", 7, version, vec![rows(7, "sale"), rows(7, "sale")])
        .await;
    let mut reports = world.reports();
    let report = next_report(&mut reports).await;
    assert_eq!((report.batch_id, report.last), (6, true));
    assert!(report.targets.is_empty());
    let received = world.receive("a", "reload", 1).await;
    assert_eq!(received.batches, [(7, 0, vec![0, 0])]);
    router.stop().await;
}
